// The statistics of the sessions as the control interface reports them: counters with rates, paths, and the waits with their reasons. Pure.
// Invariants: an idle volume has rates of zero, and every wait names its reason. A client with a session for each of its data processes is
// shown once.

import type { ServerMethods } from '@rsio/api/rssrv/server-methods';
import type { LatencyFigures } from '@rsio/base/structures/latency-figures';
import type { HeldBy } from '../throttle/throttle-messages.ts';
import type { SessionFigures } from './volume-counters.ts';
import { HOLD_WAIT_MS, RATE_IDLE_MS, SLOW_IO_MS } from '../limits.ts';
import type { SessionRecord, VolumeRecord } from './stats-book.ts';

type Stats = ServerMethods['stats']['result'];
export type SessionStats = Stats['sessions'][number];
export type WaitView = Stats['waits'][number];

type VolumeStats = SessionStats['volumes'][number];

const SUMMED = [
  ...([
    'reads',
    'readBytes',
    'writes',
    'writtenBytes',
    'flushes',
    'discards',
    'zeroes',
    'errors',
    'outstanding',
    'held',
    'heldMs',
  ] as const),
  ...(['readsPerSecond', 'writesPerSecond', 'readBytesPerSecond', 'writtenBytesPerSecond'] as const),
] as const;

/** A session with its last report. `record` is null until the session has reported for the first time. */
export interface StatsSession {
  readonly node: string;
  readonly address: string;
  readonly beganMs: number;
  /** Time in ms for which the process of the session has been hanging in a call to the storage; null if the process does not hang. */
  readonly blockedMs: number | null;
  readonly record: SessionRecord | null;
}

export interface StatsMoment {
  readonly monotonicMs: number;
  readonly wallMs: number;
  /** Returns the name of a volume, such as `oracle@0`. */
  readonly nameOf: (volumeId: string) => string;
  /** Returns a text that completes "held by" for the I/O of a client on a volume. */
  readonly heldBy: (node: string, volumeId: string, by: HeldBy | null) => string | null;
}

export function statsView(sessions: readonly StatsSession[], moment: StatsMoment): Stats {
  return {
    sessions: ofClients(sessions.map((session) => sessionView(session, moment))),
    waits: waitsOfClients(sessions.flatMap((session) => waitsOf(session, moment))),
  };
}

function sessionView({ node, address, beganMs, blockedMs, record }: StatsSession, { monotonicMs, nameOf }: StatsMoment): SessionStats {
  const volumes = record === null ? [] : [...record.volumes];
  return {
    client: node,
    address,
    sinceMs: beganMs,
    ageMs: record === null ? null : Math.round(monotonicMs - record.atMs),
    isBlocked: blockedMs !== null,
    holesOff: false,
    paths: record?.paths ?? [],
    volumes: volumes.map(([id, one]) => volumeStats(nameOf(id), one, record?.atMs ?? 0)),
  };
}

function ofClients(views: readonly SessionStats[]): SessionStats[] {
  const byClient = new Map<string, SessionStats>();
  for (const view of views) {
    const known = byClient.get(view.client);
    byClient.set(view.client, known === undefined ? view : together(known, view));
  }
  return [...byClient.values()];
}

/** Combines into one wait all waits of a client's sessions that have the same object and reason. */
function waitsOfClients(waits: readonly WaitView[]): WaitView[] {
  const byKey = new Map<string, WaitView>();
  for (const wait of waits) {
    const key = `${wait.client} ${wait.volume} ${wait.why}`;
    const { requests, sinceMs } = byKey.get(key) ?? { requests: 0, sinceMs: wait.sinceMs };
    byKey.set(key, { ...wait, requests: requests + wait.requests, sinceMs: Math.min(sinceMs, wait.sinceMs) });
  }
  return [...byKey.values()];
}

function together(one: SessionStats, other: SessionStats): SessionStats {
  const ages = [one.ageMs, other.ageMs].filter((ageMs) => ageMs !== null);
  const volumes = new Map(one.volumes.map((volume) => [volume.volume, volume]));
  for (const volume of other.volumes) {
    const known = volumes.get(volume.volume);
    volumes.set(volume.volume, known === undefined ? volume : sumOf(known, volume));
  }
  return {
    ...one,
    sinceMs: Math.max(one.sinceMs, other.sinceMs),
    ageMs: ages.length === 0 ? null : Math.max(...ages),
    isBlocked: one.isBlocked || other.isBlocked,
    paths: [...one.paths, ...other.paths],
    volumes: [...volumes.values()],
  };
}

