// Data that a replica may have beyond the end of the mirror (rule M21). Pure.
// Invariant: the content of this data counts as unknown, and never as zeros.

import { MIRROR_REGION_BYTES } from '../../wire/limits.ts';

interface SizesView {
  readonly sizeBytes: number;
  readonly replicas: readonly { readonly foundBytes: number }[];
}

/** Returns the size of the replica that was largest when it was opened. */
export function largestOf(view: SizesView | null): number {
  return Math.max(0, ...(view?.replicas ?? []).map(({ foundBytes }) => foundBytes));
}

/**
 * If a replica is larger than the mirror, returns the region in which the mirror ends; the bit of this region stays set. If no replica is
 * larger, returns null.
 */
export function keptRegion(view: SizesView): number | null {
  return largestOf(view) > view.sizeBytes ? Math.floor(view.sizeBytes / MIRROR_REGION_BYTES) : null;
}
