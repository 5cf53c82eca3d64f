// The metadata contexts of an export: base:allocation, and for a snapshot one for each older snapshot of its volume, which tells what has changed
// since. Pure. Invariant: a context that is selected is of a snapshot that was older when this one was attached.

import type { FrontendVolume } from '../../volumes/frontend-volume.ts';
import { NBD_CONTEXTS_LISTED_MAX, NBD_CONTEXTS_SELECTED_MAX } from './wire/limits.ts';
import { ALLOCATION_CONTEXT, ALLOCATION_CONTEXT_ID, CHANGED_CONTEXT, DIRTY_CONTEXT } from './wire/nbd-constants.ts';

export interface MetaContext {
  readonly id: number;
  readonly name: string;
  /** Id of the older snapshot; null for base:allocation. */
  readonly since: string | null;
}

const ALLOCATION = { id: ALLOCATION_CONTEXT_ID, name: ALLOCATION_CONTEXT, since: null } as const;

/** The answer to LIST_META_CONTEXT, without ids. */
export function listedContexts(volume: FrontendVolume, queries: readonly string[]): MetaContext[] {
  const all = queries.length === 0;
  const older = volume.olderSnapshots ?? [];
  const allOlder = all || queries.includes('qemu:') || queries.includes(DIRTY_CONTEXT);
  const named = new Set(queries);
  const listed = older.filter(({ name }, index) => (allOlder && index < NBD_CONTEXTS_LISTED_MAX) || named.has(DIRTY_CONTEXT + name));
  const dirty = listed.map(({ name, id }) => ({ id: 0, name: DIRTY_CONTEXT + name, since: id }));
  return all || named.has('base:') || named.has(ALLOCATION_CONTEXT) ? [{ ...ALLOCATION, id: 0 }, ...dirty] : dirty;
}

/** The contexts that SET_META_CONTEXT selects. Only whole names select. */
export function selectedContexts(volume: FrontendVolume, queries: readonly string[]): MetaContext[] {
  const selected: MetaContext[] = [];
  for (const query of new Set(queries)) {
    if (selected.length >= NBD_CONTEXTS_SELECTED_MAX) break;
    const older = volume.olderSnapshots?.find((one) => query === DIRTY_CONTEXT + one.name || query === CHANGED_CONTEXT + one.id);
    if (query === ALLOCATION_CONTEXT) selected.push(ALLOCATION);
    else if (older !== undefined) selected.push({ id: ALLOCATION_CONTEXT_ID + 1 + selected.length, name: query, since: older.id });
  }
  return selected;
}
