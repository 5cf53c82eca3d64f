// Executes jobs that copy volumes and snapshots. Each kind of target has a file in this folder. Invariants: a copy has the content of a
// snapshot, and thus of one moment. The target gets its name only when it is complete. However a job ends, the server removes everything
// except the target that the job has made, if necessary after the next start.

import { errnoName, RsError, toRsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import { isOpen } from '../job-plan.ts';
import type { CopyEnd, CopyTarget, JobRecord } from '../job-record.ts';
import { JobEnds, type RunningJob } from '../jobs.ts';
import { type CopySource, type CopySources, stateOf } from './copy-source.ts';

type Kind = CopyTarget['kind'];

/** Copies to one kind of target. */
export interface CopyKind<Of extends Kind> {
  /**
   * Returns true if the target already exists, because the server stopped after making it and before the end of the job. Even a cancelled
   * job then counts as done. Returns false if the server cannot find out now whether the target exists.
   */
  isMade?(job: RunningJob, target: Extract<CopyTarget, { kind: Of }>): Promise<boolean>;
  /** Copies until the target exists. Throws JobEnds, or the error with which the job fails. */
  run(job: RunningJob, source: CopySource, target: Extract<CopyTarget, { kind: Of }>): Promise<void>;
  /** Deletes temporary files of the copy. */
  discard?(record: JobRecord, target: Extract<CopyTarget, { kind: Of }>): Promise<void>;
}

export class VolumeCopies {
  private readonly log: Pick<Log, 'warn'>;
  private readonly sources: CopySources;
  private readonly kinds: Readonly<Record<Kind, CopyKind<Kind>>>;

  constructor(log: Pick<Log, 'warn'>, sources: CopySources, kinds: { readonly [One in Kind]: CopyKind<One> }) {
    this.log = log;
    this.sources = sources;
    // A kind gets only its own targets, because `kinds` is indexed with the kind of the target.
    this.kinds = kinds as VolumeCopies['kinds'];
  }

  /** Executes a job until the target exists. Throws JobEnds, or the error with which the job has failed. */
  async run(job: RunningJob): Promise<void> {
    let { end } = stateOf(job.record);
    if (end === null) {
      end = await this.copy(job);
      job.note({ copy: { ...stateOf(job.record), end } });
      await job.save().catch((thrown: unknown) => this.log.warn(toRsError(thrown).message));
    }
    await this.discard(job.record);
    await this.sources.release(job);
    if (end.kind !== 'done') throw new JobEnds(end);
  }

  /** Deletes the temporary files of copies to files that an earlier rssrv has left behind. */
  async sweep(jobs: readonly JobRecord[]): Promise<void> {
    for (const job of jobs) if (isOpen(job) && job.copy?.target.kind === 'file') await this.discard(job);
  }

  /** Makes the copy, and returns how the job ends. Throws JobEnds if the job continues later. */
  private async copy(job: RunningJob): Promise<CopyEnd> {
    try {
      if (await this.isMade(job)) return { kind: 'done' };
      job.check();
      const source = await this.sources.of(job);
      job.check();
      const { target } = stateOf(job.record);
      await this.kinds[target.kind].run(job, source, target);
      return { kind: 'done' };
    } catch (thrown) {
      if (!(thrown instanceof JobEnds)) {
        if (isPassing(thrown)) throw new JobEnds({ kind: 'waits', reason: toRsError(thrown).message });
        return { kind: 'failed', reason: toRsError(thrown).message };
      }
      if (thrown.end.kind === 'cancelled' || thrown.end.kind === 'failed') return thrown.end;
      // A copy to a file starts over when the job continues, so its incomplete file is not needed.
      if (stateOf(job.record).target.kind === 'file') await this.discard(job.record);
      throw thrown;
    }
  }

  private async isMade(job: RunningJob): Promise<boolean> {
    const { target } = stateOf(job.record);
    return (await this.kinds[target.kind].isMade?.(job, target)) ?? false;
  }

  private async discard(record: JobRecord): Promise<void> {
    const { target } = stateOf(record);
    await this.kinds[target.kind].discard?.(record, target);
  }
}

/** Throws E_HELD if a job copies this snapshot. `name` is the text for the error, such as `oracle@monday`. */
export function checkNotRead(jobs: readonly JobRecord[], snapshotId: string, name: string): void {
  const job = jobs.find((one) => isOpen(one) && one.copy?.snapshotId === snapshotId && one.copy.end === null);
  if (job === undefined) return;
  throw new RsError('E_HELD', `Snapshot ${name} is being copied by job ${job.id}: wait for it, or cancel it`, { job: job.id });
}

/** Returns true if the job can continue later, because the error may be temporary: a pool is missing or does not answer. */
export function isPassing(thrown: unknown): boolean {
  const { code } = toRsError(thrown);
  return (code === 'E_POOL' && errnoName((thrown as { cause?: unknown }).cause) === undefined) || code === 'E_TIMEOUT';
}
