// One form for all work that takes time: jobs and replications of servers, resyncs and comparisons of mirrors, and backups. The commands, the
// pages and the metrics take it from here. Pure. Invariant: what is not known, such as a whole size or a rate, is null and never a guess.

import type { AttachedMirrorView, VerificationView } from './mirror-views.ts';
import { COMMAND_WORKS, JOB_WORKS, type JobView, type Progress, type ReplicationView, type Work } from './views.ts';
import { alignColumns, toText } from '@rsio/common/cli/table';
import { shownSize } from '@rsio/base/lib/units';
import { nameInUniverse } from '@rsio/base/lib/volume-name';

type Amounts = Pick<Progress, 'doneBytes' | 'totalBytes' | 'bytesPerSecond' | 'leftMs'>;

/** `totalBytes`: null or 0 if it is not known. */
export function amounts(doneBytes: number, totalBytes: number | null, bytesPerSecond: number): Amounts {
  const whole = totalBytes === null || totalBytes === 0 ? null : Math.max(totalBytes, doneBytes);
  const leftMs = whole === null || bytesPerSecond === 0 ? null : Math.ceil(((whole - doneBytes) * 1_000) / bytesPerSecond);
  return { doneBytes, totalBytes: whole, bytesPerSecond, leftMs };
}

/** Returns null for a job that has ended. */
export function progressOfJob(job: JobView): Progress | null {
  const { id, kind, work = kind, universe, from, to, newName, state, reason, doneBytes, totalBytes, bytesPerSecond } = job;
  if (job.endedMs !== null) return null;
  const target = newName === null || kind === 'import' ? to : `${newName} in ${to}`;
  return {
    kind: work,
    id: `job ${id}`,
    name: job.name.includes('@') ? job.name : nameInUniverse({ name: job.name, universe }),
    about: `from ${from} to ${target}`,
    state: state === 'cancelling' ? 'ending' : state === 'running' ? 'running' : 'waiting',
    waitsFor: state === 'waiting' ? (reason ?? 'its turn') : null,
    ...amounts(doneBytes, totalBytes, bytesPerSecond),
    goesOn: true,
  };
}

/** Returns null for a replication that copies nothing now. */
export function progressOfReplication(replication: ReplicationView): Progress | null {
  const { id, direction, peer, volumes, state, text: why, doneBytes, totalBytes, bytesPerSecond = 0 } = replication;
  const isHalf = (state === 'failing' || state === 'absent') && doneBytes < totalBytes;
  if (state !== 'copying' && !isHalf) return null;
  return {
    kind: 'replication',
    id: `replication ${id}`,
    name: volumes.map(nameInUniverse).join(', ') || '-',
    about: `${direction === 'out' ? 'to' : 'from'} server ${peer}`,
    state: isHalf ? 'waiting' : 'running',
    waitsFor: isHalf ? why : null,
    ...amounts(doneBytes, totalBytes, isHalf ? 0 : bytesPerSecond),
    goesOn: true,
  };
}

/** One entry for each replica that lacks writes. */
export function progressOfResync({ volume, waitsFor, replicas }: AttachedMirrorView): Progress[] {
  return replicas.flatMap(({ server, state, leftBytes, bytesPerSecond, copiedBytes = null }): Progress[] => {
    if (state === 'in sync') return [];
    const isCopying = state === 'copying';
    const [done, left] = [copiedBytes ?? 0, leftBytes ?? 0];
    return [
      {
        kind: 'resync',
        id: `resync ${volume} ${server}`,
        name: volume,
        about: `to server ${server}`,
        state: isCopying ? 'running' : 'waiting',
        waitsFor: isCopying ? null : (waitsFor ?? `server ${server}`),
        ...amounts(done, leftBytes === null ? null : done + left, isCopying ? Math.round(bytesPerSecond ?? 0) : 0),
        goesOn: true,
      },
    ];
  });
}

/** Returns null for a comparison that has ended. */
export function progressOfVerification(verification: VerificationView | null): Progress | null {
  if (verification?.isRunning !== true) return null;
  const { volume, waitsFor, comparedBytes, sizeBytes, bytesPerSecond = 0 } = verification;
  return {
    kind: 'verify',
    id: `verify ${volume}`,
    name: volume,
    about: 'the replicas in sync',
    state: waitsFor === null ? 'running' : 'waiting',
    waitsFor,
    ...amounts(comparedBytes, sizeBytes, bytesPerSecond),
    goesOn: true,
  };
}

export function progressOfServer(jobs: readonly JobView[], replications: readonly ReplicationView[]): Progress[] {
  return [...jobs.map(progressOfJob), ...replications.map(progressOfReplication)].filter((one) => one !== null);
}

