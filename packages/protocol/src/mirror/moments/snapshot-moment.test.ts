// Tests snapshots of a mirror at one moment (M22), in the random worlds of the data path. While users write, replicas crash, lose sessions
// and return, and another client takes over the mirror. The zoo (test/sim/zoo) shows that these worlds detect broken code. Rules: G33.

import { FakeClock } from '@rsio/base/testing/fake-clock';
import { expect, test } from 'vitest';
import { momentViolationOf } from '../../testing/mirror-data-worlds.ts';
import { MOMENT_BEGIN_MS, MOMENT_HOLD_MS } from '../limits.ts';
import type { MomentIo } from './quiet-moment.ts';
import { SnapshotMoment } from './snapshot-moment.ts';

const WORLDS = 40;

test(`no world of ${WORLDS} takes snapshots that differ or lack an acknowledged write`, async () => {
  let snapshots = 0;
  for (let seed = 1; seed <= WORLDS; seed++) expect(await momentViolationOf(seed, (taken) => (snapshots += taken))).toBeNull();
  expect(snapshots).toBeGreaterThan(WORLDS / 2);
});

function scene(isGranted = true) {
  const clock = new FakeClock();
  const state = { tenure: 'one', released: 0 };
  const replicas = ['a', 'b', 'c'].map((identity) => ({ identity, counts: true, reads: identity !== 'c', confirms: true }));
  const io: MomentIo = {
    view: { term: 3, isServing: true, sizeBytes: 4096, waitsFor: null, replicas },
    volume: { sizeBytes: 4096 },
    unsettled: { count: 0 },
    lock: (_begin, _end, granted) => {
      if (isGranted) granted();
      return { release: () => void state.released++ };
    },
    tenureOf: (identity) => (identity === 'b' ? state.tenure : 'one'),
  };
  const take = (snapshot: (identity: string) => Promise<string | null>, confirms = true) =>
    new SnapshotMoment(io, { clock, snapshot, confirmByVoters: () => Promise.resolve(confirms) }).take();
  return { clock, state, take };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('nobody has a snapshot whose term the voters do not confirm, and nobody is asked if no server has made one', async () => {
  const { take } = scene();
  const why = 'most voters did not confirm that this client still has the mirror';
  expect(Object.fromEntries(await take(async () => null, false))).toEqual({ a: why, b: why });
  expect(Object.fromEntries(await take(async () => 'no room', false))).toEqual({ a: 'no room', b: 'no room' });
  expect(Object.fromEntries(await take(async () => null))).toEqual({ a: null, b: null });
});

test('writes wait for a slow server only so long, and a replica that lost its session meanwhile does not have the snapshot', async () => {
  const { clock, state, take } = scene();
  const taken = take((identity) => {
    state.tenure = 'two';
    return identity === 'a' ? new Promise(() => undefined) : Promise.resolve(null);
  });
  await turn();
  expect(state.released).toBe(0);
  clock.advance(MOMENT_HOLD_MS);
  expect(Object.fromEntries(await taken)).toEqual({
    a: 'its server did not make it within 10s',
    b: 'its session ended meanwhile, or it is out of sync',
  });
  expect(state.released).toBe(1);
});

test('writes that do not end make the moment fail, and those behind them go on', async () => {
  const { clock, state, take } = scene(false);
  const taken = take(() => expect.unreachable());
  clock.advance(MOMENT_BEGIN_MS);
  await expect(taken).rejects.toMatchObject({ code: 'E_BUSY' });
  expect(state.released).toBe(1);
});
