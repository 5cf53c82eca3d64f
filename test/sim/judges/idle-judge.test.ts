// Which I/O the judge reports as forgotten, and which one merely waits.
// sim-judge.ts asks this judge at each look.

import { expect, test } from 'vitest';
import { IdleJudge, type JudgedVolume } from './idle-judge.ts';

const FORGOTTEN: JudgedVolume = { outstanding: 1, attachment: { phase: 'ready', standing: 'ready', slotsHeld: 0, hasSendable: false } };

test('an I/O of a ready volume with nothing in flight is reported as forgotten, once', () => {
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

test('a volume that is idle or not attached has no forgotten I/O', () => {
  const judge = new IdleJudge();
  expect([0, 1000].map((nowMs) => judge.forgottenMs({ ...FORGOTTEN, outstanding: 0 }, nowMs))).toEqual([null, null]);
  expect(judge.forgottenMs(null, 0)).toBe(null);
});
