// Events of two daemons as one list. Invariant: an rsapp that does not run hides no event of rsiod.
// The daemons are fakes.

import { expect, test } from 'vitest';
import { RsError } from '@rsio/base/lib/errors';
import { contextOf } from '../../testing/context.ts';
import { mergedEvents } from './merged-events.ts';

test('events of both daemons are one list in the order of time; without rsapp, those of rsiod stay', async () => {
  const notes: string[] = [];
  const answer = (...events: readonly [to: string, atMs: number][]) => ({
    events: events.map(([to, atMs], index) => ({ number: index + 1, atMs, object: 'path a', from: '-', to, reason: '' })),
    missed: 0,
    last: events.length,
    beganMs: 0,
  });
  let isRunning = true;
  let error = new RsError('E_NOT_RUNNING', 'rsapp is not running');
  const context = contextOf({
    call: () => Promise.resolve(answer(['up', 10], ['down', 30])),
    callApp: () => (isRunning ? Promise.resolve(answer(['failed', 20])) : Promise.reject(error)),
    note: (text) => notes.push(text),
  });
  const { events, last, applications } = await mergedEvents(context, 2);
  expect(events.map(({ by, to }) => `${by} ${to}`)).toEqual(['rsapp failed', 'rsiod down']);
  expect([last, applications?.last]).toEqual([2, 1]);
  isRunning = false;
  expect(await mergedEvents(context, 9)).toMatchObject({ events: [{ to: 'up' }, { to: 'down' }], applications: null });
  expect(notes).toEqual([]);
  error = new RsError('E_TIMEOUT', 'rsapp hangs');
  await mergedEvents(context, 9);
  expect(notes).toEqual(['The events of rsapp are missing: rsapp hangs']);
});
