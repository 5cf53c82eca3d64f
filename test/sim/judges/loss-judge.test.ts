// The loss judge reports a loss that is noticed too late and a handle that outlives its incarnation, and reports neither too early. Seeds
// test whole worlds.

import { expect, test } from 'vitest';
import { LossJudge, NOTICE_MAX_MS, REVOKE_MAX_MS } from './loss-judge.ts';
import { SimClock, SimProcess } from '../base/sim-clock.ts';

const one = { process: new SimProcess(new SimClock()) };
const other = { process: new SimProcess(new SimClock()) };

test('a loss that is not noticed in time is reported', () => {
  const judge = new LossJudge();
  judge.forgot([one]);
  expect(judge.look(NOTICE_MAX_MS, new Set([one]))).toBeNull();
  expect(judge.look(1, new Set([one]))).toContain('nobody notices');
  judge.noticed();
  expect(judge.look(NOTICE_MAX_MS + 1, new Set([one]))).toBeNull();
});

test('only a process that had the volume open at the loss can notice it', () => {
  const judge = new LossJudge();
  judge.forgot([one]);
  expect(judge.look(NOTICE_MAX_MS + 1, new Set([other]))).toBeNull();
});

test('handles that are not closed in time after a failed sync ended their incarnation are reported', () => {
  const judge = new LossJudge();
  judge.lost([one]);
  expect(judge.look(REVOKE_MAX_MS, new Set([one, other]))).toBeNull();
  expect(judge.look(1, new Set([one, other]))).toContain('outlives');
  expect(judge.look(REVOKE_MAX_MS, new Set([other]))).toBeNull();
});
