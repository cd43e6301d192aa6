/** Refuses devices that models cannot run on yet. */

import { UnavailableError } from '../errors.js';
import type { DeviceName } from './devices.js';

/** @throws UnavailableError for any device but the CPU. */
export function requireDevice(device: DeviceName): void {
  if (device === 'cpu') return;
  throw new UnavailableError(`Models run on the CPU only in this version, not on ${device}.`, {
    hint: 'Leave out --device.',
  });
}
