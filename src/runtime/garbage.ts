/** Memory that is given back at once. */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

let collect: (() => void) | undefined;

/**
 * Frees arrays that nobody holds any more. V8 does so when it sees fit, which may be after gigabytes of them: a state that grew block by block took twice its size. A
 * thread that holds little else is done in milliseconds.
 */
export function collectGarbage(): void {
  if (!collect) {
    // The one way to V8's collector without starting Node with this flag.
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as () => void;
  }
  collect();
}
