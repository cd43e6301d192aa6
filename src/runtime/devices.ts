/** Which devices can run a model here, found out by running one on each. */

import { fork } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Int8Products } from './cpu-probe.js';
import type { ProbeAnswer } from './probe-device.js';

/** Where a model can run; onnxruntime's names of its execution providers. */
export type DeviceName = 'cpu' | 'webgpu' | 'cuda';

/** Whether a device can be used. */
export interface DeviceInfo {
  readonly name: DeviceName;
  readonly available: boolean;
  /** Why it is not available, as a sentence. */
  readonly reason?: string;
  readonly detail?: DeviceDetail;
}

/** What more is known of a device. */
export interface DeviceDetail {
  /** Names of graphics cards. */
  readonly gpus?: readonly string[];
  /** Of the CPU: in which form int8 models run here; null where their products are not exact in any. */
  readonly int8Products?: Int8Products | null;
  /** onnxruntime's own words. */
  readonly error?: string;
}

/** A driver that has not answered by then will not. */
const PROBE_TIMEOUT_MS = 20_000;

/**
 * Tries every device with a tiny model, each in a process of its own: a driver that crashes or prints hurts nobody.
 * Never rejects because of a device; with `signal` aborted it rejects with that signal's reason.
 */
export async function listDevices(options: { readonly signal?: AbortSignal } = {}): Promise<DeviceInfo[]> {
  const gpus = await nvidiaGpus('/proc/driver/nvidia/gpus');
  return Promise.all([
    tryDevice('cpu', [], options.signal),
    tryDevice('webgpu', gpus, options.signal),
    tryDevice('cuda', gpus, options.signal),
  ]);
}

async function tryDevice(
  name: DeviceName,
  gpus: readonly string[],
  signal: AbortSignal | undefined,
): Promise<DeviceInfo> {
  const { answer, stderr } = await runProbe(name, signal);
  const known = gpus.length > 0 ? { gpus } : {};
  if (answer.ok) {
    const { ok: available, ...found } = answer;
    const detail = { ...known, ...found };
    return { name, available, ...(Object.keys(detail).length > 0 ? { detail } : {}) };
  }
  const reason = explainFailure(name, answer.error, stderr, gpus);
  return { name, available: false, reason, detail: { ...known, error: answer.error } };
}

/** Runs `probe-device` for `name` in a child process. What a library prints there is kept apart, as `stderr`. */
function runProbe(
  name: DeviceName,
  signal: AbortSignal | undefined,
): Promise<{ answer: ProbeAnswer; stderr: string }> {
  signal?.throwIfAborted();
  // Beside this file, and with its extension: .js when built, .ts in tests.
  const script = fileURLToPath(new URL(`./probe-device${extname(import.meta.url)}`, import.meta.url));
  return new Promise((resolve, reject) => {
    const child = fork(script, [name], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    let answer: ProbeAnswer | undefined;
    let stderr = '';
    const stop = () => child.kill('SIGKILL');
    const timer = setTimeout(() => {
      answer ??= { ok: false, error: `No answer within ${PROBE_TIMEOUT_MS / 1000} s.` };
      stop();
    }, PROBE_TIMEOUT_MS);
    signal?.addEventListener('abort', stop, { once: true });

    child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('message', (message) => (answer = message as ProbeAnswer));
    child.on('error', (error) => (answer ??= { ok: false, error: error.message }));
    child.on('close', (code, killedBy) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', stop);
      if (signal?.aborted) return reject(signal.reason);
      const crash = `The process that tried it ended with ${killedBy ?? `exit code ${code}`}.`;
      resolve({ answer: answer ?? { ok: false, error: crash }, stderr });
    });
  });
}

/** onnxruntime's failure in words for people; what is not recognised is passed on in its own. */
export function explainFailure(
  name: DeviceName,
  error: string,
  stderr: string,
  gpus: readonly string[],
): string {
  if (
    /Cannot find (package|module)|ERR_DLOPEN|cannot open shared object file.*onnxruntime_binding/.test(error)
  ) {
    return `onnxruntime-node cannot be loaded: ${firstLine(error)}`;
  }
  if (name === 'webgpu' && error.includes('Failed to get a WebGPU adapter')) {
    return gpus.length === 0
      ? 'No graphics adapter was found.'
      : `There is a ${gpus[0]}, but no Vulkan driver for it was found.`;
  }
  if (name === 'cuda' && /Failed to load shared library|backend not found/.test(error)) {
    const library = /(libonnxruntime_providers_\w+\.so|onnxruntime_providers_\w+\.dll)/.exec(
      `${stderr} ${error}`,
    )?.[1];
    const missing = library === undefined ? '' : ` (${library})`;
    const card = gpus.length === 0 ? ', and no NVIDIA GPU was found' : '';
    return `onnxruntime's CUDA libraries are not installed or cannot be loaded${missing}${card}.`;
  }
  return firstLine(error);
}

function firstLine(text: string): string {
  return text.trim().split('\n', 1)[0] ?? '';
}

/** Names of NVIDIA's cards by its Linux driver, which has a folder for each card with a line `Model: NVIDIA H100`. */
export async function nvidiaGpus(folder: string): Promise<string[]> {
  const cards = await readdir(folder).catch(() => []);
  const texts = await Promise.all(
    cards.map((card) => readFile(join(folder, card, 'information'), 'utf8').catch(() => '')),
  );
  return texts.flatMap((text) => /^Model:\s*(.+?)\s*$/m.exec(text)?.[1] ?? []);
}
