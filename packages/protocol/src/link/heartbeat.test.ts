// Lets two ends of a path exchange heartbeats, with faults in one direction. Tests the state of each direction at each end, and the round
// trip. path-verdict.test.ts tests the effects of silence. Rules: G6.

import { describe, expect, test } from 'vitest';
import { Heartbeat } from './heartbeat.ts';

const INTERVAL_MS = 1000;

interface Fault {
  readonly there: boolean;
  readonly back: boolean;
}

/** Runs both ends for `durationMs`; messages travel at once, or not at all. */
function exchange(client: Heartbeat, server: Heartbeat, fromMs: number, durationMs: number, fault: Fault): number {
  let nowMs = fromMs;
  for (; nowMs <= fromMs + durationMs; nowMs += 100) {
    for (const [from, to, lost, lostBack] of [
      [client, server, fault.there, fault.back],
      [server, client, fault.back, fault.there],
    ] as const) {
      if (!from.isDue(nowMs)) continue;
      const ping = from.ping(nowMs, 0, 0);
      if (lost) continue;
      to.received(nowMs);
      const pong = to.onPing(ping, nowMs, 0, 0);
      if (lostBack) continue;
      from.received(nowMs);
      from.onPong(pong, nowMs);
    }
  }
  return nowMs;
}

function ends(): readonly [Heartbeat, Heartbeat] {
  return [new Heartbeat(INTERVAL_MS, 0), new Heartbeat(INTERVAL_MS, 0)];
}

describe('directions', () => {
  test('both are ok while both ends receive', () => {
    const [client, server] = ends();
    const nowMs = exchange(client, server, 0, 20_000, { there: false, back: false });
    for (const end of [client, server]) expect([end.tx(nowMs), end.rx(nowMs)]).toEqual(['ok', 'ok']);
  });

  test('an end that receives and is not received has tx fail and rx ok', () => {
    const [client, server] = ends();
    const faultMs = exchange(client, server, 0, 5000, { there: false, back: false });
    const nowMs = exchange(client, server, faultMs, 6000, { there: true, back: false });
    expect([client.tx(nowMs), client.rx(nowMs)]).toEqual(['fail', 'ok']);
  });

  // Regression: although only rx had failed, tx was also reported as failed.
  test('an end that receives nothing has rx fail, and tx is unknown', () => {
    const [client, server] = ends();
    const faultMs = exchange(client, server, 0, 5000, { there: false, back: false });
    const nowMs = exchange(client, server, faultMs, 6000, { there: true, back: false });
    expect([server.tx(nowMs), server.rx(nowMs)]).toEqual(['-', 'fail']);
  });

  test('a repaired direction is ok again', () => {
    const [client, server] = ends();
    const healMs = exchange(client, server, 0, 8000, { there: true, back: false });
    const nowMs = exchange(client, server, healMs, 2500, { there: false, back: false });
    expect([client.tx(nowMs), client.rx(nowMs)]).toEqual(['ok', 'ok']);
  });

  test('our own stall is not blamed on the peer', () => {
    const [client, server] = ends();
    const nowMs = exchange(client, server, 0, 3000, { there: false, back: false });
    client.excuse(10_000, nowMs + 10_000);
    expect([client.tx(nowMs + 10_000), client.rx(nowMs + 10_000)]).toEqual(['ok', 'ok']);
    expect(client.lastReceivedMs).toBeLessThanOrEqual(nowMs + 10_000);
    expect(client.lastProofMs).toBeLessThanOrEqual(nowMs + 10_000);
  });
});

describe('PING and PONG', () => {
  test('the first PING is due at once, the next after the interval', () => {
    const heartbeat = new Heartbeat(INTERVAL_MS, 50);
    expect(heartbeat.isDue(50)).toBe(true);
    expect(heartbeat.ping(50, 7, 3)).toEqual({ number: 1, clockMs: 50, heard: 0, oldestMs: 7, generation: 3 });
    expect([heartbeat.isDue(1049), heartbeat.isDue(1050), heartbeat.sinceSentMs(1049)]).toEqual([false, true, 999]);
  });

  test("a PONG repeats number and clock, and has its sender's own fields", () => {
    const heartbeat = new Heartbeat(INTERVAL_MS, 0);
    const pong = heartbeat.onPing({ number: 9, clockMs: 123, heard: 0, oldestMs: 1, generation: 1 }, 5, 77, 4);
    expect(pong).toEqual({ number: 9, clockMs: 123, heard: 1, oldestMs: 77, generation: 4 });
  });

  test('the newest report of a PING or PONG about executing requests is kept', () => {
    const heartbeat = new Heartbeat(INTERVAL_MS, 0);
    const said = (number: number, oldestMs: number) => ({ number, clockMs: 0, heard: 0, oldestMs, generation: 0 });
    expect(heartbeat.storageReport).toBeNull();
    heartbeat.onPing(said(1, 700), 5, 0, 0);
    expect(heartbeat.storageReport).toEqual({ oldestMs: 700, atMs: 5 });
    heartbeat.ping(6, 0, 0);
    heartbeat.onPong(said(1, 0), 8);
    expect(heartbeat.storageReport).toEqual({ oldestMs: 0, atMs: 8 });
    heartbeat.onPong(said(1, 900), 9);
    heartbeat.onPong(said(2, 900), 9);
    expect(heartbeat.storageReport).toEqual({ oldestMs: 0, atMs: 8 });
  });

  test('the round trip is smoothed', () => {
    const heartbeat = new Heartbeat(INTERVAL_MS, 0);
    expect(heartbeat.roundTripMs).toBeNull();
    const pong = (clockMs: number) => ({ number: heartbeat.ping(0, 0, 0).number, clockMs, heard: 1, oldestMs: 0, generation: 0 });
    heartbeat.onPong(pong(0), 8);
    expect(heartbeat.roundTripMs).toBe(8);
    heartbeat.onPong(pong(100), 116);
    expect(heartbeat.roundTripMs).toBe(9);
  });

  test('a short trip soon replaces the long one of an outage', () => {
    const heartbeat = new Heartbeat(INTERVAL_MS, 0);
    const pong = (tripMs: number): void => {
      const { number } = heartbeat.ping(0, 0, 0);
      heartbeat.onPong({ number, clockMs: 5000 - tripMs, heard: 1, oldestMs: 0, generation: 0 }, 5000);
    };
    pong(1);
    pong(2000);
    expect(heartbeat.roundTripMs).toBeGreaterThan(200);
    for (let times = 0; times < 5; times++) pong(1);
    expect(heartbeat.roundTripMs).toBeLessThan(10);
  });

  test('a trip across our own stall is not measured', () => {
    const heartbeat = new Heartbeat(INTERVAL_MS, 0);
    heartbeat.ping(10, 0, 0);
    heartbeat.excuse(5000, 5010);
    heartbeat.onPong({ number: 1, clockMs: 10, heard: 1, oldestMs: 0, generation: 0 }, 5011);
    expect(heartbeat.roundTripMs).toBeNull();
  });

  test('a PONG without a PING, or from the future, changes no round trip', () => {
    const heartbeat = new Heartbeat(INTERVAL_MS, 0);
    heartbeat.ping(0, 0, 0);
    heartbeat.onPong({ number: 2, clockMs: 0, heard: 0, oldestMs: 0, generation: 0 }, 5);
    heartbeat.onPong({ number: 1, clockMs: 6, heard: 0, oldestMs: 0, generation: 0 }, 5);
    expect(heartbeat.roundTripMs).toBeNull();
  });
});
