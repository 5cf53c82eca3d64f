// What the listener keeps in RUN, which a boot clears: its workers (pid and start time), so that the next listener ends those still
// there with their helpers (S10), and the life of each volume's storage, which an unclean end of a worker renews (docs/PROTOCOL.md,
// verifiers). Invariant: counts go on as long as their file is there; with another file every life is another one.

import { randomBytes } from 'node:crypto';
import { processesOfSession, startTicksOf } from '@rsio/common/daemon/process-facts';
import { isListOf, isRecord, isRecordOf, isText, isWhole, StateFile, type StateForm } from '@rsio/common/files/state-file';
import type { Clock } from '@rsio/common/lib/clock';
import { errnoName, RsError } from '@rsio/common/lib/errors';
import type { Log } from '@rsio/common/log/log';
import { WORKER_DRAIN_TIMEOUT_MS } from '../workers/limits.ts';
import { OLD_WORKER_POLL_MS } from './limits.ts';

interface WorkerRecord {
  readonly pid: number;
  readonly startTime: string;
}

interface Content {
  /** Made with the file; one of an earlier version has none. */
  readonly run?: string;
  readonly workers: readonly WorkerRecord[];
  /** Volume id -> unclean ends. */
  readonly lives: Readonly<Record<string, number>>;
  /** Unclean ends of a listener: they touch every volume. */
  readonly listenerEnds: number;
}

const RUN_ID_BYTES = 8;
/** Of ranges/range-helper.ts: the only processes that workers start. */
const HELPER_NAME = 'perl';

const FORM: StateForm<Content> = {
  version: 1,
  accepts: isContent,
  remedy: 'detach the volumes of this server at its clients, end all its processes, and remove the file',
};

export class RunRecords {
  private readonly file: StateFile<Content>;
  private readonly workers = new Map<number, WorkerRecord>();
  private readonly incarnations = new Map<string, number>();
  private listenerEnds = 0;
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
   * Ends workers that an earlier listener left behind and waits until they are gone. Throws E_DRAINING naming a process that does
   * not go within WORKER_DRAIN_TIMEOUT_MS (its storage does not answer).
   */
  async endOldWorkers(clock: Clock, log: Pick<Log, 'warn'>): Promise<void> {
    const content = await this.file.load();
    if (content === null) return;
    this.run = content.run ?? this.run;
    for (const [id, ends] of Object.entries(content.lives)) this.incarnations.set(id, ends);
    this.listenerEnds = content.listenerEnds;
    if (content.workers.length === 0) return;
    this.listenerEnds++;
    log.warn(`The last rssrv left ${content.workers.length} server processes: they are ended first`);
    const endMs = clock.monotonicMs() + WORKER_DRAIN_TIMEOUT_MS;
    for (let left = remainingProcesses(content.workers); left.length > 0; left = remainingProcesses(content.workers)) {
      if (clock.monotonicMs() > endMs) {
        throw new RsError('E_DRAINING', `Old server process ${left[0]} still has I/O running: find out why its storage does not answer`);
      }
      for (const pid of left) kill(pid);
      await new Promise<void>((resolve) => clock.after(OLD_WORKER_POLL_MS, resolve));
    }
    await this.file.save();
  }

  async workerStarted(pid: number): Promise<void> {
    this.workers.set(pid, { pid, startTime: startTicksOf(pid) ?? '' });
    await this.file.save();
  }

  /** `volumeIds`: what a worker that ended uncleanly had open. */
  async workerEnded(pid: number, volumeIds: readonly string[]): Promise<void> {
    this.workers.delete(pid);
    for (const id of volumeIds) this.incarnations.set(id, (this.incarnations.get(id) ?? 0) + 1);
    await this.file.save();
  }

  /** What was written to the volume may be lost: its storage begins a new life. */
  async incarnationEnded(volumeId: string): Promise<void> {
    this.incarnations.set(volumeId, (this.incarnations.get(volumeId) ?? 0) + 1);
    await this.file.save();
  }

  /** Resolves when all that was noted so far is in the file. */
  saved(): Promise<void> {
    return this.file.save();
  }

  incarnationOf(volumeId: string): string {
    return `${this.bootId}.${this.run}.${this.listenerEnds}.${this.incarnations.get(volumeId) ?? 0}`;
  }
}

/**
 * Numbers of the workers that are still there, and of helpers that outlive theirs: what such a one was asked for may still be done to the
 * storage. Another process with a worker's number means that nothing of its session is left.
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

function isWorkerRecord(value: unknown): value is WorkerRecord {
  return isRecord(value) && isWhole(value['pid']) && isText(value['startTime']);
}

function isContent(value: unknown): value is Content {
  if (!isRecord(value)) return false;
  if (value['run'] !== undefined && !isText(value['run'])) return false;
  return isListOf(value['workers'], isWorkerRecord) && isRecordOf(value['lives'], isWhole) && isWhole(value['listenerEnds']);
}
