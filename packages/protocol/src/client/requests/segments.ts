// How long the pieces are into which the client cuts one large I/O: so short that each path can carry one, as far as that is worth what a
// request costs. Pure. Leaves cutting to the volume, and which path takes which piece to scheduler.ts.

import { SEGMENT_BYTES } from '../../link/limits.ts';
import { SEGMENT_MIN_BYTES } from './limits.ts';

export function segmentBytes(ioBytes: number, pathCount: number): number {
  return ioBytes < SEGMENT_BYTES * pathCount ? SEGMENT_MIN_BYTES : SEGMENT_BYTES;
}
