// Tests the streams of events with a fake daemon: each event arrives once and in order, also after a resumption; gaps and faults are told;
// streams are bounded, and end with their tokens. Rules: G54.

import { beforeEach, expect, test } from 'vitest';
import { RsError } from '@rsio/base/lib/errors';
import { EventHistory } from '@rsio/common/events/event-history';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import type { EventSink } from '../http/reply.ts';
import { API_STREAMS_MAX, API_STREAMS_PER_TOKEN_MAX, BACKLOG_MAX_BYTES, API_FOLLOW_RETRY_MS, HEARTBEAT_MS } from '../limits.ts';
import { EventStreams } from './event-streams.ts';

const KEPT = 5;

let clock = new FakeClock();
let history = new EventHistory(clock, null, KEPT);
let calls = 0;
let atOnce = 0;
let mostAtOnce = 0;
let fault: RsError | null = null;
let streams = newStreams();

beforeEach(() => {
  clock = new FakeClock();
  history = new EventHistory(clock, null, KEPT);
  [calls, fault, atOnce, mostAtOnce] = [0, null, 0, 0];
  streams = newStreams();
});

function newStreams(): EventStreams {
  return new EventStreams(clock, (_daemon, params, { signal }) => {
    calls++;
    if (fault !== null) return Promise.reject(fault);
    // An aborted question goes on in the daemon until its time is up.
    mostAtOnce = Math.max(mostAtOnce, ++atOnce);
    const aborted = new Promise<never>((_resolve, reject) => {
      signal?.addEventListener('abort', () => reject(new RsError('E_RESET', 'Aborted')));
    });
    const answer = history.read(params).finally(() => atOnce--);
    return Promise.race([answer, aborted]);
  });
}

class Peer implements EventSink {
  backlogBytes = 0;
  text = '';
  isEnded = false;
  isWelcome = true;
  close: () => void = () => {};

  write(text: string): void {
    this.text += text;
  }

  end(): void {
    this.isEnded = true;
    this.close();
  }

  get ids(): number[] {
    return [...this.text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id));
  }
}

function opened(after: number | null, token = 'anna'): Peer {
  const peer = new Peer();
  const watcher = { token, isWelcome: () => peer.isWelcome };
  const close = streams.stream('server', watcher, after).open(peer);
  peer.close = close;
  if (peer.isEnded) close();
  return peer;
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

let made = 0;

async function happens(count: number): Promise<void> {
  // Like events would be counted as one.
  for (let one = 0; one < count; one++) history.add({ object: `volume v${++made}@0`, from: 'a', to: 'b', reason: 'two\nlines' });
  await settle();
}

test('streams get each event once, in order, from where each of them is', async () => {
  await happens(3);
  const [all, late, now] = [opened(0), opened(2), opened(null)];
  await settle();
  await happens(2);
  const resumed = opened(4);
  await settle();
  await happens(1);
  expect([all.ids, late.ids, now.ids, resumed.ids]).toEqual([
    [1, 2, 3, 4, 5, 6],
    [3, 4, 5, 6],
    [4, 5, 6],
    [5, 6],
  ]);
  expect(all.text).toContain('"reason":"two\\nlines"}\n\n');
  expect(calls).toBeLessThan(12);
});

test('a stream is told how many events it has missed, and when the numbers begin again', async () => {
  await happens(KEPT + 4);
  const [far, near, future] = [opened(1), opened(3), opened(1_000)];
  await settle();
  expect([far.text, near.text]).toEqual([
    expect.stringContaining('event: missed\ndata: {"missed":3}'),
    expect.stringContaining('{"missed":1}'),
  ]);
  expect(future.text).toContain('event: missed\ndata: {"missed":null}');
  await happens(1);
  expect(future.ids).toEqual([KEPT + 5]);
});

test('a daemon that does not answer is told once, asked at a bounded rate, and followed again', async () => {
  fault = new RsError('E_NOT_RUNNING', 'rssrv is not running: start it');
  const peer = opened(0);
  await settle();
  for (let time = 0; time < 3; time++) {
    clock.advance(API_FOLLOW_RETRY_MS);
    await settle();
  }
  expect(peer.text.split('event: problem')).toHaveLength(2);
  expect([calls, peer.text]).toEqual([4, expect.stringContaining('"code":"E_NOT_RUNNING"')]);
  fault = null;
  await happens(1);
  clock.advance(API_FOLLOW_RETRY_MS);
  await settle();
  expect(peer.ids).toEqual([1]);
});

test('a stream ends when its token is withdrawn, and when its peer does not read', async () => {
  const [gone, slow, good] = [opened(0), opened(0), opened(0)];
  await settle();
  [gone.isWelcome, slow.backlogBytes] = [false, BACKLOG_MAX_BYTES + 1];
  await happens(1);
  expect([gone.isEnded, slow.isEnded, good.isEnded]).toEqual([true, true, false]);
  expect([gone.ids, good.ids]).toEqual([[], [1]]);
  good.isWelcome = false;
  clock.advance(HEARTBEAT_MS);
  expect(good.isEnded).toBe(true);
});

test('the streams of one token are bounded, and so are all', async () => {
  const own = Array.from({ length: API_STREAMS_PER_TOKEN_MAX + 1 }, () => opened(0));
  expect(own.map(({ isEnded }) => isEnded)).toEqual([...own.slice(1).map(() => false), true]);
  expect([streams.hasPlace('anna'), streams.hasPlace('otto')]).toEqual([false, true]);
  const others = Array.from({ length: API_STREAMS_MAX }, (_, at) => opened(0, `token ${at}`));
  expect(others.filter(({ isEnded }) => isEnded)).toHaveLength(API_STREAMS_PER_TOKEN_MAX);
  for (const peer of [...own, ...others]) peer.close();
  expect(streams.hasPlace('anna')).toBe(true);
  await settle();
  const before = calls;
  clock.advance(10 * HEARTBEAT_MS);
  await settle();
  expect(calls).toBe(before);
});

test('streams that come and go leave one question with the daemon, and no other waits for them', async () => {
  await happens(5);
  const steady = opened(null);
  await settle();
  const places = [null, 5, 2, 0, 9];
  for (let time = 0; time < 200; time++) {
    const peer = opened(places[time % places.length] ?? null, `token ${time % 5}`);
    if (time % 3 === 0) await settle();
    peer.close();
  }
  await settle();
  expect(mostAtOnce).toBeLessThanOrEqual(2);
  const [old, now] = [opened(2), opened(null)];
  await settle();
  // A stream that comes during a question gets what it lacks at once.
  expect([old.ids, now.ids]).toEqual([[3, 4, 5], []]);
  await happens(1);
  expect([steady.ids, old.ids, now.ids]).toEqual([[6], [3, 4, 5, 6], [6]]);
  steady.close();
  old.close();
  now.close();
  // The next stream uses the question that still waits.
  const before = calls;
  const again = opened(6);
  await settle();
  expect(calls - before).toBeLessThanOrEqual(1);
  await happens(1);
  expect(again.ids).toEqual([7]);
});
