// The idle judge reports an I/O as forgotten only if no request of the I/O is in flight or waits to be sent. sim-judge.ts asks this judge
// each time it looks at the world.

import type { Standing } from '@rsio/protocol/client/attachment';
import { expect, test } from 'vitest';
import { IdleJudge, type JudgedVolume } from './idle-judge.ts';

const IDLE = { phase: 'ready', slotsHeld: 0, hasSendable: false } as const;
const FORGOTTEN: JudgedVolume = { outstanding: 1, target: { standing: 'ready', attachments: [IDLE] } };

test('an I/O of a ready volume with nothing in flight is reported as forgotten, once', () => {
  const judge = new IdleJudge();
  expect([0, 100, 200, 300].map((nowMs) => judge.forgottenMs(FORGOTTEN, nowMs))).toEqual([null, null, 200, null]);
});

test.each<[string, Standing, Partial<JudgedVolume['target']['attachments'][number]>]>([
  ['is out', 'ready', { slotsHeld: 1 }],
  ['waits for a slot', 'ready', { hasSendable: true }],
  ['waits for a path', 'halted', {}],
  ['is sent again', 'recovering', { phase: 'resending' }],
])('one that %s is not', (_what, standing, attachment) => {
  const judge = new IdleJudge();
  const volume = { ...FORGOTTEN, target: { standing, attachments: [IDLE, { ...IDLE, ...attachment }] } };
  expect([0, 1000].map((nowMs) => judge.forgottenMs(volume, nowMs))).toEqual([null, null]);
});

test('a volume that is idle or not attached has no forgotten I/O', () => {
  const judge = new IdleJudge();
  expect([0, 1000].map((nowMs) => judge.forgottenMs({ ...FORGOTTEN, outstanding: 0 }, nowMs))).toEqual([null, null]);
  expect(judge.forgottenMs(null, 0)).toBe(null);
});
