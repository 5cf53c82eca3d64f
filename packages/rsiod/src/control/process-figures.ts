// The figures that one process supplies for the metrics, about its volumes, paths and memory. A data process sends its figures to the main
// process as plain values, and the main process adds them up. Invariant: reading the figures changes nothing, and pauses after each volume.

import { PATH_STATS, VOLUME_STATS } from '@rsio/api/rsiod/methods';
import { ATTACHED_MIRROR } from '@rsio/api/views/mirror-views';
import { PROGRESS } from '@rsio/api/views/views';
import type { Clock } from '@rsio/base/lib/clock';
import { count, list, number, object, type Of, orNull, text } from '@rsio/base/lib/shape';
import { nameInUniverse } from '@rsio/base/lib/volume-name';
import type { Pause } from '@rsio/common/metrics/collection';
import type { Attachments } from '../attachments/attachments.ts';
import type { Namespaces } from '../network/namespaces.ts';
import type { AttachedMirror } from '../mirrors/attached-mirror.ts';
import type { Volume } from '../volumes/volume.ts';
import { pastPath } from './joined-stats.ts';
import { statsView, waitingView } from './views.ts';

const VOLUME = object({
  namespace: text(),
  volume: text('The name, with its universe if that is not 0'),
  sizeBytes: count(),
  waitedMs: orNull(number(), 'null: its I/O does not wait'),
  log: orNull(object({ dataBytes: count(), usedBytes: count(), sizeBytes: count(), oldestMs: number() })),
  mirror: orNull(ATTACHED_MIRROR),
  progress: list(PROGRESS),
  stats: VOLUME_STATS,
});

export const FIGURES = object({
  volumes: list(VOLUME),
  paths: list(PATH_STATS),
  awaited: count(),
  logBytes: count(),
  logLimitBytes: count(),
  polledMs: number(),
  pollRests: count(),
  residentBytes: count(),
  cpuSeconds: number(),
});

export type VolumeFigures = Of<typeof VOLUME>;
export type ProcessFigures = Of<typeof FIGURES>;

export interface FiguresPorts {
  readonly clock: Clock;
  readonly attachments: Pick<Attachments, 'list' | 'mirrors' | 'logTotal' | 'busyPoll'>;
  readonly record: { readonly awaited: readonly unknown[] };
  readonly namespaces: Pick<Namespaces, 'list'>;
}

const US_PER_SECOND = 1e6;

/** `withPaths`: false in the main process, because the metrics take its paths from the routes. */
export async function processFigures(
  { clock, attachments, record, namespaces }: FiguresPorts,
  pause: Pause,
  withPaths: boolean,
): Promise<ProcessFigures> {
  const volumes: VolumeFigures[] = [];
  for (const volume of [...attachments.list]) {
    volumes.push(volumeFigures(volume, attachments.mirrors.of(volume.target), clock));
    await pause();
  }
  const { user, system } = process.cpuUsage();
  return {
    volumes,
    paths: withPaths ? statsView(namespaces.list, []).paths : [],
    awaited: record.awaited.length,
    logBytes: attachments.logTotal.bytes,
    logLimitBytes: attachments.logTotal.limitBytes,
    polledMs: attachments.busyPoll.polledMs,
    pollRests: attachments.busyPoll.rests,
    residentBytes: process.memoryUsage.rss(),
    cpuSeconds: (user + system) / US_PER_SECOND,
  };
}

function volumeFigures(volume: Volume, mirror: Pick<AttachedMirror, 'status' | 'progress'> | null, clock: Clock): VolumeFigures {
  const [waiting] = waitingView(volume, clock);
  const { log } = volume.target;
  const oldestMs = log === null || log.sinceMs === null ? 0 : Math.max(0, clock.monotonicMs() - log.sinceMs);
  return {
    namespace: volume.namespace,
    volume: nameInUniverse(volume),
    sizeBytes: volume.sizeBytes,
    waitedMs: waiting === undefined ? null : Math.max(0, clock.wallMs() - waiting.sinceMs),
    log: log === null ? null : { dataBytes: log.dataBytes, usedBytes: log.usedBytes, sizeBytes: log.sizeBytes, oldestMs },
    mirror: mirror?.status ?? null,
    progress: mirror?.progress ?? [],
    stats: volume.counters.view('', volume.outstanding),
  };
}

/** Returns the counters of a process that has ended, without its other figures. */
export function pastFigures({ paths, polledMs, pollRests, cpuSeconds }: ProcessFigures): ProcessFigures {
  return { ...NO_FIGURES, paths: paths.map(pastPath), polledMs, pollRests, cpuSeconds };
}

export const NO_FIGURES: ProcessFigures = {
  volumes: [],
  paths: [],
  awaited: 0,
  logBytes: 0,
  logLimitBytes: 0,
  polledMs: 0,
  pollRests: 0,
  residentBytes: 0,
  cpuSeconds: 0,
};

/** Adds up the figures of several processes, the main process first. */
export function joinedFigures(all: readonly ProcessFigures[]): Omit<ProcessFigures, 'paths'> {
  const sum = (field: Exclude<keyof ProcessFigures, 'volumes' | 'paths'>): number => all.reduce((total, one) => total + one[field], 0);
  return {
    volumes: all.flatMap(({ volumes }) => volumes),
    awaited: sum('awaited'),
    logBytes: sum('logBytes'),
    logLimitBytes: sum('logLimitBytes'),
    polledMs: sum('polledMs'),
    pollRests: sum('pollRests'),
    residentBytes: sum('residentBytes'),
    cpuSeconds: sum('cpuSeconds'),
  };
}
