// Decides which jobs run, wait, end and leave the list. This module is pure: some functions return the new list of jobs after an event, and
// nextOrders returns the orders for jobs.ts from a list. Invariants: a running job is never started again. An ended job never changes its
// state. A volume has at most one open job. A cancelled job runs once more, to undo its work.

import { assert } from '@rsio/base/lib/assert';
import { RsError } from '@rsio/base/lib/errors';
import type { JobRecord, JobState } from './job-record.ts';
import {
  JOB_RETRY_MS,
  JOBS_KEPT_MAX,
  JOBS_KEPT_PER_CLIENT_MAX,
  JOBS_OPEN_MAX,
  JOBS_OPEN_PER_CLIENT_MAX,
  JOBS_RUNNING_MAX,
  JOBS_RUNNING_PER_CLIENT_MAX,
} from './limits.ts';

/** Maps the id of each waiting job to the time at which the job is tried again. */
export type Retries = ReadonlyMap<string, number>;

export type JobEnd =
  | { readonly kind: 'done' }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'failed'; readonly reason: string }
  /** The job cannot continue now, and is tried again later. */
  | { readonly kind: 'waits'; readonly reason: string }
  /** The server is stopping. The job continues after the next start. */
  | { readonly kind: 'stopped' };

export interface JobOrders {
  /** Ids of the jobs to start, in the order in which they must start. */
  readonly start: readonly string[];
  /** Time after which jobs.ts must decide again; null if only an event can change the decision. */
  readonly lookAfterMs: number | null;
}

/** Describes a job, such as `move of volume db from pool fast to pool slow`. */
export function jobText({ kind, name, from, to, copy, homeId }: JobRecord): string {
  if (homeId !== undefined) return `move of the files of volume ${name} in pool ${from} to pool ${to}`;
  if (kind === 'import') return `import of ${from} to volume ${name} in pool ${to}`;
  if (kind === 'move' || copy === undefined) return `move of volume ${name} from pool ${from} to pool ${to}`;
  const what = `copy of volume ${name}${copy.isOwn ? '' : `@${copy.snapshot}`}`;
  const { target } = copy;
  if (target.kind === 'image') return `${what} to image ${volumeText(target)} in pool ${to}`;
  if (target.kind === 'restore') return `${what} to its volume ${volumeText(target)} in pool ${to}`;
  return target.kind === 'volume' ? `${what} to volume ${volumeText(target)} in pool ${to}` : `${what} to ${to}`;
}

function volumeText({ name, universe }: { readonly name: string; readonly universe: number }): string {
  return universe === 0 ? name : `${name}@${universe}`;
}

export function isOpen({ state }: Pick<JobRecord, 'state'>): boolean {
  return state === 'waiting' || state === 'running' || state === 'cancelling';
}

/** Ids of the volumes that a job changes. The job's files in pools have these ids as names. */
export function volumeIdsOf({ volumeId, copy }: Pick<JobRecord, 'volumeId' | 'copy'>): readonly string[] {
  const target = copy?.target;
  return target !== undefined && 'id' in target ? [volumeId, target.id] : [volumeId];
}

/** Returns the list with a new job. Throws E_BUSY if an open job changes the same volume, and E_LIMIT if too many jobs are open. */
export function withJob(jobs: readonly JobRecord[], job: JobRecord): readonly JobRecord[] {
  const open = jobs.filter(isOpen);
  const ids = new Set(volumeIdsOf(job));
  const other = open.find((one) => volumeIdsOf(one).some((id) => ids.has(id)));
  if (other !== undefined)
    throw new RsError('E_BUSY', `Job ${other.id}, ${jobText(other)}, has not ended: wait for it, or cancel it (jobs cancel ${other.id})`, {
      job: other.id,
    });
  if (open.length >= JOBS_OPEN_MAX)
    throw new RsError('E_LIMIT', `${JOBS_OPEN_MAX} jobs have not ended, and no more are allowed: wait for one`);
  if (job.by !== null && ofClient(open, job.by) >= JOBS_OPEN_PER_CLIENT_MAX)
    throw new RsError(
      'E_LIMIT',
      `${JOBS_OPEN_PER_CLIENT_MAX} jobs of client ${job.by} have not ended, and no more are allowed: wait for one`,
    );
  return [...jobs, job];
}

function ofClient(jobs: readonly JobRecord[], client: string): number {
  return jobs.filter(({ by }) => by === client).length;
}

