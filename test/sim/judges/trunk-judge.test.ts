// The judge of a trunk reports a request that waits for silent paths, a healthy path that stays idle, and nothing else. Seeds and the zoo
// test whole trunks.

import { RATE_PROBE_IDLE_MS, RATE_PROBE_SHARE } from '@rsio/protocol/client/limits';
import { expect, test } from 'vitest';
import { type JudgedPath, type JudgedRequest, type JudgedSlots, MOVED_WITHIN_MS, TrunkJudge } from './trunk-judge.ts';

const TIMES = { heartbeatMs: 1000, suspectMs: 200, deadMs: 3000 };
const BODY_BYTES = 8192;
const REQUEST = { attachment: {}, bodyBytes: BODY_BYTES };

interface Fields {
  readonly number: number;
  readonly quietSinceMs?: number;
  readonly lastProofMs?: number;
  readonly requests?: number;
  readonly out?: number;
  readonly usedMs?: number;
  readonly bytesPerMs?: number;
  readonly suspect?: boolean;
}

function path(fields: Fields): JudgedPath {
  const meter = {
    bytesPerMs: fields.bytesPerMs ?? 1000,
    unansweredBytes: 0,
    isMeasured: true,
    isLimit: true,
    flightBytes: 0,
    lastUsedMs: fields.usedMs ?? 0,
  };
  return {
    number: fields.number,
    isSuspect: fields.suspect ?? false,
    queuedBytes: 0,
    quietSinceMs: fields.quietSinceMs ?? Number.POSITIVE_INFINITY,
    lastProofMs: fields.lastProofMs ?? 0,
    roundTripMs: 1,
    requests: fields.requests ?? 0,
    load: {
      receiving: meter,
      sending: meter,
      requests: fields.out ?? 0,
      tripMs: 1,
      receivingMsPerByte: 1 / meter.bytesPerMs,
      sendingMsPerByte: 1 / meter.bytesPerMs,
      delayMs: 1,
      overdueMs: 0,
    },
  };
}

/** Slots with one request that was sent on these paths. Each of the paths owes an answer to the request. */
const owed = (...copies: number[]): JudgedSlots => ({
  size: 2,
  freeCount: 1,
  requestOf: (slot) => (slot === 0 ? REQUEST : null),
  copiesOf: (slot) => (slot === 0 ? copies : []),
});

/** Checks every 100 ms from `fromMs` to `toMs`; returns the first breach. */
function watch(look: (nowMs: number) => string | null, fromMs: number, toMs: number): string | null {
  for (let nowMs = fromMs; nowMs <= toMs; nowMs += 100) {
    const said = look(nowMs);
    if (said !== null) return said;
  }
  return null;
}

test('a request on a silent path may wait no longer than it takes to move it, while another path delivers', () => {
  const silent = path({ number: 1, quietSinceMs: 0, out: 1 });
  const other = (nowMs: number): JudgedPath => path({ number: 2, lastProofMs: nowMs });
  const endMs = TIMES.suspectMs + MOVED_WITHIN_MS + 300;
  const run = (paths: (nowMs: number) => JudgedPath[], ...copies: number[]): string | null => {
    const judge = new TrunkJudge(TIMES, BODY_BYTES);
    return watch((nowMs) => judge.look(paths(nowMs), owed(...copies), nowMs), 0, endMs);
  };
  expect(run((nowMs) => [silent, other(nowMs)], 1)).toContain('silent paths (1) while others (2) deliver');
  expect(run((nowMs) => [silent, other(nowMs)], 1, 2)).toBeNull();
  // No path owes an answer to the request.
  expect(run((nowMs) => [other(nowMs)])).toContain('while others (2) deliver');
  // No newer request overtakes the waiting request, or only a request without data, which need not wait.
  const later = (nowMs: number, request: JudgedRequest): JudgedSlots => {
    const slots = owed(1);
    return nowMs < 500 ? slots : { ...slots, requestOf: (slot) => (slot === 0 ? REQUEST : request), copiesOf: (slot) => [slot + 1] };
  };
  const busy = (nowMs: number): JudgedPath => path({ number: 2, lastProofMs: nowMs, out: 1, usedMs: nowMs });
  for (const [attachment, said] of [
    [{}, 'while others (2) deliver'],
    [null, 'nothing'],
  ] as const) {
    const judge = new TrunkJudge(TIMES, BODY_BYTES);
    const request = { attachment, bodyBytes: BODY_BYTES };
    expect(watch((nowMs) => judge.look([silent, busy(nowMs)], later(nowMs, request), nowMs), 0, endMs) ?? 'nothing').toContain(said);
  }
  // The other path is idle, but so slow that waiting is better.
  expect(run((nowMs) => [silent, path({ number: 2, lastProofMs: nowMs, bytesPerMs: BODY_BYTES / endMs })], 1)).toBeNull();
  // The other path also delivers nothing, or is full of earlier requests.
  expect(run(() => [silent, path({ number: 2 })], 1)).toBeNull();
  expect(run((nowMs) => [silent, busy(nowMs)], 1)).toBeNull();
  // The silent path has delivered something since.
  expect(run((nowMs) => [path({ number: 1, quietSinceMs: nowMs - TIMES.suspectMs, out: 1 }), other(nowMs)], 1)).toBeNull();
});

test('the waiting time counts again from zero after the process was stopped', () => {
  const judge = new TrunkJudge(TIMES, BODY_BYTES);
  const paths = (nowMs: number): JudgedPath[] => [path({ number: 1, quietSinceMs: 0, out: 1 }), path({ number: 2, lastProofMs: nowMs })];
  expect(watch((nowMs) => judge.look(paths(nowMs), owed(1), nowMs), 0, MOVED_WITHIN_MS)).toBeNull();
  judge.forget();
  expect(watch((nowMs) => judge.look(paths(nowMs), owed(1), nowMs), MOVED_WITHIN_MS + 100, 2 * MOVED_WITHIN_MS)).toBeNull();
});

test('a healthy path is tried now and then while others work, if that costs no time', () => {
  const most = 4 * RATE_PROBE_SHARE * 2;
  const run = (idle: (nowMs: number) => JudgedPath, perLook: number, carriesData = true): string | null => {
    const judge = new TrunkJudge(TIMES, BODY_BYTES);
    let requests = 0;
    const busy = (nowMs: number): JudgedPath => path({ number: 1, requests: (requests += perLook), usedMs: carriesData ? nowMs : -1 });
    return watch((nowMs) => judge.look([busy(nowMs), idle(nowMs)], owed(1, 2), nowMs), 0, RATE_PROBE_IDLE_MS + 1000);
  };
  expect(run(() => path({ number: 2 }), most / 9)).toContain('path 2 is well and was left idle');
  expect(run(() => path({ number: 2 }), most / 11)).toBeNull();
  expect(run(() => path({ number: 2 }), most, false)).toBeNull();
  expect(run((nowMs) => path({ number: 2, usedMs: nowMs - RATE_PROBE_IDLE_MS }), most)).toBeNull();
  expect(run(() => path({ number: 2, bytesPerMs: 10 }), most)).toBeNull();
  expect(run(() => path({ number: 2, suspect: true }), most)).toBeNull();
  expect(run(() => path({ number: 2, out: 1 }), most)).toBeNull();
});
