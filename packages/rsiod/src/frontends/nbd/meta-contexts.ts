// Lists and selects the metadata contexts of an export: base:allocation and, if the export is a snapshot, one context for each older
// snapshot of the same volume. Such a context tells which blocks have changed since the older snapshot. Pure. Invariant: only snapshots
// that were older when the exported snapshot was attached have a context.

import { NBD_CONTEXTS_LISTED_MAX, NBD_CONTEXTS_SELECTED_MAX } from '../limits.ts';
import { ALLOCATION_CONTEXT, ALLOCATION_CONTEXT_ID, CHANGED_CONTEXT, DIRTY_CONTEXT } from './wire/nbd-constants.ts';
import type { NbdExport } from './wire/nbd-export.ts';

export interface MetaContext {
  readonly id: number;
  readonly name: string;
  /** Id of the older snapshot; null for base:allocation. */
  readonly since: string | null;
}

const ALLOCATION = { id: ALLOCATION_CONTEXT_ID, name: ALLOCATION_CONTEXT, since: null } as const;

/** Returns the contexts for the answer to LIST_META_CONTEXT. The ids of the contexts are 0. */
export function listedContexts(volume: NbdExport, queries: readonly string[]): MetaContext[] {
  const all = queries.length === 0;
  const older = volume.olderSnapshots ?? [];
  const allOlder = all || queries.includes('qemu:') || queries.includes(DIRTY_CONTEXT);
  const named = new Set(queries);
  const listed = older.filter(({ name }, index) => (allOlder && index < NBD_CONTEXTS_LISTED_MAX) || named.has(DIRTY_CONTEXT + name));
  const dirty = listed.map(({ name, id }) => ({ id: 0, name: DIRTY_CONTEXT + name, since: id }));
  return all || named.has('base:') || named.has(ALLOCATION_CONTEXT) ? [{ ...ALLOCATION, id: 0 }, ...dirty] : dirty;
}

/** Returns the contexts that SET_META_CONTEXT selects. A query selects a context only by its complete name. */
export function selectedContexts(volume: NbdExport, queries: readonly string[]): MetaContext[] {
  const selected: MetaContext[] = [];
  for (const query of new Set(queries)) {
    if (selected.length >= NBD_CONTEXTS_SELECTED_MAX) break;
    const older = volume.olderSnapshots?.find((one) => query === DIRTY_CONTEXT + one.name || query === CHANGED_CONTEXT + one.id);
    if (query === ALLOCATION_CONTEXT) selected.push(ALLOCATION);
    else if (older !== undefined) selected.push({ id: ALLOCATION_CONTEXT_ID + 1 + selected.length, name: query, since: older.id });
  }
  return selected;
}
