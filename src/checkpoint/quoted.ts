/** Names out of untrusted files, made fit for a message. */

/** Longest name that a message repeats whole; a real tensor name has about 60 characters. */
const MAX_SHOWN = 200;

/**
 * The name in double quotes, control characters escaped (a terminal must not obey them), cut if it is absurdly long. What should
 * have been a name but is a list or worse is not spelled out: a crafted one could be nested without end.
 */
export function quoted(name: unknown): string {
  if (typeof name !== 'string') return typeof name === 'object' ? 'something that is not text' : String(name);
  return JSON.stringify(name.length <= MAX_SHOWN ? name : `${name.slice(0, MAX_SHOWN)}…`);
}
