/** Names out of untrusted files, made fit for a message. */

/** Longest name that a message repeats whole; a real tensor name has about 60 characters. */
const MAX_SHOWN = 200;

/** The name in double quotes, control characters escaped (a terminal must not obey them), cut if it is absurdly long. */
export function quoted(name: string): string {
  return JSON.stringify(name.length <= MAX_SHOWN ? name : `${name.slice(0, MAX_SHOWN)}…`);
}
