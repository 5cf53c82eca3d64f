// Which file or device something is, whatever path leads there: by this two names of one are known, and one that took the place of another.
// Leaves what follows from it to volume-change.ts (one is not served twice) and opened-file.ts (none is served in place of another).

import type { BigIntStats } from 'node:fs';
import { deviceName } from './block-device.ts';

/** The same for every path of a file or device of this machine, while that is there. */
export function storageName(stats: BigIntStats): string {
  return stats.isBlockDevice() ? `device ${deviceName(stats.rdev)}` : `file ${stats.dev}:${stats.ino}`;
}
