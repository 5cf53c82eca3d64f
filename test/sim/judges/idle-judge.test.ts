// What the judge takes for a forgotten I/O, and what for one that only waits. Leaves seeing that the judge is asked to sim-judge.ts, which
// asks it at each look.

import { expect, test } from 'vitest';
import { IdleJudge, type JudgedVolume } from './idle-judge.ts';

const FORGOTTEN: JudgedVolume = { outstanding: 1, attachment: { phase: 'ready', standing: 'ready', slotsHeld: 0, hasSendable: false } };

test('an I/O of a ready volume of which nothing is out is forgotten, and said so once', () => {
  const judge = new IdleJudge();
  expect([0, 100, 200, 300].map((nowMs) => judge.forgottenMs(FORGOTTEN, nowMs))).toEqual([null, null, 200, null]);
});

test.each<[string, Partial<JudgedVolume['attachment']>]>([
  ['is out', { slotsHeld: 1 }],
  ['waits for a slot', { hasSendable: true }],
  ['waits for a path', { standing: 'halted' }],
  ['is sent again', { phase: 'resending', standing: 'recovering' }],
])('one that %s is not', (_what, attachment) => {
  const judge = new IdleJudge();
  const volume = { ...FORGOTTEN, attachment: { ...FORGOTTEN.attachment, ...attachment } };
  expect([0, 1000].map((nowMs) => judge.forgottenMs(volume, nowMs))).toEqual([null, null]);
});

test('nothing is forgotten of what is idle, or not attached', () => {
  const judge = new IdleJudge();
  expect([0, 1000].map((nowMs) => judge.forgottenMs({ ...FORGOTTEN, outstanding: 0 }, nowMs))).toEqual([null, null]);
  expect(judge.forgottenMs(null, 0)).toBe(null);
});
