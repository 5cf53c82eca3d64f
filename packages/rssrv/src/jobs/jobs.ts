// Starts and ends the jobs of a server, and saves their progress, so that they continue after a restart. job-plan.ts decides which jobs
// start and end. The records are in the state folder of the server and not in a pool, because a job is an order to this server and concerns
// several pools. Invariants: a job survives a restart once its request is answered. Each change of state is saved before it is reported. At
// most JOBS_RUNNING_MAX jobs run.

import { sleep, within } from '@rsio/base/lib/waiting';
import { StateFile } from '@rsio/base/files/state-file';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import { RateMeter } from '@rsio/base/structures/rate-meter';
import {
  afterStart,
  cancelled,
  ended,
  isOpen,
  jobText,
  leftBehind,
  nextOrders,
  retryAtMs,
  started,
  type JobEnd,
  withJob,
  withoutOld,
} from './job-plan.ts';
import { JOBS_CONTENT, type JobRecord, type JobsContent } from './job-record.ts';
import { JOB_LIMIT_MIN_BYTES, JOB_STOP_WAIT_MS, PACE_WAIT_MAX_MS } from './limits.ts';

// Paces a job to its bandwidth limit, which may change while the job runs, and measures its speed. Invariant: on average over several
// seconds, a job is not faster than its limit.
class JobPace {
  private readonly clock: Clock;
  /** Time at which the next bytes may be copied. */
  private freeMs = Number.NEGATIVE_INFINITY;
  private readonly meter = new RateMeter();
  private takenBytes = 0;

  constructor(clock: Clock) {
    this.clock = clock;
    this.meter.add(clock.monotonicMs(), 0);
  }

  get bytesPerSecond(): number {
    return this.meter.bytesPerSecond(this.clock.monotonicMs(), this.takenBytes);
  }

  /**
   * Resolves with true when the next bytes may be copied. After false, the caller must call this method again. `limitBytes` is the limit in
   * bytes per second; null if there is no limit.
   */
  async wait(limitBytes: number | null): Promise<boolean> {
    const nowMs = this.clock.monotonicMs();
    const waitMs = limitBytes === null ? 0 : Math.min(PACE_WAIT_MAX_MS, this.freeMs - nowMs);
    if (waitMs <= 0) return true;
    await sleep(this.clock, waitMs);
    return false;
  }

  /** Counts bytes that are about to be copied. */
  take(bytes: number, limitBytes: number | null): void {
    const nowMs = this.clock.monotonicMs();
    this.freeMs = limitBytes === null ? nowMs : Math.max(nowMs, this.freeMs) + (bytes / limitBytes) * 1_000;
    this.takenBytes += bytes;
    this.meter.add(nowMs, this.takenBytes);
  }
}

const REMEDY = 'remove it; jobs that were in progress are then not finished: volumes stay where they are, and copies are not made';

/** A job throws this error to end with the given result. */
export class JobEnds extends Error {
  readonly end: JobEnd;

  constructor(end: JobEnd) {
    super(end.kind);
    this.end = end;
  }
}

/** A job that is running. */
export interface RunningJob {
  readonly record: JobRecord;
  readonly bytesPerSecond: number;
  /** Changes the record of the job, without saving it. */
  readonly note: (changes: Partial<Pick<JobRecord, 'doneBytes' | 'totalBytes' | 'rounds' | 'move' | 'copy'>>) => void;
  save(): Promise<void>;
  /**
   * Must be called before each piece of a copy. Waits until the bandwidth limit permits the piece. Throws JobEnds in the same cases as
   * `check`.
   */
  beforePiece(bytes: number): Promise<void>;
  /** Counts bytes that a program has copied. `copied` does not wait, because the program itself keeps the bandwidth limit. */
  copied(bytes: number): void;
  /** Throws JobEnds if the job was cancelled or the server is stopping. */
  check(): void;
}

export interface JobsPorts {
  readonly clock: Clock;
  readonly log: Pick<Log, 'info' | 'warn' | 'error'>;
  readonly file: string;
  /** Executes a job. Throws JobEnds, or the error with which the job fails. */
  run(job: RunningJob): Promise<void>;
}

export class Jobs {
  private readonly ports: JobsPorts;
  private readonly file: StateFile<JobsContent>;
  private jobs: readonly JobRecord[] = [];
  private lastId = 0;
  private readonly running = new Map<string, { readonly pace: JobPace; readonly over: Promise<void> }>();
  private readonly retries = new Map<string, number>();
  private timer: Timer | null = null;
  private isStarted = false;
  private isStopping = false;

  constructor(ports: JobsPorts) {
    this.ports = ports;
    const form = { version: 1, shape: JOBS_CONTENT, remedy: REMEDY };
    this.file = new StateFile(ports.file, form, () => ({ lastId: this.lastId, jobs: this.jobs }));
  }

  /** The open jobs, and the jobs that ended most recently, in the order of their requests. */
  get list(): readonly JobRecord[] {
    return this.jobs;
  }

  get nextId(): string {
    return String(this.lastId + 1);
  }

  bytesPerSecond(id: string): number {
    return this.running.get(id)?.pace.bytesPerSecond ?? 0;
  }

  /**
   * Loads the jobs. If the file is unusable, the server renames the file and drops the jobs in it. Dropping jobs loses no data, because
   * volumes stay where they are.
   */
  async load(): Promise<void> {
    let content: JobsContent | null = null;
    try {
      content = await this.file.load();
    } catch (thrown) {
      this.ports.log.error(`${toRsError(thrown).message}; ${await this.file.setAside()}, and its jobs are not continued`);
    }
    if (content === null) return;
    this.lastId = content.lastId;
    this.jobs = content.jobs.map(afterStart);
  }

