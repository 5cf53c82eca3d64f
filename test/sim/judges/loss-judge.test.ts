// The loss judge says when a loss is noticed too late and when a handle outlives its life, and nothing before.
// Leaves whole worlds to the seeds.

import { expect, test } from 'vitest';
import { LossJudge, NOTICE_MAX_MS, REVOKE_MAX_MS } from './loss-judge.ts';
import { SimClock, SimProcess } from '../base/sim-clock.ts';

const one = { process: new SimProcess(new SimClock()) };
const other = { process: new SimProcess(new SimClock()) };

test('what is forgotten is noticed in time, or the judge says so', () => {
  const judge = new LossJudge();
  judge.forgot([one]);
  expect(judge.look(NOTICE_MAX_MS, new Set([one]))).toBeNull();
  expect(judge.look(1, new Set([one]))).toContain('nobody notices');
  judge.noticed();
  expect(judge.look(NOTICE_MAX_MS + 1, new Set([one]))).toBeNull();
});

test('only who had it open when it was forgotten can notice it', () => {
  const judge = new LossJudge();
  judge.forgot([one]);
  expect(judge.look(NOTICE_MAX_MS + 1, new Set([other]))).toBeNull();
});

test('handles of a life that ended by a failed sync are closed in time, or the judge says so', () => {
  const judge = new LossJudge();
  judge.lost([one]);
  expect(judge.look(REVOKE_MAX_MS, new Set([one, other]))).toBeNull();
  expect(judge.look(1, new Set([one, other]))).toContain('outlives');
  expect(judge.look(REVOKE_MAX_MS, new Set([other]))).toBeNull();
});
