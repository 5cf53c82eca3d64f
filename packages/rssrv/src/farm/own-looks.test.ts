// Tests what a server knows about its own looks at the record of a shared pool: the age of the last look, and for how long an earlier owner
// may still answer. shared-pool.test.ts has whole servers. Rules: F8, H2.

import { FakeClock } from '@rsio/base/testing/fake-clock';
import { beforeEach, expect, test } from 'vitest';
import type { Sight } from './engine.ts';
import { firstRecord, served, taken } from './farm-record.ts';
import { FarmWatch } from './farm-watch.ts';
import { DISPUTED_MS } from './limits.ts';
import { type LookedOwnership, OwnLooks } from './own-looks.ts';

const OWNERS = ['big-1', 'big-2'];
const MINE = served(taken(firstRecord(OWNERS, 0), 'big-1', 'client', 0)!, true, 0);
const OTHERS = served(taken(MINE, 'big-2', 'other', 0)!, false, 0);

let clock: FakeClock;
let owned: LookedOwnership | null;
let answers: { give(sight: Sight): void; fail(error: Error): void }[];
let said: string[];
let looks: OwnLooks;

beforeEach(() => {
  clock = new FakeClock();
  clock.advance(50_000);
  owned = { generation: 1, life: 0, sinceMs: 50_000, lookedMs: 50_000, isLost: false };
  [answers, said] = [[], []];
  looks = new OwnLooks(new FarmWatch(clock, 'big-1', 10_000, () => 0), {
    clock,
    server: 'big-1',
    owned: () => owned,
    engine: { look: () => new Promise((give, fail) => answers.push({ give, fail })) },
    end: (why) => {
      said.push(why);
      owned!.isLost = true;
    },
    failed: (why) => void said.push(why),
  });
});

async function answer(record: Sight['record']): Promise<void> {
  answers.shift()!.give({ record, notes: new Map() });
  await new Promise((resolve) => setImmediate(resolve));
}

test('a look is as old as its beginning, and a slow one does not replace a younger one', async () => {
  clock.advance(4_000);
  expect(looks.ageMs(1)).toBe(4_000);
  void looks.look();
  clock.advance(3_000);
  void looks.look();
  const [slow] = answers.splice(0, 1);
  await answer(MINE);
  expect(looks.ageMs(1)).toBe(0);
  answers.push(slow!);
  clock.advance(500);
  await answer(MINE);
  expect(looks.ageMs(1)).toBe(500);
});

test('a look at the record of another owner, or one that failed, does not count', async () => {
  clock.advance(2_000);
  const asked = looks.isMine(1);
  await new Promise((resolve) => setImmediate(resolve));
  answers.shift()!.fail(new Error('no answer'));
  await new Promise((resolve) => setImmediate(resolve));
  expect([looks.ageMs(1), said]).toEqual([2_000, ['no answer']]);
  clock.advance(1_000);
  await new Promise((resolve) => setImmediate(resolve));
  await answer(OTHERS);
  expect([await asked, said.at(-1), looks.ageMs(1)]).toEqual([false, 'big-2 owns it now', null]);
});

test('the volumes are disputed for a while after the server has begun to serve the pool; under another generation, nothing is known', () => {
  expect([looks.disputedMs(1), looks.disputedMs(2), looks.ageMs(2)]).toEqual([DISPUTED_MS, null, null]);
  clock.advance(DISPUTED_MS - 1);
  expect(looks.disputedMs(1)).toBe(1);
  clock.advance(10_000);
  expect(looks.disputedMs(1)).toBe(0);
  owned = null;
  expect([looks.disputedMs(1), looks.ageMs(1)]).toEqual([null, null]);
});
