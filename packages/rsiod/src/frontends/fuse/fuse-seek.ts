// Where the next data or the next hole of a volume is, for lseek(2): the volume is asked for its allocation piece by piece.
// Invariant: what is not known to be a hole is data, so a copy may take too much along and never too little.

import { FUSE_SEEK_BYTES } from './limits.ts';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import type { FrontendVolume, Extent } from '../../volumes/frontend-volume.ts';

export interface Sought {
  readonly status: Status;
  /** null: no data from there on. */
  readonly positionBytes: number | null;
}

/** `fromBytes` is within the volume. There is always a hole: at the end of the volume. */
export function seek(volume: FrontendVolume, fromBytes: number, what: 'data' | 'hole', done: (sought: Sought) => void): void {
  const endBytes = volume.sizeBytes;
  const ask = (at: number): void => {
    volume.extents(at, Math.min(FUSE_SEEK_BYTES, endBytes - at), (status, extents) => {
      if (status === STATUS.UNSUPPORTED) return done({ status: STATUS.OK, positionBytes: what === 'data' ? fromBytes : endBytes });
      if (status !== STATUS.OK) return done({ status, positionBytes: null });
      const { found, behind } = lookIn(extents, at, what);
      if (found !== null) return done({ status, positionBytes: Math.max(fromBytes, found) });
      // No extents at all would be asked for without end.
      if (behind === at || behind >= endBytes) return done({ status, positionBytes: what === 'data' ? null : endBytes });
      ask(behind);
    });
  };
  ask(fromBytes - (fromBytes % volume.blockSizeBytes));
}

function lookIn(extents: readonly Extent[], fromBytes: number, what: 'data' | 'hole'): { found: number | null; behind: number } {
  let at = fromBytes;
  for (const { lengthBytes, isHole: hole } of extents) {
    if (hole === (what === 'hole')) return { found: at, behind: at };
    at += lengthBytes;
  }
  return { found: null, behind: at };
}
