/** A thread of the {@link Pool}: quantizes one band after the other. */

import { parentPort } from 'node:worker_threads';
import { type BandJob, type BandResult, quantizeBand } from './band.js';

/** A job by number. */
export interface ToQuantizer {
  readonly id: number;
  readonly job: BandJob;
}

/** What came of the job of that number. */
export interface FromQuantizer {
  readonly id: number;
  readonly result: BandResult;
}

const port = parentPort!;
port.on('message', ({ id, job }: ToQuantizer) => {
  port.postMessage({ id, result: quantizeBand(job) } satisfies FromQuantizer);
});
