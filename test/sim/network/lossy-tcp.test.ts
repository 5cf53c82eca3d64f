// A link that loses packets: how often bytes are late, how late they are, and how slow the sender becomes. Seeds test the reaction of a
// trunk.

import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { expect, test } from 'vitest';
import { connectsLaterMs, LossyTcp, PACKET_BYTES, TIMEOUT_MS } from './lossy-tcp.ts';

const TRIP_MS = 2;
const TIMES = 20_000;

/** Sends single packets, each followed by `behind` further packets. Returns the delays of the late packets, and the sender. */
function lateness(loss: number, behind: number): { readonly late: number[]; readonly tcp: LossyTcp } {
  const tcp = new LossyTcp(new SeededRandom(1));
  const late: number[] = [];
  for (let times = 0; times < TIMES; times++) {
    const ms = tcp.sent(1, behind, loss, TRIP_MS);
    if (ms > 0) late.push(ms);
  }
  return { late, tcp };
}

test('as many packets are late as are lost: by a round trip if more follow, else by a time-out that doubles', () => {
  for (const loss of [0.002, 0.05]) {
    const last = lateness(loss, 0).late;
    expect(last.length / TIMES).toBeGreaterThan(loss * 0.7);
    expect(last.length / TIMES).toBeLessThan(loss * 1.3);
    expect(Math.min(...last)).toBe(TRIP_MS + TIMEOUT_MS);
    expect(last.filter((ms) => ms >= TRIP_MS + TIMEOUT_MS * 3).length / last.length).toBeGreaterThan(0.1);
  }
  const amid = lateness(0.05, 100).late;
  expect(amid.filter((ms) => ms === TRIP_MS).length / amid.length).toBeGreaterThan(0.5);
});

test('a sender that loses more packets is slower, and recovers when nothing is lost any more', () => {
  const [little, much] = [lateness(0.002, 100).tcp, lateness(0.05, 100).tcp];
  expect(little.bytesPerMs(TRIP_MS)).toBeGreaterThan(2 * much.bytesPerMs(TRIP_MS));
  for (let times = 0; times < 1000; times++) much.sent(10, 100, 0, TRIP_MS);
  expect(much.bytesPerMs(TRIP_MS)).toBeGreaterThan((100 * PACKET_BYTES) / TRIP_MS);
});

test('connecting is sometimes late, by seconds', () => {
  const random = new SeededRandom(2);
  const late = Array.from({ length: 2000 }, () => connectsLaterMs(random, 0.05)).filter((ms) => ms > 0);
  expect(late.length).toBeGreaterThan(100);
  expect(Math.min(...late)).toBe(1000);
  expect(late).toContain(3000);
  expect(connectsLaterMs(random, 0)).toBe(0);
});