  /** Lets the jobs run. */
  start(): void {
    this.isStarted = true;
    this.look();
  }

  /** Stops the running jobs at their current positions. The jobs continue after the next start of the server. */
  async stop(): Promise<void> {
    this.isStopping = true;
    this.timer?.cancel();
    const over = Promise.all([...this.running.values()].map((one) => one.over));
    await within(this.ports.clock, JOB_STOP_WAIT_MS, over, () => undefined);
  }

  /** Returns the job with this id. Throws E_UNKNOWN_JOB. */
  find(id: string): JobRecord {
    const job = this.jobs.find((one) => one.id === id);
    if (job !== undefined) return job;
    throw new RsError('E_UNKNOWN_JOB', `No job ${id}: rsadm jobs lists them, and rsconfig volume jobs those of a client`, { job: id });
  }

  /** Adds a job with the id `nextId`. When the promise resolves, the record is durable. */
  async add(job: JobRecord): Promise<JobRecord> {
    checkLimit(job.limitBytes);
    const [before, lastId] = [this.jobs, this.lastId];
    this.jobs = withoutOld(withJob(this.jobs, job));
    this.lastId++;
    try {
      await this.file.save();
    } catch (thrown) {
      [this.jobs, this.lastId] = [before, lastId];
      throw thrown;
    }
    this.look();
    return job;
  }

  /** Cancels a job. The job soon ends in the state `cancelled`, unless it passes its commit point first. */
  async cancel(id: string): Promise<JobRecord> {
    this.put(cancelled(this.find(id)));
    this.retries.delete(id);
    await this.file.save();
    this.look();
    return this.find(id);
  }

  /** Changes the bandwidth limit of a job. `limitBytes` is the maximum number of bytes per second; null if there is no limit. */
  async limit(id: string, limitBytes: number | null): Promise<JobRecord> {
    checkLimit(limitBytes);
    const job = this.find(id);
    if (!isOpen(job)) throw new RsError('E_USAGE', `Job ${id} has ended (${job.state}): it needs no limit`, { job: id });
    this.put({ ...job, limitBytes });
    await this.file.save();
    return this.find(id);
  }

  /** Starts the jobs that can run now. */
  look(): void {
    if (!this.isStarted || this.isStopping) return;
    this.timer?.cancel();
    const nowMs = this.ports.clock.monotonicMs();
    const { start, lookAfterMs } = nextOrders(this.jobs, new Set(this.running.keys()), this.retries, nowMs);
    for (const id of start) this.begin(id);
    this.timer = lookAfterMs === null ? null : this.ports.clock.after(lookAfterMs, () => this.look());
  }

  private begin(id: string): void {
    this.retries.delete(id);
    this.put(started(this.find(id)));
    const pace = new JobPace(this.ports.clock);
    const over = this.execute(id, pace).then(() => {
      this.running.delete(id);
      this.look();
    });
    this.running.set(id, { pace, over });
  }

  private async execute(id: string, pace: JobPace): Promise<void> {
    let end: JobEnd = { kind: 'done' };
    try {
      await this.ports.run(this.runningJob(id, pace));
    } catch (thrown) {
      end = thrown instanceof JobEnds ? thrown.end : { kind: 'failed', reason: toRsError(thrown).message };
    }
    const { clock, log } = this.ports;
    if (end.kind === 'waits') this.retries.set(id, retryAtMs(clock.monotonicMs()));
    const before = this.find(id);
    const half = end.kind === 'failed' || end.kind === 'cancelled' ? leftBehind(this.jobs, before) : null;
    if (end.kind === 'failed' && half !== null) end = { kind: 'failed', reason: `${end.reason}; ${half}` };
    this.put(ended(before, end, clock.wallMs()));
    if (end.kind === 'cancelled') this.put({ ...this.find(id), reason: half });
    this.jobs = withoutOld(this.jobs);
    await this.file.save().catch((thrown: unknown) => log.error(toRsError(thrown).message));
    const what = `Job ${id}, ${jobText(before)}`;
    if (end.kind === 'failed') log.error(`${what}, has failed: ${end.reason}`);
    else if (end.kind === 'waits' && before.reason !== end.reason) log.warn(`${what}, waits: ${end.reason}`);
    else if (half !== null) log.warn(`${what}, is ${end.kind}: ${half}`);
    else if (end.kind !== 'stopped' && end.kind !== 'waits') log.info(`${what}, is ${end.kind}`);
  }

  private runningJob(id: string, pace: JobPace): RunningJob {
    const find = (): JobRecord => this.find(id);
    const check = (): void => {
      if (this.isStopping) throw new JobEnds({ kind: 'stopped' });
      if (find().state === 'cancelling') throw new JobEnds({ kind: 'cancelled' });
    };
    return {
      get record() {
        return find();
      },
      get bytesPerSecond() {
        return pace.bytesPerSecond;
      },
      note: (changes) => this.put({ ...find(), ...changes }),
      save: () => this.file.save(),
      check,
      beforePiece: async (bytes) => {
        do check();
        while (!(await pace.wait(find().limitBytes)));
        pace.take(bytes, find().limitBytes);
      },
      copied: (bytes) => {
        pace.take(bytes, null);
        this.put({ ...find(), doneBytes: find().doneBytes + bytes });
      },
    };
  }

  private put(job: JobRecord): void {
    this.jobs = this.jobs.map((one) => (one.id === job.id ? job : one));
  }
}

function checkLimit(limitBytes: number | null): void {
  if (limitBytes === null || limitBytes >= JOB_LIMIT_MIN_BYTES) return;
  throw new RsError('E_USAGE', `A limit of ${limitBytes} bytes a second is too small: the least is ${JOB_LIMIT_MIN_BYTES}`);
}