/** Removes the oldest ended jobs, so that at most JOBS_KEPT_PER_CLIENT_MAX of each client and JOBS_KEPT_MAX in total remain. */
export function withoutOld(jobs: readonly JobRecord[]): readonly JobRecord[] {
  const ended = jobs.filter((job) => !isOpen(job)).toSorted((a, b) => (b.endedMs ?? 0) - (a.endedMs ?? 0));
  const kept = new Map<string, number>();
  const isOfShare = ({ by }: JobRecord): boolean => {
    if (by === null) return true;
    kept.set(by, (kept.get(by) ?? 0) + 1);
    return (kept.get(by) ?? 0) <= JOBS_KEPT_PER_CLIENT_MAX;
  };
  const stay = new Set(ended.filter(isOfShare).slice(0, JOBS_KEPT_MAX));
  const old = new Set(ended.filter((job) => !stay.has(job)).map(({ id }) => id));
  return old.size === 0 ? jobs : jobs.filter(({ id }) => !old.has(id));
}

/** Returns the job in the state that it gets at a start of the server, when no job is running. */
export function afterStart(job: JobRecord): JobRecord {
  return job.state === 'running' ? { ...job, state: 'waiting', reason: null } : job;
}

/** Returns the job as cancelled. Throws E_USAGE if the job has ended. */
export function cancelled(job: JobRecord): JobRecord {
  if (!isOpen(job)) throw new RsError('E_USAGE', `Job ${job.id} has ended (${job.state}): there is nothing to cancel`, { job: job.id });
  return { ...job, state: 'cancelling' };
}

export function started(job: JobRecord): JobRecord {
  return job.state === 'waiting' ? { ...job, state: 'running', reason: null } : job;
}

export function ended(job: JobRecord, end: JobEnd, nowMs: number): JobRecord {
  assert(isOpen(job), `Job ${job.id} ends twice`);
  if (end.kind === 'stopped') return afterStart(job);
  if (end.kind === 'waits') return { ...job, state: job.state === 'cancelling' ? 'cancelling' : 'waiting', reason: end.reason };
  const state: JobState = end.kind;
  return { ...job, state, reason: end.kind === 'failed' ? end.reason : null, endedMs: nowMs, move: null };
}

/**
 * All images that one request refreshes should get the same moment. If this job has failed or was cancelled, but jobs of other images of
 * the request continue or are done, returns a sentence that names these images; otherwise null.
 */
export function leftBehind(jobs: readonly JobRecord[], { id, copy }: JobRecord): string | null {
  if (copy?.target.kind !== 'image') return null;
  const others = jobs.flatMap((one) => {
    const target = one.copy?.target;
    const isSame = one.id !== id && target?.kind === 'image' && one.copy?.snapshot === copy.snapshot;
    return isSame && !['failed', 'cancelling', 'cancelled'].includes(one.state) ? [volumeText(target)] : [];
  });
  if (others.length === 0) return null;
  return (
    `image ${volumeText(copy.target)} keeps its moment, and of the same order ${others.join(', ')} ${others.length === 1 ? 'has' : 'have'} ` +
    'the new one or will have it: refresh all of them again'
  );
}

export function nextOrders(jobs: readonly JobRecord[], running: ReadonlySet<string>, retries: Retries, nowMs: number): JobOrders {
  const idle = jobs.filter((job) => isOpen(job) && !running.has(job.id));
  const isReady = ({ id, state }: JobRecord): boolean =>
    state === 'cancelling' && !retries.has(id) ? true : (retries.get(id) ?? 0) <= nowMs;
  // Cancelled jobs, which must undo their work, are started first.
  const ready = idle.filter(isReady).toSorted((a, b) => Number(b.state === 'cancelling') - Number(a.state === 'cancelling'));
  const busy = jobs.filter(({ id }) => running.has(id));
  for (const job of ready) {
    if (busy.length >= JOBS_RUNNING_MAX) break;
    if (job.by === null || ofClient(busy, job.by) < JOBS_RUNNING_PER_CLIENT_MAX) busy.push(job);
  }
  const start = busy.filter(({ id }) => !running.has(id)).map(({ id }) => id);
  const later = idle.flatMap(({ id }) => {
    const atMs = retries.get(id);
    return atMs === undefined || atMs <= nowMs ? [] : [atMs - nowMs];
  });
  return { start, lookAfterMs: later.length === 0 ? null : Math.min(...later) };
}

export function retryAtMs(nowMs: number): number {
  return nowMs + JOB_RETRY_MS;
}
