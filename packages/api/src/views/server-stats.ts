// Formats the statistics of rssrv for people: counters, rates and latencies of each client and volume, and waits. Pure.
// Invariant: each figure stands under a heading with its unit, and an unknown figure is `-`.

import { alignColumns, toText } from '@rsio/common/cli/table';
import type { SessionStatsView, StatsView, VolumeStatsView, WaitView } from './stats-views.ts';
import { printDuration } from '@rsio/base/lib/units';

const BYTES_PER_MB = 1e6;
/** Figures that are older than this time are marked as old. */
const OLD_MS = 5_000;

export interface ClientRates {
  readonly readBytesPerSecond: number;
  readonly writtenBytesPerSecond: number;
}

/** Returns the rates of all volumes of a client together; null if the client has no session. */
export function ratesOf({ sessions }: StatsView, client: string): ClientRates | null {
  const session = sessions.find((one) => one.client === client);
  if (session === undefined) return null;
  const sum = (key: keyof ClientRates): number => session.volumes.reduce((all, volume) => all + volume[key], 0);
  return { readBytesPerSecond: sum('readBytesPerSecond'), writtenBytesPerSecond: sum('writtenBytesPerSecond') };
}

/** Returns a text such as `1.2 MB/s`. */
export function rateText(bytesPerSecond: number): string {
  return `${(bytesPerSecond / BYTES_PER_MB).toFixed(1)} MB/s`;
}

/**
 * Returns the output of `stats`. The sample `before` was taken `elapsedMs` before `now`. `wanted`: client or volume to show; null for all.
 */
export function statsTable(before: StatsView, now: StatsView, elapsedMs: number, wanted: string | null): string | null {
  const seconds = elapsedMs / 1_000;
  const rows: string[][] = [];
  const notes: string[] = [];
  for (const session of now.sessions) {
    const earlier = before.sessions.find(({ client, sinceMs }) => client === session.client && sinceMs === session.sinceMs);
    const volumes = session.volumes.filter(({ volume }) => isWanted(wanted, session.client, volume));
    for (const volume of volumes) {
      const was = earlier?.volumes.find((one) => one.volume === volume.volume);
      rows.push(...volumeRows(session.client, volume, was, seconds));
      const others = [
        [volume.outstanding, 'outstanding'],
        [volume.held, 'held by limits'],
        [volume.errors, 'failed'],
        [volume.discards, 'discards'],
        [volume.zeroes, 'zeroes'],
      ] as const;
      const shown = others.filter(([number]) => number > 0).map(([number, what]) => `${number} ${what}`);
      if (shown.length > 0) notes.push(`${session.client} ${volume.volume}: ${shown.join(', ')}`);
    }
    if (volumes.length > 0 || wanted === null || wanted === session.client) notes.push(...ageNotes(session));
  }
  if (rows.length === 0) return notes.length === 0 ? null : toText(notes);
  const headings = ['CLIENT', 'VOLUME', 'OP', '>TOTAL', '>OP/s', '>MB/s', '>us: p50', '>p99', '>p99.9', '>p99.99', '>max'];
  return toText([...alignColumns(headings, rows), ...notes]);
}

function isWanted(wanted: string | null, client: string, volume: string): boolean {
  return wanted === null || wanted === client || wanted === volume || `${wanted}@0` === volume;
}

function volumeRows(client: string, now: VolumeStatsView, was: VolumeStatsView | undefined, seconds: number): string[][] {
  const rate = (key: 'reads' | 'writes' | 'flushes' | 'readBytes' | 'writtenBytes'): number =>
    was === undefined || seconds <= 0 ? 0 : Math.max(0, now[key] - was[key]) / seconds;
  const mb = (key: 'readBytes' | 'writtenBytes'): string => (rate(key) / BYTES_PER_MB).toFixed(1);
  const times = ({ p50Us, p99Us, p999Us, p9999Us, maxUs }: VolumeStatsView['readLatency'], count: number): string[] =>
    count === 0 ? ['-', '-', '-', '-', '-'] : [p50Us, p99Us, p999Us, p9999Us, maxUs].map((us) => String(Math.round(us)));
  const row = (op: string, key: 'reads' | 'writes' | 'flushes', moved: string, latency: VolumeStatsView['readLatency']): string[] => [
    op === 'read' ? client : '',
    op === 'read' ? now.volume : '',
    op,
    String(now[key]),
    String(Math.round(rate(key))),
    moved,
    ...times(latency, now[key]),
  ];
  return [
    row('read', 'reads', mb('readBytes'), now.readLatency),
    row('write', 'writes', mb('writtenBytes'), now.writeLatency),
    row('flush', 'flushes', '-', now.flushLatency),
  ];
}

function ageNotes({ client, ageMs, isBlocked }: SessionStatsView): string[] {
  if (ageMs === null) return [`${client}: its server process has not reported yet`];
  const hangs = isBlocked ? ', because its server process hangs in a call to storage' : '';
  return ageMs < OLD_MS ? [] : [`${client}: these figures are ${seconds(ageMs)} old${hangs}`];
}

/** Returns a sentence with a remedy for each wait, except waits for space, which are among the warnings about volumes. */
export function waitWarnings(waits: readonly WaitView[], nowMs: number): string[] {
  return waits.flatMap(({ client, volume, why, sinceMs }) => {
    const since = seconds(nowMs - sinceMs);
    const on = volume === '-' ? '' : ` on volume ${volume}`;
    if (why === 'storage') return [`I/O of client ${client}${on} has waited ${since} for the storage: check its disks and rsslogcat -n 20`];
    if (why === 'snapshot') return [`I/O of client ${client}${on} has been held for a snapshot for ${since}: see rsslogcat -n 20`];
    if (why !== 'hold') return [];
    return [`Client ${client} has waited ${since} to open volume ${volume}: rsadm volume show ${volume} names the client that holds it`];
  });
}

/** Returns what `client list -v` prints about paths and waits. */
export function clientDetails({ sessions, waits }: StatsView, nowMs: number, timeText: (ms: number) => string): string {
  const lines = sessions.flatMap(({ client, paths, ...session }) => [
    client,
    ...paths.map(({ interface: name, address, sinceMs, requests, cipher }) => {
      return `    path ${name} from ${address}, since ${timeText(sinceMs)}, ${requests} requests, ${cipher ?? 'plain'}`;
    }),
    ...(paths.length === 0 ? ['    no path'] : []),
    ...waits.filter((wait) => wait.client === client).map((wait) => `    ${waitText(wait, nowMs)}`),
    ...ageNotes({ client, paths, ...session }).map((note) => `    ${note}`),
  ]);
  return toText(lines);
}

const REASONS = {
  limit: 'a limit',
  space: 'space in its pool',
  storage: 'its storage',
  hold: 'the client that holds it',
  snapshot: 'a snapshot',
} as const;

function waitText({ volume, why, heldBy, requests, sinceMs }: WaitView, nowMs: number): string {
  if (why === 'limit') return `volume ${volume}: ${requests} held by ${heldBy ?? 'a limit'}, for ${seconds(nowMs - sinceMs)}`;
  const reason = Object.hasOwn(REASONS, why) ? REASONS[why] : why;
  return `volume ${volume}: ${requests === 0 ? 'I/O' : requests} waiting for ${reason}, for ${seconds(nowMs - sinceMs)}`;
}

function seconds(ms: number): string {
  return printDuration(Math.max(0, Math.round(ms / 1_000)) * 1_000);
}
