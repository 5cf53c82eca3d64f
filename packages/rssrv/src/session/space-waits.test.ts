// Tests changes that wait because the pool is full: the order of the changes, handles that are closed while changes wait, and several
// volumes at once. Time and storage are simulated; test/integration fills real file systems. Rules: G16.

import { AssertionError } from '@rsio/base/lib/assert';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { EXTENT } from '@rsio/protocol/wire/messages';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import { beforeEach, expect, test } from 'vitest';
import { SPACE_RETRY_MS } from './limits.ts';
import type { OpenVolume } from './request.ts';
import { type Needed, SpaceWaits } from './space-waits.ts';

/** The volumes of the test have space allocated up to this position. */
const ALLOCATED_BYTES = 1 << 20;

let clock: FakeClock;
let waits: SpaceWaits;
let events: string[];
/** Names of changes in the order in which the storage executed them. */
let executed: string[];
let isFull: boolean;
/** Unanswered queries for extents. The test calls the function of a query to answer the query. */
let looks: (() => void)[];
/**
 * The unfinished attempts to execute changes. The test calls the function of an attempt to end the attempt. Null if the storage ends each
 * attempt at once.
 */
let held: (() => void)[] | null;

beforeEach(() => {
  clock = new FakeClock();
  events = [];
  executed = [];
  isFull = true;
  looks = [];
  held = null;
  waits = new SpaceWaits(clock, (id, isWaiting) => void events.push(`${id} ${isWaiting ? 'waits' : 'goes on'}`));
});

function handle(id = 'db', pool: string | null = 'fast'): OpenVolume {
  const place = pool === null ? {} : { pool: { ids: [pool], isThick: false } };
  const backend = {
    capabilities: { canExtents: true },
    extents: (positionBytes: number, lengthBytes: number, done: (status: Status, pairs: number[]) => void) => {
      looks.push(() => done(STATUS.OK, [lengthBytes / 512, positionBytes < ALLOCATED_BYTES ? EXTENT.DATA : EXTENT.HOLE]));
    },
  };
  return { volume: { id, ...place }, backend, isClosing: false, isShort: false } as unknown as OpenVolume;
}

function change(open: OpenVolume, name: string, outcomes: string[], needed: Needed = null): void {
  const start = (end: (status: Status) => void): void => {
    const status = isFull ? STATUS.NO_SPACE : STATUS.OK;
    if (status === STATUS.OK) executed.push(name);
    if (held === null) end(status);
    else held.push(() => end(status));
  };
  waits.execute(open, needed, start, (status) => void outcomes.push(`${name} ${status}`));
}

test('changes wait while the pool is full, and end in order when it has space', () => {
  const [open, outcomes] = [handle(), [] as string[]];
  for (const name of ['a', 'b', 'c']) change(open, name, outcomes);
  clock.advance(10 * SPACE_RETRY_MS);
  expect([outcomes, events]).toEqual([[], ['db waits']]);
  isFull = false;
  clock.advance(SPACE_RETRY_MS);
  expect(outcomes).toEqual(['a 0', 'b 0', 'c 0']);
  expect(executed).toEqual(['a', 'b', 'c']);
  expect(events).toEqual(['db waits', 'db goes on']);
  expect(clock.timersPending).toBe(0);
});

test('a change that needs no new space is not held up by those that wait', () => {
  const [open, outcomes] = [handle(), [] as string[]];
  change(open, 'new', outcomes);
  isFull = false;
  change(open, 'old', outcomes);
  expect(outcomes).toEqual(['old 0']);
});

test('a volume outside pools gets the error at once', () => {
  const outcomes: string[] = [];
  change(handle('plain', null), 'a', outcomes);
  expect([outcomes, events]).toEqual([[`a ${STATUS.NO_SPACE}`], []]);
});

test('a closing handle ends its changes with STALE, and those of another handle go on waiting', () => {
  const [one, other, outcomes] = [handle(), handle(), [] as string[]];
  change(one, 'a', outcomes);
  change(other, 'b', outcomes);
  Object.assign(one, { isClosing: true });
  waits.release(one);
  expect(outcomes).toEqual([`a ${STATUS.STALE}`]);
  change(one, 'c', outcomes);
  expect(outcomes).toEqual([`a ${STATUS.STALE}`, `c ${STATUS.STALE}`]);
  isFull = false;
  clock.advance(SPACE_RETRY_MS);
  expect(outcomes.at(-1)).toBe('b 0');
  expect(events).toEqual(['db waits', 'db goes on']);
});

