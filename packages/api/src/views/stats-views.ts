// The shapes of statistics about clients in answers of rssrv: counters, rates, latencies, paths and waits. Invariant: a field never
// disappears or changes its meaning within a version of the interface.

import { LATENCY } from './latency-shape.ts';
import { count, flag, list, number, object, type Of, orNull, text, word } from '@rsio/base/lib/shape';

const VOLUME_STATS = object({
  volume: text('Such as oracle@0'),
  reads: count(),
  readBytes: count(),
  writes: count(),
  writtenBytes: count(),
  flushes: count(),
  discards: count(),
  zeroes: count(),
  errors: count('Requests that ended with another status than OK'),
  outstanding: count('Requests in the storage, or waiting for space'),
  held: count('Requests that a limit or a pause holds'),
  heldMs: number('Sum of the times in ms for which limits and pauses have held requests'),
  readsPerSecond: number(),
  writesPerSecond: number(),
  readBytesPerSecond: number(),
  writtenBytesPerSecond: number(),
  readLatency: LATENCY,
  writeLatency: LATENCY,
  flushLatency: LATENCY,
});

export const SESSION_PATH = object({
  interface: text('Interface of the server'),
  address: text('Address of the client'),
  sinceMs: number(),
  requests: count(),
  cipher: orNull(text('Cipher suite of TLS; null: the path is plain')),
});

const SESSION_STATS = object({
  client: text(),
  address: text(),
  sinceMs: number('When its session began; the counters count from then. If it has several sessions: when the last of them began'),
  ageMs: orNull(number('Age of these figures; null: the server process has not reported yet')),
  isBlocked: flag('The server process hangs in a call to storage, and reports nothing'),
  holesOff: flag('Always false, because server processes no longer need a helper to punch holes'),
  paths: list(SESSION_PATH),
  volumes: list(VOLUME_STATS),
});

export const WAIT = object({
  client: text(),
  volume: text('-: any volume of the client'),
  why: word(
    ['space', 'storage', 'hold', 'snapshot', 'limit'],
    'space: the pool is full; storage: it does not answer; hold: another client has the volume; snapshot: the server makes one; limit: see heldBy',
  ),
  heldBy: orNull(text('The limit or pause that holds it, in words that complete "held by"')),
  requests: count(),
  sinceMs: number(),
});

export const STATS = object({ sessions: list(SESSION_STATS), waits: list(WAIT, 'I/O that waits') });

export type SessionStatsView = Of<typeof SESSION_STATS>;
export type VolumeStatsView = Of<typeof VOLUME_STATS>;
export type WaitView = Of<typeof WAIT>;
export type StatsView = Of<typeof STATS>;
