// Stand-ins for tests on any file system: clones that are plain copies, and moments that hold no changes. Tests on XFS use real clones and
// moments.

import { constants } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import type { RangeCalls, Reflink } from '../pools/disk/data-file.ts';
import { cloneAll } from '../pools/snapshots/file-copy.ts';
import type { Moments } from '../pools/snapshots/moment.ts';

const refused = (): Promise<never> => Promise.reject(Object.assign(new Error('no extents'), { code: 'ENOTSUP' }));

/** The calls on ranges of a file system without reflink. */
export const NO_RANGES: RangeCalls = { cloneRange: refused, countExtents: refused, mapExtents: refused };

export const PLAIN_CLONES: Reflink = {
  cloneFile: (from, to) => copyFile(from, to, constants.COPYFILE_EXCL),
  ranges: NO_RANGES,
};

/** Takes a moment without holding changes: clones all chunks of each copy, one after another. */
export const NO_HOLD: Moments = {
  take: async (copies) => {
    for (const copy of copies) await cloneAll(copy);
  },
};