test('an attempt in progress when its handle closes ends with what the storage says, or with STALE', () => {
  for (const status of [STATUS.OK, STATUS.NO_SPACE]) {
    const [open, outcomes] = [handle(), [] as string[]];
    isFull = true;
    held = null;
    change(open, 'a', outcomes);
    held = [];
    isFull = status === STATUS.NO_SPACE;
    clock.advance(SPACE_RETRY_MS);
    Object.assign(open, { isClosing: true });
    waits.release(open);
    expect(outcomes).toEqual([]);
    held[0]?.();
    expect(outcomes).toEqual([`a ${status === STATUS.OK ? STATUS.OK : STATUS.STALE}`]);
    expect(clock.timersPending).toBe(0);
  }
});

test('two volumes wait side by side', () => {
  const outcomes: string[] = [];
  change(handle('one'), 'a', outcomes);
  change(handle('two'), 'b', outcomes);
  isFull = false;
  clock.advance(SPACE_RETRY_MS);
  expect(outcomes).toEqual(['a 0', 'b 0']);
  expect(events).toEqual(['one waits', 'two waits', 'one goes on', 'two goes on']);
});

const OLD: Needed = { positionBytes: 0, lengthBytes: 4096 };
const NEW: Needed = { positionBytes: ALLOCATED_BYTES, lengthBytes: 4096 };

test('with less than the reserve free, only changes that need new space wait, and they go on when the reserve is free', () => {
  isFull = false;
  const [open, outcomes] = [handle(), [] as string[]];
  waits.setShort(new Set(['fast']), [open]);
  change(open, 'new', outcomes, NEW);
  change(open, 'old', outcomes, OLD);
  change(open, 'flush', outcomes);
  expect(executed).toEqual(['flush']);
  for (const look of looks.splice(0)) look();
  expect(executed).toEqual(['flush', 'old']);
  expect(events).toEqual(['db waits']);
  clock.advance(10 * SPACE_RETRY_MS);
  expect(executed).toEqual(['flush', 'old']);
  waits.setShort(new Set(), [open]);
  expect(executed).toEqual(['flush', 'old', 'new']);
  expect([events, outcomes.length, clock.timersPending]).toEqual([['db waits', 'db goes on'], 3, 0]);
});

test('a thick volume, and a volume of another pool, are never short', () => {
  const [thick, other] = [handle('thick'), handle('other', 'slow')];
  (thick.volume.pool as { isThick: boolean }).isThick = true;
  waits.setShort(new Set(['fast']), [thick, other]);
  expect([thick.isShort, other.isShort]).toEqual([false, false]);
});

test('storage that cannot tell what is allocated makes every write wait below the reserve', () => {
  isFull = false;
  const [open, outcomes] = [handle(), [] as string[]];
  (open.backend.capabilities as { canExtents: boolean }).canExtents = false;
  waits.setShort(new Set(['fast']), [open]);
  change(open, 'old', outcomes, OLD);
  expect([executed, events]).toEqual([[], ['db waits']]);
});

test('a handle that closes while the storage is asked ends its change with STALE', () => {
  const [open, outcomes] = [handle(), [] as string[]];
  waits.setShort(new Set(['fast']), [open]);
  change(open, 'new', outcomes, NEW);
  open.isClosing = true;
  waits.release(open);
  looks[0]!();
  expect([outcomes, events]).toEqual([[`new ${STATUS.STALE}`], []]);
});

test('two pools: what waits for one of them does not go on when the other has space', () => {
  isFull = false;
  const [open, other, outcomes] = [handle('a'), handle('b', 'slow'), [] as string[]];
  waits.setShort(new Set(['fast', 'slow']), [open, other]);
  change(open, 'a', outcomes, NEW);
  change(other, 'b', outcomes, NEW);
  for (const look of looks.splice(0)) look();
  waits.setShort(new Set(['slow']), [open, other]);
  expect([executed, events]).toEqual([['a'], ['a waits', 'b waits', 'a goes on']]);
});

test('a storage that ends an attempt twice is a mistake of the server', () => {
  const [open, outcomes] = [handle(), [] as string[]];
  change(open, 'a', outcomes);
  held = [];
  isFull = false;
  clock.advance(SPACE_RETRY_MS);
  held[0]?.();
  expect(outcomes).toEqual(['a 0']);
  expect(() => held?.[0]?.()).toThrow(AssertionError);
});
