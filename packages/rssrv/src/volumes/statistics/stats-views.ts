// The statistics of the sessions in the form of the control interface: counters with rates, paths, and the waits with their reasons. Pure.
// Invariant: an idle volume has rates of zero, and every wait names its reason.

import type { ServerMethods } from '@rsio/common/control/server/server-methods';
import type { HeldBy } from '../throttle/throttle-messages.ts';
import type { SessionFigures } from './volume-counters.ts';
import { HOLD_WAIT_MS, RATE_IDLE_MS, SLOW_IO_MS } from '../limits.ts';
import type { SessionRecord, VolumeRecord } from './stats-book.ts';

type Stats = ServerMethods['stats']['result'];
export type SessionStats = Stats['sessions'][number];
export type WaitView = Stats['waits'][number];

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
    sessions: sessions.map((session) => sessionView(session, moment)),
    waits: sessions.flatMap((session) => waitsOf(session, moment)),
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
    holesOff: record?.holesOff ?? false,
    paths: record?.paths ?? [],
    volumes: volumes.map(([id, one]) => volumeStats(nameOf(id), one, record?.atMs ?? 0)),
  };
}

function volumeStats(volume: string, { now, nowMs, before, beforeMs }: VolumeRecord, atMs: number): SessionStats['volumes'][number] {
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
  const rate = (key: 'reads' | 'writes' | 'readBytes' | 'writtenBytes'): number =>
    isIdle || seconds <= 0 ? 0 : (now[key] - before[key]) / seconds;
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