/** The sums of each kind of work that is in progress, for metrics. `sizeBytes`: of the works whose whole is known. */
export interface KindProgress {
  readonly kind: Work;
  readonly works: number;
  readonly waiting: number;
  readonly doneBytes: number;
  readonly sizeBytes: number;
}

export const SERVER_WORKS = [...JOB_WORKS, 'replication'] as const;
export const CLIENT_WORKS = ['resync', 'verify', ...COMMAND_WORKS] as const;

/** Each of `kinds` has an entry, also without a work. */
export function progressByKind(all: readonly Progress[], kinds: readonly Work[]): KindProgress[] {
  return kinds.map((kind) => {
    const of = all.filter((one) => one.kind === kind);
    const sum = (value: (one: Progress) => number): number => of.reduce((total, one) => total + value(one), 0);
    const waiting = of.filter(({ state }) => state === 'waiting').length;
    return { kind, works: of.length, waiting, doneBytes: sum((one) => one.doneBytes), sizeBytes: sum((one) => one.totalBytes ?? 0) };
  });
}

/** Done share in whole percent, rounded down; null if the whole is not known. */
export function percentOf({ doneBytes, totalBytes }: Pick<Progress, 'doneBytes' | 'totalBytes'>): number | null {
  return totalBytes === null || totalBytes === 0 ? null : Math.floor((doneBytes / totalBytes) * 100);
}

/** Returns a text such as `42 %, 1.2G of 3.0G, 110.0M/s, 17 s left`; without the percentage if `isBare`. */
export function progressText(progress: Omit<Progress, 'kind' | 'id' | 'name' | 'about' | 'goesOn'>, isBare = false): string {
  const { state, waitsFor, doneBytes, totalBytes, bytesPerSecond, leftMs } = progress;
  const parts = [
    ...(isBare || totalBytes === null ? [] : [`${percentOf(progress) ?? 0} %`]),
    totalBytes === null
      ? doneBytes === 0
        ? 'nothing done yet'
        : `${shownSize(doneBytes)} done`
      : `${shownSize(doneBytes)} of ${shownSize(totalBytes)}`,
    ...(bytesPerSecond === 0 ? [] : [`${shownSize(bytesPerSecond)}/s`]),
    ...(leftMs === null || state !== 'running' ? [] : [`${leftText(leftMs)} left`]),
    ...(state === 'ending' ? ['is being cancelled'] : []),
    ...(waitsFor === null ? [] : [`waits for ${waitsFor}`]),
  ];
  return parts.join(', ');
}

/** Returns a time that is left as a text, such as `17 s`, `4 min`, `3.5 h` or `2.1 d`. */
export function leftText(ms: number): string {
  const s = Math.ceil(ms / 1_000);
  if (s < 100) return `${s} s`;
  if (s < 100 * 60) return `${Math.ceil(s / 60)} min`;
  return s < 48 * 3_600 ? `${(s / 3_600).toFixed(1)} h` : `${(s / 86_400).toFixed(1)} d`;
}

const BAR_COLUMNS = 20;

/** One line for a terminal: what is done, a bar, and the figures. */
export function progressLine(progress: Progress): string {
  const { kind, name } = progress;
  const percent = percentOf(progress);
  const full = Math.floor(((percent ?? 0) * BAR_COLUMNS) / 100);
  const bar = percent === null ? '' : ` [${'#'.repeat(full)}${'-'.repeat(BAR_COLUMNS - full)}]`;
  return `${kind} ${name}${bar} ${progressText(progress)}`;
}

/** `wheres`: the server or this machine, of each entry. */
export function progressTable(all: readonly Progress[], wheres: readonly string[] | null): string {
  const rows = all.map((one, index) => [
    ...(wheres === null ? [] : [wheres[index] ?? '-']),
    one.kind,
    one.name,
    one.about,
    percentOf(one) === null ? '-' : `${percentOf(one) ?? 0}%`,
    `${shownSize(one.doneBytes)}/${shownSize(one.totalBytes)}`,
    one.bytesPerSecond === 0 ? '-' : `${shownSize(one.bytesPerSecond)}/s`,
    one.leftMs === null ? '-' : leftText(one.leftMs),
    one.waitsFor ?? (one.state === 'ending' ? 'being cancelled' : '-'),
  ]);
  return toText(
    alignColumns(
      [...(wheres === null ? [] : ['AT']), 'WORK', 'VOLUME', 'FROM AND TO', '>DONE', '>BYTES', '>RATE', '>LEFT', 'WAITS FOR'],
      rows,
    ),
  );
}
