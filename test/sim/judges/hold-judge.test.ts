// The judge of holds says each kind of breach when it happens, and nothing when all is well: a checker that is always content is a defect.
// Leaves whole worlds to the seeds.

import { beforeEach, expect, test } from 'vitest';
import { type Decided, HoldJudge } from './hold-judge.ts';

let nowMs: number;
let judge: HoldJudge;

beforeEach(() => {
  nowMs = 0;
  judge = new HoldJudge('oracle', () => nowMs);
});

function given(epoch: number, client: number, how: Decided['how'] = 'no', unsettledSince: string | null = null): boolean {
  nowMs += 10;
  return judge.decided({ epoch, node: `node${client % 10}`, client, how, unsettledSince });
}

test('a volume that is given, given back, taken and taken back', () => {
  given(1, 1);
  judge.acts(1);
  judge.released(1);
  expect(given(2, 2)).toBe(false);
  judge.acts(2);
  expect(given(3, 1, 'over')).toBe(true);
  expect(given(3, 1, 'over'), 'kept, and then answered').toBe(false);
  judge.acts(3);
  expect(judge.lostMs(2)).toBe(30);
  expect(judge.lostMs(3)).toBeNull();
  expect(judge.takeOvers).toBe(1);
  expect(judge.breaches).toEqual([]);
});

test('something is done under a hold that another client has got', () => {
  given(1, 1);
  given(2, 2, 'force');
  judge.acts(1);
  expect(judge.breaches).toEqual([expect.stringContaining('H2: something is done under epoch 1')]);
});

test('a volume is given to the next although nobody has given it back', () => {
  given(1, 1);
  given(2, 2);
  expect(judge.breaches).toEqual([expect.stringContaining('H1')]);
  judge.released(2);
  judge.answered(2);
  given(3, 1);
  expect(judge.breaches, 'it was opened again after it was given back').toHaveLength(2);
});

test('an epoch is given twice', () => {
  given(2, 1);
  given(2, 2, 'force');
  expect(judge.breaches).toEqual([expect.stringContaining('H2: node2 is given epoch 2 after')]);
});

test('a volume is taken, without force, from a holder who has something to bring back', () => {
  given(1, 1);
  judge.settled(1, 'boot 1');
  expect(judge.unsettledSince('boot 1')).toBeNull();
  const since = judge.unsettledSince('boot 2');
  given(2, 2, 'force', since);
  expect(judge.breaches).toEqual([]);
  judge.settled(2, 'boot 1');
  given(3, 1, 'over', judge.unsettledSince('boot 2'));
  expect(judge.breaches).toEqual([expect.stringContaining('H3')]);
});

test('another instance of a node takes the place of the last one, who is remembered', () => {
  given(1, 1);
  expect(given(2, 11)).toBe(true);
  expect([...judge.replaced]).toEqual([1]);
  expect(judge.breaches).toEqual([]);
});