/** Adds up the figures of a volume that a client has moved from one data process to another. */
function sumOf(one: VolumeStats, other: VolumeStats): VolumeStats {
  const sums = Object.fromEntries(SUMMED.map((key) => [key, one[key] + other[key]])) as Pick<VolumeStats, (typeof SUMMED)[number]>;
  const latency = (key: 'readLatency' | 'writeLatency' | 'flushLatency'): LatencyFigures => latencyOf(one[key], other[key]);
  return {
    ...one,
    ...sums,
    readLatency: latency('readLatency'),
    writeLatency: latency('writeLatency'),
    flushLatency: latency('flushLatency'),
  };
}

/** Quantiles cannot be added up. The larger of the two quantiles is at least as high as the quantile of all requests. */
function latencyOf(one: LatencyFigures, other: LatencyFigures): LatencyFigures {
  return {
    p50Us: Math.max(one.p50Us, other.p50Us),
    p90Us: Math.max(one.p90Us, other.p90Us),
    p99Us: Math.max(one.p99Us, other.p99Us),
    p999Us: Math.max(one.p999Us, other.p999Us),
    p9999Us: Math.max(one.p9999Us, other.p9999Us),
    maxUs: Math.max(one.maxUs, other.maxUs),
    sumUs: one.sumUs + other.sumUs,
    buckets: one.buckets.map((count, at) => count + (other.buckets[at] ?? 0)),
  };
}

function volumeStats(volume: string, { now, nowMs, before, beforeMs }: VolumeRecord, atMs: number): VolumeStats {
  const {
    volumeId: _id,
    oldestMs: _oldest,
    waitingForSpace: _space,
    heldForSnapshot: _snapshot,
    heldByLimit,
    heldForMs: _for,
    heldBy: _by,
    ...counters
  } = now;
  const isIdle = atMs - nowMs > RATE_IDLE_MS;
  const seconds = (Math.max(atMs, nowMs) - beforeMs) / 1_000;
  // A session that has dropped the counters of a volume (COUNTERS_CLOSED_MAX) begins again with 0.
  const rate = (key: 'reads' | 'writes' | 'readBytes' | 'writtenBytes'): number =>
    isIdle || seconds <= 0 ? 0 : Math.max(0, now[key] - before[key]) / seconds;
  return {
    volume,
    ...counters,
    held: heldByLimit,
    readsPerSecond: rate('reads'),
    writesPerSecond: rate('writes'),
    readBytesPerSecond: rate('readBytes'),
    writtenBytesPerSecond: rate('writtenBytes'),
  };
}

function waitsOf({ node, blockedMs, record }: StatsSession, { monotonicMs, wallMs, nameOf, heldBy }: StatsMoment): WaitView[] {
  if (record === null) return [];
  const sinceReportMs = monotonicMs - record.atMs;
  const since = (ageMs: number): number => Math.round(wallMs - ageMs - sinceReportMs);
  const waits: WaitView[] = [];
  for (const [volumeId, { now }] of record.volumes) {
    const { heldByLimit, heldForMs, outstanding, oldestMs, waitingForSpace, heldForSnapshot } = now;
    const common = { client: node, volume: nameOf(volumeId), requests: outstanding, sinceMs: since(oldestMs), heldBy: null };
    if (heldByLimit > 0)
      waits.push({ ...common, why: 'limit', requests: heldByLimit, sinceMs: since(heldForMs), heldBy: heldBy(node, volumeId, now.heldBy) });
    if (waitingForSpace > 0) waits.push({ ...common, why: 'space', requests: waitingForSpace });
    else if (heldForSnapshot > 0 && oldestMs + sinceReportMs >= SLOW_IO_MS)
      waits.push({ ...common, why: 'snapshot', requests: heldForSnapshot });
    else if (outstanding > 0 && oldestMs + sinceReportMs >= SLOW_IO_MS) waits.push({ ...common, why: 'storage' });
  }
  waits.push(...holdWaits(node, record.opens, since));
  if (blockedMs !== null && blockedMs >= SLOW_IO_MS)
    waits.push({ client: node, volume: '-', why: 'storage', heldBy: null, requests: 0, sinceMs: Math.round(wallMs - blockedMs) });
  return waits;
}

function holdWaits(node: string, opens: SessionFigures['opens'], since: (ageMs: number) => number): WaitView[] {
  return opens
    .filter(({ waitedMs }) => waitedMs >= HOLD_WAIT_MS)
    .map(({ name, universe, waitedMs }) => ({
      client: node,
      volume: `${name}@${universe}`,
      why: 'hold' as const,
      heldBy: null,
      requests: 1,
      sinceMs: since(waitedMs),
    }));
}
