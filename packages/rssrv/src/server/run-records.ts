// The listener's records in RUN, a directory that a boot clears. The records contain the pid and start time of each worker, so that the
// next listener can kill remaining workers, and helpers of workers of rssrv 0.2.0 (S10). The records also count how often a volume's writes may have been lost.
// The counts are part of the storage's incarnation (docs/PROTOCOL.md, verifiers). Invariants: no count decreases while the file exists;
// with a new file, the storage of every volume starts a new incarnation.

import { sleep } from '@rsio/base/lib/waiting';
import { randomBytes } from 'node:crypto';
import { processesOfSession, startTicksOf } from '@rsio/base/daemon/process-facts';
import { StateFile, type StateForm } from '@rsio/base/files/state-file';
import type { Clock } from '@rsio/base/lib/clock';
import { errnoName, RsError } from '@rsio/base/lib/errors';
import { integer, list, map, object, type Of, optional, text } from '@rsio/base/lib/shape';
import type { Log } from '@rsio/base/log/log';
import type { ServedVolume } from '../storage/io/served-volume.ts';
import { OLD_WORKER_POLL_MS, WORKER_DRAIN_TIMEOUT_MS } from './limits.ts';

const WORKER = object({ pid: integer(), startTime: text() });
type WorkerRecord = Of<typeof WORKER>;

const CONTENT = object({
  /** Random id of the file. Files of earlier versions have no such id. */
  run: optional(text()),
  workers: list(WORKER),
  /** Maps each volume id to a count of events in which writes may have been lost. */
  lives: map(integer()),
  /**
   * Number of listeners that exited and left workers behind. The number is a part of every incarnation, so an exit that leaves workers
   * behind starts a new incarnation of every volume's storage.
   */
  listenerEnds: integer(),
});
type Content = Of<typeof CONTENT>;

const RUN_ID_BYTES = 8;
/** Process name of the helper that each worker of rssrv 0.2.0 had for fallocate(2). Workers of this release start no process. */
const HELPER_NAME = 'perl';

const FORM: StateForm<Content> = {
  version: 1,
  shape: CONTENT,
  remedy: 'detach the volumes of this server at its clients, kill all its processes, and remove the file',
};

export class RunRecords {
  private readonly file: StateFile<Content>;
  private readonly workers = new Map<number, WorkerRecord>();
  private readonly incarnations = new Map<string, number>();
  private listenerEnds = 0;
  private loaded = false;
  /** True until the pools of a new run are open. */
  private isFirstStart = false;
  private run = randomBytes(RUN_ID_BYTES).toString('hex');
  private readonly bootId: string;

  constructor(path: string, bootId: string) {
    this.bootId = bootId;
    this.file = new StateFile<Content>(path, FORM, () => ({
      run: this.run,
      workers: [...this.workers.values()],
      lives: Object.fromEntries(this.incarnations),
      listenerEnds: this.listenerEnds,
    }));
  }

  /**
   * Kills the workers that an earlier listener left behind, and waits until they have exited. Throws E_DRAINING if a process has not exited
   * after WORKER_DRAIN_TIMEOUT_MS, because its storage does not answer.
   */
  async endOldWorkers(clock: Clock, log: Pick<Log, 'warn'>): Promise<void> {
    const content = await this.file.load();
    this.loaded = true;
    this.isFirstStart = content === null;
    if (content === null) return;
    this.run = content.run ?? this.run;
    for (const [id, ends] of Object.entries(content.lives)) this.incarnations.set(id, ends);
    this.listenerEnds = content.listenerEnds;
    if (content.workers.length === 0) return;
    this.listenerEnds++;
    log.warn(`The last rssrv left ${content.workers.length} server processes behind: they are killed first`);
    const endMs = clock.monotonicMs() + WORKER_DRAIN_TIMEOUT_MS;
    for (let left = remainingProcesses(content.workers); left.length > 0; left = remainingProcesses(content.workers)) {
      if (clock.monotonicMs() > endMs) {
        throw new RsError(
          'E_DRAINING',
          `Old server process ${left[0]} still has I/O in progress: find out why its storage does not answer`,
        );
      }
      for (const pid of left) kill(pid);
      await sleep(clock, OLD_WORKER_POLL_MS);
    }
    await this.file.save();
  }

