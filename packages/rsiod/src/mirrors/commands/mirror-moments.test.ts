// Tests when the client makes the moments of replicated mirrors: what the servers list decides, one mirror does not wait for another, and an
// error is logged once.

import type { ReplicationView } from '@rsio/api/views/views';
import { type ErrorCode, RsError } from '@rsio/base/lib/errors';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { expect, test } from 'vitest';
import { isDue, MirrorMoments, type MomentMirror } from './mirror-moments.ts';
import type { MirrorServer } from './mirror-server.ts';

const MIRROR = 'a'.repeat(32);
const DB: MomentMirror = { label: 'osl:db@0', volume: { namespace: 'osl', name: 'db', universe: 0 }, driver: { mirror: MIRROR } };

function view(changes: Partial<ReplicationView> = {}): ReplicationView {
  return {
    id: 'r',
    direction: 'out',
    peer: 'oslo',
    pool: null,
    volumes: [{ name: 'db', universe: 0 }],
    everyMs: 5_000,
    keep: 3,
    limitBytes: null,
    state: 'waiting',
    text: '',
    momentMs: 0,
    ageMs: null,
    doneBytes: 0,
    totalBytes: 0,
    nextMs: null,
    ...changes,
  };
}

function scene(listed: () => Promise<unknown>, attached: readonly MomentMirror[] = [DB]) {
  const clock = new FakeClock();
  const [made, warned]: [string[], string[]] = [[], []];
  const server = {
    name: 'big-9',
    trouble: null,
    volumes: [{ name: 'db', universe: 0, mirror: MIRROR }],
    callAdmin: () => listed(),
  } as unknown as MirrorServer;
  const result = { failure: null as string | null, code: 'E_POOL' as ErrorCode };
  const moments = new MirrorMoments({
    clock,
    log: { warn: (text: string) => void warned.push(text) },
    newId: () => 'id',
    mirrors: { all: attached },
    namespaces: () => [{ name: 'osl', nodename: 'big-2', servers: [server], unreached: [] }],
    snapshots: {
      make: async ({ namespace, name, universe, snapshot }, isMoment) => {
        made.push(`${namespace}:${name}@${universe} ${snapshot.slice(0, 8)} ${isMoment}`);
        if (result.failure !== null) throw new RsError(result.code, result.failure);
        return undefined as never;
      },
    },
  });
  return { clock, made, warned, moments, result };
}

const list =
  (...replications: readonly ReplicationView[]) =>
  () =>
    Promise.resolve({ replications });

test('a moment is due when a server needs one, and not again before its interval is over', async () => {
  const { clock, made, moments } = scene(list(view()));
  expect(await moments.look()).toBe(5_000);
  expect(made).toEqual(['osl:db@0 replica- true']);
  await moments.look();
  expect(made).toHaveLength(1);
  clock.advance(5_000);
  await moments.look();
  expect(made).toHaveLength(2);
});

test('the age of the last moment that was copied decides after a start, and both servers count', () => {
  expect(isDue([], null)).toBe(false);
  expect(isDue([{ everyMs: 5_000, ageMs: 4_999 }], null)).toBe(false);
  expect(isDue([{ everyMs: 5_000, ageMs: 5_000 }], null)).toBe(true);
  expect(
    isDue(
      [
        { everyMs: 5_000, ageMs: 1_000 },
        { everyMs: 5_000, ageMs: 9_000 },
      ],
      6_000,
    ),
  ).toBe(true);
  expect(isDue([{ everyMs: 5_000, ageMs: 9_000 }], 4_999)).toBe(false);
});

test('nothing is made for other volumes, for followers, and when no server lists a replication', async () => {
  for (const listed of [
    list(view({ volumes: [{ name: 'log', universe: 0 }] }), view({ direction: 'in' })),
    () => Promise.resolve({ replications: 'many' }),
    () => Promise.reject(new RsError('E_RIGHTS', 'The right is use')),
  ]) {
    const { made, moments } = scene(listed);
    expect([await moments.look(), made]).toEqual([10_000, []]);
  }
});

test('an error is logged once, and the next moment is tried when it is due', async () => {
  const { clock, made, warned, moments, result } = scene(list(view()));
  result.failure = 'The pool is full';
  for (let count = 0; count < 3; count++) {
    await moments.look();
    await Promise.resolve();
    clock.advance(5_000);
  }
  expect([made.length, warned]).toEqual([3, ['The next moment of the replication of mirror osl:db@0 was not made: The pool is full']]);
  moments.stop();
  await moments.look();
  expect(made).toHaveLength(3);
});

test('a server that is busy is tried again, and only one that stays busy is logged', async () => {
  const { clock, warned, moments, result } = scene(list(view()));
  result.code = 'E_BUSY';
  const next = async (failure: string | null): Promise<void> => {
    result.failure = failure;
    await moments.look();
    await Promise.resolve();
    clock.advance(5_000);
  };
  for (const failure of ['busy', 'busy', null, 'busy', 'busy', 'busy']) await next(failure);
  expect(warned).toEqual([]);
  await next('busy');
  await next('busy');
  expect(warned).toHaveLength(1);
});
