// Tests the list of events: its bound, the event numbers, requests that wait, and answers to requests for events after a given number.
// event-log.test.ts tests which lines of the log are events.

import { FakeClock } from '@rsio/base/testing/fake-clock';
import { expect, test } from 'vitest';
import { EVENT_REASON_MAX_CHARS, EVENT_REPEAT_MS, EVENT_WAITERS_MAX, EVENTS_ALIKE_MAX, EVENTS_OF_ONE_MAX } from './limits.ts';
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

const shown = async (events: EventHistory): Promise<string[]> =>
  (await events.read({ count: 1_000, after: null })).events.map(
    ({ number, object, to, repeated = 0 }) => `${number} ${object} ${to} ${repeated}`,
  );

test('of an object that flaps, a few like events stay, and the last one counts the others', async () => {
  const clock = new FakeClock();
  const events = new EventHistory(clock, null);
  const heard: number[] = [];
  events.heard = ({ number }) => heard.push(number);
  const flap = (reason: string): void => {
    events.add({ object: 'path', from: 'up', to: 'down', reason });
    events.add({ object: 'path', from: 'down', to: 'up', reason: '' });
    clock.advance(1_000);
  };
  for (let count = 0; count < EVENTS_ALIKE_MAX; count++) flap('no answer');
  const first = await shown(events);
  expect(first).toEqual(Array.from({ length: EVENTS_ALIKE_MAX * 2 }, (_unused, at) => `${at + 1} path ${at % 2 === 0 ? 'down' : 'up'} 0`));
  // More than the window.
  for (let count = 0; count < 100; count++) flap(`reason ${count}`);
  const last = 2 * (EVENTS_ALIKE_MAX + 100);
  expect(await shown(events)).toEqual([...first.slice(0, -2), `${last - 1} path down 100`, `${last} path up 100`]);
  expect(heard).toHaveLength(last);
  expect(await events.read({ count: 9, after: last - 2 })).toMatchObject({
    events: [{ reason: 'reason 99' }, { number: last }],
    missed: 0,
  });
  clock.advance(EVENT_REPEAT_MS);
  flap('no answer');
  expect((await shown(events)).slice(-2), 'after the window').toEqual([`${last + 1} path down 0`, `${last + 2} path up 0`]);
});

test('an event keeps the order that has caused it', async () => {
  const events = new EventHistory(new FakeClock(), null);
  const order = { who: 'root', method: 'volume-set', id: null };
  events.add({ ...change('volume'), order });
  events.add(change('volume'));
  expect((await events.read({ count: 9, after: null })).events.map((event) => event.order)).toEqual([order, undefined]);
});

test('an object that changes slowly but all the time has a part of the list, and pushes no other out', async () => {
  const clock = new FakeClock();
  const events = new EventHistory(clock, null, EVENTS_OF_ONE_MAX + 2);
  events.add(change('a'));
  events.add(change('b'));
  for (let count = 0; count < EVENTS_OF_ONE_MAX + 50; count++) {
    clock.advance(EVENT_REPEAT_MS + 1);
    events.add(change('slow'));
  }
  const all = await events.read({ count: 1_000, after: null });
  expect(all.events.map(({ number }) => number).slice(0, 3)).toEqual([1, 2, 53]);
  expect(all.events).toHaveLength(EVENTS_OF_ONE_MAX + 2);
  events.add(change('c'));
  expect((await shown(events)).slice(0, 2)).toEqual(['2 b x 0', '53 slow x 0']);
  expect((await events.read({ count: 1, after: 0 })).missed).toBe(1);
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

test('like events of orders are counted for each asker, so that none stands under the name of another', () => {
  const history = new EventHistory(new FakeClock(), null);
  const by = (who: string): void =>
    history.add({ object: 'volume db', from: '-', to: 'rolled back', reason: who, order: { who, method: 'x', id: null } });
  for (let time = 0; time < EVENTS_ALIKE_MAX + 2; time++) by('root');
  by('anna');
  const kept = history.read({ count: 100, after: null, waitMs: 0 });
  return kept.then(({ events }) => {
    expect(events.map(({ order, repeated }) => `${order?.who} ${repeated ?? 0}`)).toEqual([
      ...Array.from({ length: EVENTS_ALIKE_MAX - 1 }, () => 'root 0'),
      'root 2',
      'anna 0',
    ]);
  });
});
