// Tests the list of events: its bound, the event numbers, requests that wait, and answers to requests for events after a given number.
// event-log.test.ts tests which lines of the log are events.

import { FakeClock } from '@rsio/base/testing/fake-clock';
import { expect, test } from 'vitest';
import { EVENT_REASON_MAX_CHARS, EVENT_WAITERS_MAX } from './limits.ts';
import { EventHistory } from './event-history.ts';

function change(object: string, reason = ''): Parameters<EventHistory['add']>[0] {
  return { object, from: '-', to: 'x', reason };
}

test('the last events, oldest first, and what is missed when the list is full', async () => {
  const events = new EventHistory(new FakeClock(), null, 3);
  expect(await events.read({ count: 9, after: null, waitMs: 0 })).toMatchObject({ events: [], last: 0, missed: 0 });
  for (const name of ['a', 'b', 'c', 'd', 'e']) events.add(change(name));
  const all = await events.read({ count: 9, after: null, waitMs: 0 });
  expect(all.events.map(({ number, object }) => `${number}${object}`)).toEqual(['3c', '4d', '5e']);
  expect(all).toMatchObject({ last: 5, missed: 0 });
  expect((await events.read({ count: 1, after: null, waitMs: 0 })).events).toMatchObject([{ number: 5 }]);
  expect(await events.read({ count: 9, after: 1, waitMs: 0 })).toMatchObject({ missed: 1, last: 5 });
  const some = await events.read({ count: 1, after: 3, waitMs: 0 });
  expect(some, 'a caller that asks for few continues with the next').toMatchObject({ events: [{ number: 4 }], missed: 0, last: 4 });
});

test('a request waits for the next event, at most its time', async () => {
  const clock = new FakeClock();
  const events = new EventHistory(clock, null);
  const first = events.read({ count: 9, after: 0, waitMs: 1_000 });
  events.add(change('a'));
  expect((await first).events).toMatchObject([{ object: 'a' }]);
  const second = events.read({ count: 9, after: 1, waitMs: 1_000 });
  clock.advance(1_000);
  expect(await second).toMatchObject({ events: [], last: 1, missed: 0 });
  expect(await events.read({ count: 9, after: 0, waitMs: 1_000 }), 'an event is there').toMatchObject({ last: 1 });
});

test('only some requests may wait, and one that was answered makes room', async () => {
  const clock = new FakeClock();
  const events = new EventHistory(clock, null);
  const waiting = Array.from({ length: EVENT_WAITERS_MAX }, () => events.read({ count: 1, after: 0, waitMs: 10 }));
  await expect(events.read({ count: 1, after: 0, waitMs: 10 })).rejects.toMatchObject({ code: 'E_LIMIT' });
  clock.advance(10);
  await Promise.all(waiting);
  const next = events.read({ count: 1, after: 0, waitMs: 10 });
  events.add(change('a'));
  expect((await next).events).toHaveLength(1);
});

test('a long reason is cut', async () => {
  const events = new EventHistory(new FakeClock(), null);
  events.add(change('a', 'x'.repeat(EVENT_REASON_MAX_CHARS + 1)));
  expect((await events.read({ count: 1, after: null, waitMs: 0 })).events[0]?.reason).toHaveLength(EVENT_REASON_MAX_CHARS + 3);
});
