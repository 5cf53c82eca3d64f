// Tests that a shared pool that leaves the server, and the volumes of the pool, never count as a fault during the move. Every other volume
// that is not served counts as a fault. events/storage-watch.test.ts tests the reports themselves.

import type { PoolConfig, ServerVolumeConfig } from '@rsio/common/config/schema/types';
import { RsError } from '@rsio/base/lib/errors';
import { expect, test } from 'vitest';
import { StorageWatch } from '../events/storage-watch.ts';
import type { PoolState } from '../pools/catalogue.ts';
import { emptyState } from '../pools/pool-content.ts';
import type { VolumeFailure } from '../volumes/volume-failures.ts';
import { storagePicture } from './storage-picture.ts';

const shared = { owners: ['big-9', 'big-8'] } as unknown as PoolConfig['shared'];
const OPEN: PoolState = {
  ...emptyState({ name: 'fast', path: '/srv/fast', limitBytes: null, reserve: 0, overcommit: 'warn', shared, line: 0 }),
  isOpen: true,
};
const LEFT: PoolState = { ...OPEN, isOpen: false, trouble: 'it moves to server big-8' };
const IN_FAST = { name: 'db', universe: 0, pool: { name: 'fast' } } as ServerVolumeConfig;
const ELSEWHERE = { name: 'log', universe: 0, path: '/log' } as ServerVolumeConfig;

function failed(name: string, context: object = {}): VolumeFailure {
  return { name, universe: 0, clients: null, error: new RsError('E_VOLUME', `Volume ${name}: x`, { ...context }) };
}

const NONE = (): null => null;
type Shown = Parameters<typeof storagePicture> extends [...infer First, unknown] ? First : never;

test('a move makes no events about volumes; a volume of another place that fails meanwhile does', () => {
  const watch = new StorageWatch();
  const events = (...args: Shown): string[] =>
    watch.look(storagePicture(...args, NONE)).map(({ object, from, to }) => `${object}: ${from} -> ${to}`);
  const all = [IN_FAST, ELSEWHERE];
  expect(events([OPEN], all, [], () => false)).toEqual([]);
  expect(
    events([OPEN], all, [failed('db')], () => true),
    'suspended',
  ).toEqual([]);
  const left = [failed('db', { hasMoved: true }), failed('log')];
  expect(events([LEFT], [ELSEWHERE], left, () => true)).toEqual(['pool fast: ready -> not here', 'volume log@0: served -> unavailable']);
  expect(events([LEFT], [ELSEWHERE], left.slice(0, 1), () => true)).toEqual(['volume log@0: unavailable -> served']);
  expect(events([OPEN], all, [], () => false)).toEqual(['pool fast: not here -> ready']);
  // The last step of a move of one volume; afterwards, it may not be known which file the volume has.
  expect(events([OPEN], all, [failed('db', { isBrief: true })], () => false)).toEqual([]);
  expect(events([OPEN], all, [failed('db', { isBrief: false })], () => false)).toEqual(['volume db@0: served -> unavailable']);
});

test('a volume that fails at the owner is reported, and does not become well because its pool leaves', () => {
  const watch = new StorageWatch();
  const look = (isAway: boolean, failures: readonly VolumeFailure[]): unknown[] =>
    watch.look(storagePicture([OPEN], [IN_FAST], failures, () => isAway, NONE));
  expect(look(false, [failed('db')])).toHaveLength(1);
  expect(look(true, [failed('db')])).toEqual([]);
});

test('a pool whose fence is not proven is unavailable, because no server can serve it', () => {
  const watch = new StorageWatch();
  const look = (unproven: string | null, pool = LEFT): unknown[] =>
    watch.look(
      storagePicture(
        [pool],
        [],
        [],
        () => pool === LEFT,
        () => unproven,
      ),
    );
  expect(look(null)).toMatchObject([{ object: 'pool fast', from: 'ready', to: 'not here' }]);
  const reason = 'it waits for the fence of big-9';
  expect(look(reason)).toEqual([{ object: 'pool fast', from: 'not here', to: 'unavailable', reason }]);
  expect(look(null)).toMatchObject([{ from: 'unavailable', to: 'not here' }]);
  look(reason);
  expect(look(null, OPEN)).toMatchObject([{ from: 'unavailable', to: 'ready' }]);
});
