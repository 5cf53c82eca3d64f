// Finds the next data or the next hole in a volume for lseek(2), by requesting the volume's extents piece by piece. Invariant: everything
// that is not known to be a hole counts as data, so that a program that skips holes never leaves data out of a copy.

import { FUSE_SEEK_BYTES } from '../limits.ts';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import type { FrontendVolume, Extent } from '../../volumes/frontend-volume.ts';

export interface Sought {
  readonly status: Status;
  /** The position of the data or the hole; null if the volume has no data at or after the start position. */
  readonly positionBytes: number | null;
}

/** `fromBytes` must be within the volume. A hole is always found, because the end of the volume counts as a hole. */
export function seek(volume: FrontendVolume, fromBytes: number, what: 'data' | 'hole', done: (sought: Sought) => void): void {
  const endBytes = volume.sizeBytes;
  const request = (at: number): void => {
    volume.extents(at, Math.min(FUSE_SEEK_BYTES, endBytes - at), (status, extents) => {
      if (status === STATUS.UNSUPPORTED) return done({ status: STATUS.OK, positionBytes: what === 'data' ? fromBytes : endBytes });
      if (status !== STATUS.OK) return done({ status, positionBytes: null });
      const { found, behind } = lookIn(extents, at, what);
      if (found !== null) return done({ status, positionBytes: Math.max(fromBytes, found) });
      // An answer without extents ends the search, because the same extents would otherwise be requested forever.
      if (behind === at || behind >= endBytes) return done({ status, positionBytes: what === 'data' ? null : endBytes });
      request(behind);
    });
  };
  request(fromBytes - (fromBytes % volume.blockSizeBytes));
}

function lookIn(extents: readonly Extent[], fromBytes: number, what: 'data' | 'hole'): { found: number | null; behind: number } {
  let at = fromBytes;
  for (const { lengthBytes, isHole } of extents) {
    if (isHole === (what === 'hole')) return { found: at, behind: at };
    at += lengthBytes;
  }
  return { found: null, behind: at };
}
