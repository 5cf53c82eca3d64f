// The judge of holds reports each kind of breach when it happens, and nothing in a healthy run: a judge that accepts everything is a
// defect. Seeds test whole worlds.

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

test('a volume that is granted, released, taken over and taken back is no breach', () => {
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

test('an operation under a hold that another client has been granted', () => {
  given(1, 1);
  given(2, 2, 'force');
  judge.acts(1);
  expect(judge.breaches).toEqual([expect.stringContaining('H2: something is done under epoch 1')]);
});

test('a volume that is granted to another client although its holder has not released it', () => {
  given(1, 1);
  given(2, 2);
  expect(judge.breaches).toEqual([expect.stringContaining('H1')]);
  judge.released(2);
  judge.answered(2);
  given(3, 1);
  expect(judge.breaches, 'it was opened again after it was given back').toHaveLength(2);
});

test('an epoch that is granted twice', () => {
  given(2, 1);
  given(2, 2, 'force');
  expect(judge.breaches).toEqual([expect.stringContaining('H2: node2 is given epoch 2 after')]);
});

test('a take-over without force from a holder that has writes to send again', () => {
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

test('a grant to another instance of a node, whose previous instance is remembered', () => {
  given(1, 1);
  expect(given(2, 11)).toBe(true);
  expect([...judge.replaced]).toEqual([1]);
  expect(judge.breaches).toEqual([]);
});
