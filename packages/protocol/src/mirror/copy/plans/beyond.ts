// What a replica may have beyond the end of the mirror (rule M21). Pure; copier.ts clears it. Invariant: nobody knows what lies there, so
// that it is never taken for zeros.

import { MIRROR_REGION_BYTES } from '../../../wire/limits.ts';

interface SizesView {
  readonly sizeBytes: number;
  readonly replicas: readonly { readonly foundBytes: number }[];
}

/** The largest size in which a replica was found. */
export function largestOf(view: SizesView | null): number {
  return Math.max(0, ...(view?.replicas ?? []).map(({ foundBytes }) => foundBytes));
}

/** The region whose bit stays set, because the mirror ends in it and a replica does not; null: there is none. */
export function keptRegion(view: SizesView): number | null {
  return largestOf(view) > view.sizeBytes ? Math.floor(view.sizeBytes / MIRROR_REGION_BYTES) : null;
}
