/** Where the hub is, where its cache lies and who asks: options first, then the variables Python's huggingface_hub reads. */

import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { UsageError } from '../errors.js';

/** What decides how the hub is reached. */
export interface HubSettings {
  /** Base URL without a trailing slash, such as `https://huggingface.co`. */
  readonly endpoint: string;
  readonly token: string | undefined;
  /** Absolute path of the cache folder, the one that holds `models--org--name` folders. */
  readonly cacheDir: string;
  readonly offline: boolean;
}

/** What a caller may set; each left out falls back to its environment variable. */
export interface HubSettingsOptions {
  readonly endpoint?: string | undefined;
  readonly token?: string | undefined;
  readonly cacheDir?: string | undefined;
  readonly offline?: boolean | undefined;
}

/**
 * Settles the settings from options and environment: `HF_ENDPOINT`; `HF_TOKEN`, then the token file that
 * `hf auth login` writes; `HF_HUB_CACHE`, `HF_HOME`, `XDG_CACHE_HOME`; `HF_HUB_OFFLINE`.
 *
 * @throws UsageError for an endpoint that is no http(s) URL and for a token that no HTTP header can carry.
 */
export async function hubSettings(options: HubSettingsOptions, env: NodeJS.ProcessEnv): Promise<HubSettings> {
  return {
    endpoint: checkedEndpoint(options.endpoint ?? said(env.HF_ENDPOINT) ?? 'https://huggingface.co'),
    token: checkedToken(options.token ?? said(env.HF_TOKEN) ?? (await storedToken(env))),
    cacheDir: resolve(options.cacheDir ?? cacheFolder(env)),
    offline: options.offline ?? /^(1|on|yes|true)$/i.test(env.HF_HUB_OFFLINE ?? ''),
  };
}

function cacheFolder(env: NodeJS.ProcessEnv): string {
  const folder = said(env.HF_HUB_CACHE) ?? said(env.HUGGINGFACE_HUB_CACHE);
  return folder === undefined ? join(homeFolder(env), 'hub') : expandHome(folder);
}

function homeFolder(env: NodeJS.ProcessEnv): string {
  const home = said(env.HF_HOME);
  if (home !== undefined) return expandHome(home);
  return join(expandHome(said(env.XDG_CACHE_HOME) ?? join('~', '.cache')), 'huggingface');
}

async function storedToken(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const path = expandHome(said(env.HF_TOKEN_PATH) ?? join(homeFolder(env), 'token'));
  // Nobody is obliged to be logged in: a file that is not there, or not ours to read, is no token.
  return said(await readFile(path, 'utf8').catch(() => undefined));
}

function checkedEndpoint(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol)) {
    throw new UsageError(`The hub's address "${text}" is not an http or https URL.`, {
      hint: 'Set HF_ENDPOINT to something like https://huggingface.co, or unset it.',
    });
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '');
}

function checkedToken(text: string | undefined): string | undefined {
  const token = said(text);
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) {
    throw new UsageError('The hub token holds characters that no token has (spaces or controls, perhaps).', {
      hint: 'Set HF_TOKEN to the token alone, as huggingface.co shows it.',
    });
  }
  return token;
}

/** An empty variable counts as one that is not set. */
function said(value: string | undefined): string | undefined {
  const trimmed = value?.trim();
  return trimmed === '' ? undefined : trimmed;
}

function expandHome(path: string): string {
  return path === '~' || /^~[/\\]/.test(path) ? join(homedir(), path.slice(1)) : path;
}
