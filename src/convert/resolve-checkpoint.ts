/** From what a user types to a checkpoint on this machine: a local path stays, `hf:org/name` is downloaded. */

import type { HubReference } from '../hub/reference.js';
import { parseHubReference } from '../hub/reference.js';
import type { DownloadProgress } from '../hub/transfer.js';

/** How a checkpoint is brought here. */
export interface ResolveOptions {
  /** Use what the cache holds, and ask nobody. */
  readonly offline?: boolean | undefined;
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A checkpoint on this machine. */
export interface ResolvedCheckpoint {
  readonly path: string;
  /** Where it was downloaded from, where it was. */
  readonly hub?: { readonly reference: HubReference; readonly commit: string };
}

/** @throws UsageError for a malformed reference, UnavailableError where it cannot be had. */
export async function resolveCheckpoint(
  text: string,
  options: ResolveOptions = {},
): Promise<ResolvedCheckpoint> {
  const reference = parseHubReference(text);
  if (!reference) return { path: text };
  const { downloadCheckpoint } = await import('../hub/download.js');
  const { path, commit } = await downloadCheckpoint(reference, options);
  return { path, hub: { reference, commit } };
}
