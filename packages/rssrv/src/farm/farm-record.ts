// The record of a shared pool: who owns the pool, and who may still write to it. Pure; the engines store records outside of the file system
// of the pool. Invariants (docs/PROTOCOL.md, Farms): a record changes only into its successor, by compare-and-swap of the version; the
// generation grows with each new owner; a generation is removed from the writers only when it has ended, or when its fence is proven.

import { checked, list, object, type Of, optional, orNull, type Shape, text, whole, word } from '@rsio/base/lib/shape';
import { OWNERS_MAX } from '@rsio/common/config/schema/limits';
import { CLIENT_MAX_CHARS, REFUSAL_MAX_CHARS, WRITERS_MAX } from './limits.ts';

const number = whole(0, Number.MAX_SAFE_INTEGER);
const client = checked(text(), (value) => (value.length <= CLIENT_MAX_CHARS ? null : `is longer than ${CLIENT_MAX_CHARS} characters`));

/**
 * A generation whose writes the storage may still execute. `client` is the name by which a fence identifies it; each engine has its own
 * form of names.
 */
const WRITER = object({ generation: number, server: text(), client });
export type Writer = Of<typeof WRITER>;

const FIELDS = object({
  /** Grows with each change of the record. */
  version: number,
  generation: number,
  /**
   * `claimed`: the owner is about to make the file system. `making`: the file system is made, and the owner makes the empty pool. `free`:
   * no server owns the pool, and its file system is unmounted. `taking`: the owner fences and mounts, and serves nothing yet. `serving`:
   * the owner serves the pool.
   */
  state: word(['claimed', 'making', 'free', 'taking', 'serving']),
  /** The owner with its client of the storage; null if the pool is free. Its generation is that of the record. */
  owner: orNull(WRITER),
  /** The earlier generations that may still write. */
  writers: checked(list(WRITER), (value) => (value.length <= WRITERS_MAX ? null : `has more than ${WRITERS_MAX} entries`)),
  /** The generation in which the present incarnations of the volumes began. A clean move keeps it. */
  life: number,
  /** In a free record: the server that is to take the pool now; null if any of the owners may take it. */
  next: orNull(text()),
  /** Names of the servers that may own the pool, in order of preference. */
  owners: checked(list(text()), (value) => (value.length <= OWNERS_MAX ? null : `has more than ${OWNERS_MAX} entries`)),
  /** Wall-clock time of the last change, in ms, by the clock of the server that made the change; only for display. */
  sinceMs: number,
});
export type FarmRecord = Of<typeof FIELDS>;

/** The record as it is stored. */
export const RECORD: Shape<FarmRecord> = checked(FIELDS, ({ state, owner, generation }) => {
  if ((state === 'free') !== (owner === null)) return `is ${state}, and its owner is ${owner?.server ?? 'nobody'}`;
  return owner === null || owner.generation === generation ? null : 'has an owner of another generation';
});

export const NOTE = object({
  /** Generation that the server serves; 0 if it serves none. */
  generation: number,
  /**
   * Grows with each note of the server. If a note does not change for a while, its server is not running, or has no access to the storage.
   */
  count: number,
  /** The server asks the owner with this generation to give the pool up to the server `to`; null if it asks for nothing (F10). */
  wants: orNull(object({ generation: number, to: text() })),
  /** The reason why the owner could not do what a note asks for; null if it could, or if no note asks. */
  refusal: orNull(
    checked(text(), (value) => (value.length <= REFUSAL_MAX_CHARS ? null : `is longer than ${REFUSAL_MAX_CHARS} characters`)),
  ),
  /** Load of the pool at the server that serves it (server/shared/pool-loads.ts), otherwise 0. Only for display. */
  load: optional(number),
});
export type Note = Of<typeof NOTE>;

/** Returns the first record of a pool, which is free. */
export function firstRecord(owners: readonly string[], nowMs: number): FarmRecord {
  return { version: 1, generation: 0, state: 'free', owner: null, writers: [], life: 0, next: null, owners, sinceMs: nowMs };
}

/**
 * Returns the record when `server` begins to take the pool (F4). `client` is the name of the server's client of the storage. A later taker
 * can therefore fence this client, which is necessary because a mount writes even before the pool is served. Returns null if the record has
 * no room for another writer.
 */
export function taken(before: FarmRecord, server: string, client: string, nowMs: number): FarmRecord | null {
  const writers = before.owner === null ? before.writers : [...before.writers, before.owner];
  if (writers.length > WRITERS_MAX) return null;
  const generation = before.generation + 1;
  return {
    version: before.version + 1,
    generation,
    state: 'taking',
    owner: { generation, server, client },
    writers,
    life: before.life,
    next: null,
    owners: before.owners,
    sinceMs: nowMs,
  };
}

/** Returns the record when `server` begins to make the pool. `before` is null, or the record of an attempt that was interrupted. */
export function claimed(
  before: FarmRecord | null,
  owners: readonly string[],
  server: string,
  client: string,
  nowMs: number,
): FarmRecord | null {
  const next = taken(before ?? { ...firstRecord(owners, nowMs), version: 0 }, server, client, nowMs);
  return next === null ? null : { ...next, state: before?.state === 'making' ? 'making' : 'claimed', owners };
}

/** Returns the record when the maker has made the file system, so that nothing else is on the disk. */
export function formatted(before: FarmRecord): FarmRecord {
  return { ...before, version: before.version + 1, state: 'making', writers: [] };
}

/**
 * Returns the record when the owner, whose record is `before`, begins to serve. All writers in `before` must be fenced, and the file system
 * must be mounted. `isClean`: the owner has taken a free pool, so that the incarnations of the volumes go on (F6).
 */
export function served(before: FarmRecord, isClean: boolean, nowMs: number): FarmRecord {
  return {
    ...before,
    version: before.version + 1,
    state: 'serving',
    writers: [],
    life: isClean ? before.life : before.generation,
    sinceMs: nowMs,
  };
}

/**
 * Returns the record when the owner has given the pool up: everything is synced and saved, and the file system is unmounted (F6). `next` is
 * the server that is to take it, if any.
 */
export function freed(before: FarmRecord, next: string | null, nowMs: number): FarmRecord {
  return { ...before, version: before.version + 1, state: 'free', owner: null, writers: [], next, sinceMs: nowMs };
}

/**
 * Returns the record when the owner has not succeeded in taking the pool, and nothing of the take is left. All earlier writers must be
 * fenced. As in `served`, the incarnations of the volumes go on only if `isClean`, which means that the owner had taken a free pool.
 */
export function untaken(before: FarmRecord, isClean: boolean, next: string | null, nowMs: number): FarmRecord {
  return freed({ ...before, life: isClean ? before.life : before.generation }, next, nowMs);
}

/** Returns true if `record` names the server as the owner with this generation. */
export function isOwner(record: FarmRecord | null, server: string, generation: number): boolean {
  return record !== null && record.owner?.server === server && record.generation === generation;
}