  async workerStarted(pid: number): Promise<void> {
    this.workers.set(pid, { pid, startTime: startTicksOf(pid) ?? '' });
    await this.file.save();
  }

  /** Records that a worker has exited. Starts a new incarnation of the given volumes, which were open in a session that ended uncleanly. */
  async workerEnded(pid: number, volumeIds: readonly string[]): Promise<void> {
    this.workers.delete(pid);
    await this.incarnationsEnded(volumeIds);
  }

  /** True once the records of the earlier listener are known, so that a save keeps them. */
  get isLoaded(): boolean {
    return this.loaded;
  }

  /** Identifies this run of the server on this boot. Another machine, another boot and another RUN directory have another id. */
  get runId(): string {
    return `${this.bootId}.${this.run}`;
  }

  /**
   * Starts a new incarnation of the storage of each volume of a pool that another server has owned. Does nothing at the first start of a
   * run, because no incarnation of the run exists yet.
   */
  async poolCame(volumeIds: readonly string[]): Promise<void> {
    if (!this.isFirstStart) await this.incarnationsEnded(volumeIds);
  }

  /** Called when the pools are open, so that their volumes have incarnations of this run. */
  firstStartEnded(): void {
    this.isFirstStart = false;
  }

  /** Starts a new incarnation of the storage of each of these volumes. */
  async incarnationsEnded(volumeIds: readonly string[]): Promise<void> {
    for (const id of volumeIds) this.incarnations.set(id, (this.incarnations.get(id) ?? 0) + 1);
    await this.file.save();
  }

  /** Resolves when everything recorded so far is in the file. */
  saved(): Promise<void> {
    return this.file.save();
  }

  incarnationOf(volumeId: string): string {
    return `${this.runId}.${this.listenerEnds}.${this.countOf(volumeId)}`;
  }

  /** Number of incarnations of the volume that have ended. */
  countOf(volumeId: string): number {
    return this.incarnations.get(volumeId) ?? 0;
  }

  /**
   * Continues with the counts that the last owner of a shared pool has saved. The counts of a shared pool need not outlive this process.
   */
  adoptCounts(counts: Readonly<Record<string, number>>): void {
    for (const [id, count] of Object.entries(counts)) this.incarnations.set(id, count);
  }
}

/** Returns the incarnation of the storage of a volume or snapshot. `instance`: of this start of the server. */
export function incarnationOf(volume: ServedVolume | null, records: RunRecords, instance: string): string {
  const { id = '', type, snapshotOf, pool } = volume ?? {};
  // A snapshot always has the same incarnation, because a snapshot gets no writes that could be lost.
  if (snapshotOf !== undefined) return 'snapshot';
  const ownership = pool?.ownership;
  // The incarnation contains the id of the pool, so that a move between two shared pools changes the incarnation of a volume.
  if (ownership !== undefined) return `${pool?.ids[0] ?? ''}.${ownership.life}.${records.countOf(id)}`;
  return type === 'memory' ? instance : records.incarnationOf(id);
}

/**
 * Returns the pids of remaining workers, and of helpers that have outlived their worker and may still be changing the storage. The kernel
 * does not reuse the pid of a worker while helpers remain in the worker's process session. Therefore, if another process has the pid of a
 * worker, the helpers of that worker have exited.
 */
function remainingProcesses(workers: readonly WorkerRecord[]): number[] {
  return workers.flatMap(({ pid, startTime }) => {
    const ticks = startTicksOf(pid);
    if (ticks === startTime) return [pid];
    return ticks === undefined ? processesOfSession(pid, HELPER_NAME) : [];
  });
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (thrown) {
    if (errnoName(thrown) !== 'ESRCH') throw thrown;
  }
}
