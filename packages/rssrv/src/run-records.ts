// What the listener keeps in RUN, which a boot clears: its workers (pid and start time), so that the next listener ends those still
// there (S10), and the life of each volume's storage, which an unclean end of a worker renews (docs/PROTOCOL.md, verifiers).

import type { Clock } from '@rsio/protocol/lib/clock';
import { RsError } from '@rsio/protocol/lib/errors';
import type { Log } from '@rsio/protocol/lib/log';
import { startTicksOf } from '@rsio/protocol/lib/process-facts';
import { StateFile, type StateForm } from '@rsio/protocol/lib/state-file';
import { isListOf, isRecord, isRecordOf, isText, isWhole } from '@rsio/protocol/lib/state-values';
import { OLD_WORKER_POLL_MS, WORKER_DRAIN_TIMEOUT_MS } from '@rsio/protocol/limits';

interface WorkerRecord {
  readonly pid: number;
  readonly startTime: string;
}

interface Content {
  readonly workers: readonly WorkerRecord[];
  /** Volume id -> unclean ends. */
  readonly lives: Readonly<Record<string, number>>;
  /** Unclean ends of a listener: they touch every volume. */
  readonly listenerEnds: number;
}

const FORM: StateForm<Content> = {
  version: 1,
  accepts: isContent,
  remedy: 'detach the volumes of this server at its clients, end all its processes, and remove the file',
};

export class RunRecords {
  private readonly file: StateFile<Content>;
  private readonly workers = new Map<number, WorkerRecord>();
  private readonly lives = new Map<string, number>();
  private listenerEnds = 0;
  private readonly bootId: string;

  constructor(path: string, bootId: string) {
    this.bootId = bootId;
    this.file = new StateFile<Content>(path, FORM, () => ({
      workers: [...this.workers.values()],
      lives: Object.fromEntries(this.lives),
      listenerEnds: this.listenerEnds,
    }));
  }

  /**
   * Ends workers that an earlier listener left behind and waits until they are gone. Throws E_DRAINING naming a process that does
   * not go within WORKER_DRAIN_TIMEOUT_MS (its storage does not answer).
   */
  async takeOver(clock: Clock, log: Log): Promise<void> {
    const content = await this.file.load();
    if (content === null) return;
    for (const [id, ends] of Object.entries(content.lives)) this.lives.set(id, ends);
    this.listenerEnds = content.listenerEnds;
    if (content.workers.length === 0) return;
    this.listenerEnds++;
    log.warn(`The last rssrv left ${content.workers.length} server processes: they are ended first`);
    const endMs = clock.monotonicMs() + WORKER_DRAIN_TIMEOUT_MS;
    for (const worker of content.workers) {
      if (isThere(worker)) process.kill(worker.pid, 'SIGKILL');
    }
    for (let left = content.workers.filter(isThere); left.length > 0; left = left.filter(isThere)) {
      if (clock.monotonicMs() > endMs) {
        throw new RsError(
          'E_DRAINING',
          `Old server process ${left[0]?.pid} still has I/O running: find out why its storage does not answer`,
        );
      }
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
    for (const id of volumeIds) this.lives.set(id, (this.lives.get(id) ?? 0) + 1);
    await this.file.save();
  }

  /** Resolves when all that was noted so far is in the file. */
  saved(): Promise<void> {
    return this.file.save();
  }

  lifeOf(volumeId: string): string {
    return `${this.bootId}.${this.listenerEnds}.${this.lives.get(volumeId) ?? 0}`;
  }
}

function isThere(worker: WorkerRecord): boolean {
  return startTicksOf(worker.pid) === worker.startTime;
}

function isWorkerRecord(value: unknown): value is WorkerRecord {
  return isRecord(value) && isWhole(value['pid']) && isText(value['startTime']);
}

function isContent(value: unknown): value is Content {
  if (!isRecord(value)) return false;
  return isListOf(value['workers'], isWorkerRecord) && isRecordOf(value['lives'], isWhole) && isWhole(value['listenerEnds']);
}
