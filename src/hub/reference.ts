/** Hub references: `hf:org/name[@revision][/path]`, what a user types instead of a local path. */

import { UsageError } from '../errors.js';
import { isSafePath } from './repository-path.js';

/** A model repository on a hub, and what of it is wanted. */
export interface HubReference {
  /** `org/name`. */
  readonly repository: string;
  /** A branch, a tag or a commit; `main` where the user said nothing. */
  readonly revision: string;
  /** A folder or one weight file inside the repository; empty for the whole of it. */
  readonly path: string;
}

// A revision ends at the next slash, except in the two kinds of reference that the hub itself makes. The slash of any
// other branch is written %2F. This is how huggingface_hub reads `hf://` paths.
const REFERENCE = /^([^/@]+)\/([^/@]+)(?:@((?:refs\/(?:pr|convert)\/)?[^/]+))?(?:\/(.*))?$/;

// The hub's rules for names (huggingface_hub, validate_repo_id).
const NAME = /^\w(?:[\w.-]*\w)?$/;
const MAX_REPOSITORY_LENGTH = 96;

// A revision becomes a path below `refs/` in the cache: only what is harmless there.
const REVISION = /^[\w.+=-]+(?:\/[\w.+=-]+)*$/;
const MAX_REVISION_LENGTH = 200;

const FORM = 'A hub reference looks like hf:org/name, hf:org/name@revision or hf:org/name@revision/folder.';

/**
 * Reads `hf:org/name[@revision][/path]` (also with `hf://`); undefined for text that does not begin with `hf:`.
 *
 * @throws UsageError where the text begins with `hf:` but names no repository, revision or path that could exist.
 */
export function parseHubReference(text: string): HubReference | undefined {
  if (!text.startsWith('hf:')) return undefined;
  const match = REFERENCE.exec(text.replace(/^hf:(?:\/\/)?/, ''));
  if (!match) throw malformed(text, 'it does not say both org and name');
  const [, organization = '', name = '', writtenRevision = 'main', writtenPath = ''] = match;

  const repository = `${organization}/${name}`;
  if (!isRepository(organization, name, repository))
    throw malformed(text, `"${repository}" is not a repository name`);

  const revision = decodeSlashes(writtenRevision);
  if (!isRevision(revision)) throw malformed(text, `"${writtenRevision}" is not a revision`);

  const path = writtenPath.replace(/\/+$/, '');
  if (path !== '' && !isSafePath(path))
    throw malformed(text, `"${writtenPath}" is not a path inside a repository`);
  return { repository, revision, path };
}

/** Writes a reference as a user would type it. */
export function formatHubReference({ repository, revision, path }: HubReference): string {
  const written = revision.startsWith('refs/') ? revision : revision.replaceAll('/', '%2F');
  return `hf:${repository}${revision === 'main' ? '' : `@${written}`}${path === '' ? '' : `/${path}`}`;
}

function isRepository(organization: string, name: string, repository: string): boolean {
  return (
    NAME.test(organization) &&
    NAME.test(name) &&
    repository.length <= MAX_REPOSITORY_LENGTH &&
    !/--|\.\.|\.git$/.test(repository)
  );
}

function isRevision(revision: string): boolean {
  return revision.length <= MAX_REVISION_LENGTH && REVISION.test(revision) && isSafePath(revision);
}

function decodeSlashes(revision: string): string {
  return revision.replace(/%2F/gi, '/');
}

function malformed(text: string, reason: string): UsageError {
  return new UsageError(`${text} is not a hub reference: ${reason}.`, { hint: FORM });
}
