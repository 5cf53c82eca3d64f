// Tests the rate that the meter of one direction computes from times and bytes alone.
// scheduler-links.test.ts tests two directions and the use of the rate.

import { describe, expect, test } from 'vitest';
import { SEGMENT_BYTES } from '../../link/limits.ts';
import { FLIGHT_FIRST_BYTES, RATE_AGES_MS, RATE_MIN_BYTES_PER_MS } from '../limits.ts';
import { RateMeter } from './rate-meter.ts';

const KIB = 1024;
const TRIP_MS = 0.2;

/**
 * Keeps `depth` requests in flight for `ms`, over a link that moves `bytesPerMs`. Returns the time at which the last request is answered.
 */
function load(meter: RateMeter, fromMs: number, ms: number, bytesPerMs: number, depth: number, bytes = 8 * KIB): number {
  let nowMs = fromMs;
  for (let index = 0; index < depth; index++) meter.sent(bytes, nowMs);
  nowMs += TRIP_MS;
  while (nowMs < fromMs + ms) {
    nowMs += Math.max(bytes / bytesPerMs, TRIP_MS / depth);
    meter.answered(bytes, nowMs, TRIP_MS);
    meter.sent(bytes, nowMs);
  }
  for (let index = 0; index < depth; index++) {
    nowMs += bytes / bytesPerMs;
    meter.answered(bytes, nowMs, TRIP_MS);
  }
  return nowMs;
}

describe('the estimate', () => {
  test('is the rate of the link when the pipe is full', () => {
    for (const bytesPerMs of [1170, 117_000, 1_170_000]) {
      const meter = new RateMeter(0);
      load(meter, 0, 500, bytesPerMs, 64);
      expect(meter.bytesPerMs / bytesPerMs).toBeCloseTo(1, 1);
      expect([meter.isMeasured, meter.unansweredBytes]).toEqual([true, 0]);
    }
  });

  test('follows the link down and up', () => {
    const meter = new RateMeter(0);
    let nowMs = load(meter, 0, 500, 117_000, 64);
    nowMs = load(meter, nowMs, 800, 1170, 16);
    expect(meter.bytesPerMs / 1170).toBeLessThan(2);
    load(meter, nowMs, 200, 117_000, 16);
    expect(meter.bytesPerMs / 117_000).toBeGreaterThan(0.8);
  });

  test('is not lowered by low demand', () => {
    const meter = new RateMeter(0);
    let nowMs = load(meter, 0, 500, 117_000, 64);
    const before = meter.bytesPerMs;
    for (let times = 0; times < 1000; times++) {
      meter.sent(512, nowMs);
      meter.answered(512, nowMs + TRIP_MS, TRIP_MS);
      nowMs += 10;
    }
    expect(meter.bytesPerMs).toBe(before);
  });

  test('ignores time in which nothing was in flight', () => {
    const meter = new RateMeter(0);
    let nowMs = 0;
    for (let times = 0; times < 100; times++) nowMs = 5_000 + load(meter, nowMs, 30, 117_000, 64);
    expect(meter.bytesPerMs / 117_000).toBeGreaterThan(0.9);
  });
});

describe('bytes allowed in flight before the first measurement', () => {
  test('are few at first, and double while all are used and no queue builds up', () => {
    const meter = new RateMeter(0);
    const longTripMs = 50;
    let nowMs = 0;
    for (const flightBytes of [FLIGHT_FIRST_BYTES, 2 * FLIGHT_FIRST_BYTES, 4 * FLIGHT_FIRST_BYTES]) {
      expect(meter.flightBytes).toBe(flightBytes);
      for (let at = 0; at < flightBytes; at += 8 * KIB) meter.sent(8 * KIB, nowMs);
      nowMs += longTripMs;
      for (let at = 0; at < flightBytes; at += 8 * KIB) meter.answered(8 * KIB, nowMs, longTripMs);
    }
    expect(meter.isMeasured).toBe(false);
    // A single small request does not show how fast the link is.
    meter.sent(512, nowMs);
    meter.answered(512, nowMs + longTripMs, longTripMs);
    expect(meter.flightBytes).toBe(8 * FLIGHT_FIRST_BYTES);
  });

  test('are few again if the last measurement is old; the estimate stays', () => {
    const meter = new RateMeter(0);
    const nowMs = load(meter, 0, 500, 117_000, 64);
    const before = meter.bytesPerMs;
    meter.sent(512, nowMs + RATE_AGES_MS);
    expect(meter.isMeasured).toBe(true);
    meter.answered(512, nowMs + RATE_AGES_MS + TRIP_MS, TRIP_MS);
    meter.sent(512, nowMs + 2 * RATE_AGES_MS + 1);
    expect([meter.isMeasured, meter.flightBytes, meter.bytesPerMs]).toEqual([false, FLIGHT_FIRST_BYTES, before]);
  });
});

test('a link that stalled for long counts as slow, but not too slow to be measured by a copy', () => {
  const meter = new RateMeter(0);
  meter.sent(SEGMENT_BYTES, 0);
  meter.answered(SEGMENT_BYTES, 60_000, 1);
  expect(meter.bytesPerMs).toBe(RATE_MIN_BYTES_PER_MS);
  expect(meter.isLimit).toBe(true);
});
