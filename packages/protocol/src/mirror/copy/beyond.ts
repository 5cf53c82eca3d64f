// Data that a replica may have beyond the end of the mirror (rule M21). Pure.
// Invariant: this data is unknown, and never taken for zeros.

import { MIRROR_REGION_BYTES } from '../../wire/limits.ts';

interface SizesView {
  readonly sizeBytes: number;
  readonly replicas: readonly { readonly foundBytes: number }[];
}

/** The largest size that a replica had when it was opened. */
export function largestOf(view: SizesView | null): number {
  return Math.max(0, ...(view?.replicas ?? []).map(({ foundBytes }) => foundBytes));
}

/** The region in which the mirror ends, if a replica is larger: its bit stays set. Null if no replica is larger. */
export function keptRegion(view: SizesView): number | null {
  return largestOf(view) > view.sizeBytes ? Math.floor(view.sizeBytes / MIRROR_REGION_BYTES) : null;
}
