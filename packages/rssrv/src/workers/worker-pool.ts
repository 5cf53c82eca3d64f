// Manages the workers. Each session has its own worker until the number of workers reaches the configured value `processes`; further
// sessions share workers. One worker is on standby, because starting a worker takes 50 ms or more. Invariant (S9): a worker session is over
// when its session has ended cleanly, or when the process and all its children have exited. Sockets in transit to an exited worker are
// closed unread.

import { type ChildProcess, fork } from 'node:child_process';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { Clock } from '@rsio/common/lib/clock';
import { errnoName, errnoRemedy, RsError } from '@rsio/common/lib/errors';
import { programVersion } from '@rsio/common/lib/version';
import type { Log } from '@rsio/common/log/log';
import { isAsleep } from '@rsio/common/daemon/process-facts';
import { POOL_THREADS, STANDBY_WORKERS, WORKER_START_TIMEOUT_MS } from './limits.ts';
import { openForAppending } from '@rsio/common/log/append-file';
import type { LogWay } from '@rsio/common/log/log-form';
import { openPipe } from '@rsio/common/log/pipe-sink';
import type { Confinement } from '../confinement/confine.ts';
import { closeAll, DescriptorSender } from '../confinement/descriptor-passing.ts';
import type { SystemCalls } from '../confinement/system-calls.ts';
import { type FromWorker, LISTENER_VERSION, type ToWorker } from './channel.ts';
import { WorkerWatch } from './worker-watch.ts';
import { WorkerSession, type WorkerSessionPorts } from './worker-session.ts';

const WORKER_MODULE = new URL(import.meta.url.endsWith('.ts') ? '../worker.ts' : './worker.js', import.meta.url);

/** Text about a blocked worker for log lines and refusals. */
export const BLOCKED = 'is blocked in a call to the storage of one of its volumes';

export class Worker implements WorkerSessionPorts {
  readonly pid: number;
  /** Resolves when the process has exited. */
  readonly ended: Promise<void>;
  readonly clock: Clock;
  private readonly child: ChildProcess;
  private readonly confining: Confining | null;
  /** Passes descriptors to the process; null if it opens files itself. */
  private readonly sender: DescriptorSender | null;
  private readonly socketsInTransit = new Set<Socket>();
  /** Maps each session id to its worker session. */
  private readonly sessions = new Map<string, WorkerSession>();
  /** The worker's last session, after whose end the process exits; null while the worker accepts sessions. */
  private lastSession: WorkerSession | null = null;
  private hasExited = false;
  private readonly watch: WorkerWatch;

  /**
   * Resolves when the process is recorded in RUN and listens to its channel. Nothing may be sent to the process earlier, because the reset
   * of a socket without a handler would kill the process. Rejects if the process exits first.
   */
  readonly usable: Promise<void>;

  /** `copiesLog` is true if the worker also logs to stderr, because rssrv runs in the foreground. */
  constructor(clock: Clock, log: Log, copiesLog: boolean, record: (pid: number) => Promise<void>, confining: Confining | null = null) {
    this.clock = clock;
    this.confining = confining;
    const [ours, ...given] = descriptorsFor(confining);
    this.sender = confining === null || ours === undefined || ours === null ? null : new DescriptorSender(confining.calls, clock, ours);
    this.child = forked(confining, given);
    this.pid = this.child.pid ?? 0;
    this.watch = new WorkerWatch({
      clock,
      ping: () => this.send({ type: 'ping' }),
      isAsleep: () => isAsleep(this.pid),
      changed: (forMs) => {
        if (forMs === null) log.warn(`Server process ${this.pid} ${BLOCKED}: I/O of its clients is waiting`);
        else log.info(`Server process ${this.pid} is running again after ${Math.round(forMs / 1_000)} s`);
      },
    });
    const starting = clock.after(WORKER_START_TIMEOUT_MS, () => {
      log.error(`Server process ${this.pid} did not start within ${WORKER_START_TIMEOUT_MS / 1000} s: it is killed`);
      this.kill();
    });
    const listens = new Promise<void>((resolve, reject) => {
      this.child.on('message', (message) => {
        if ((message as FromWorker).type === 'ready') resolve();
      });
      this.child.on('error', (error) => {
        if (this.child.pid === undefined) reject(notStarted(error));
      });
      this.child.on('exit', () => reject(new RsError('E_SYSTEM', `Server process ${this.pid} ended before it was ready: see the log`)));
    });
    this.usable = Promise.all([this.child.pid === undefined ? null : record(this.pid), listens]).then(() => undefined);
    // Nothing else handles a rejection for a standby worker, because no session awaits `usable` yet.
    this.usable.catch(() => undefined);
    this.child.on('message', (message) => {
      const heard = message as FromWorker;
      if (heard.type === 'ready') {
        starting.cancel();
        confining?.started(heard.unprotected);
      } else if (heard.type === 'pong') this.watch.answered();
      else this.sessions.get(heard.session)?.receive(heard.message);
    });
    this.child.stderr?.on('data', (chunk: Buffer) => {
      process.stderr.write(chunk);
      // If the worker does not copy its log to stderr, any output on stderr explains why the worker died.
      if (!copiesLog) log.error(`Server process ${this.pid}: ${chunk.toString().trim()}`);
    });
    this.ended = new Promise<void>((resolve) => {
      const exited = (): void => {
        this.hasExited = true;
        this.sender?.close();
        starting.cancel();
        this.watch.stop();
        for (const socket of this.socketsInTransit) socket.destroy();
        this.lastSession?.finish(true);
        for (const workerSession of this.sessions.values()) workerSession.finish(false);
        this.sessions.clear();
        resolve();
      };
      // Node.js emits 'close' when no process has the stderr pipe open, so the worker and its range helper have exited.
      this.child.on('close', exited);
      this.child.on('error', (error) => {
        const isStarted = this.child.pid !== undefined;
        log.error(isStarted ? `Server process ${this.pid}: ${error.message}` : notStarted(error).message);
        if (!isStarted) exited();
      });
    });
  }

  get isGone(): boolean {
    return this.hasExited;
  }

  get blockedMs(): number | null {
    return this.hasExited ? null : this.watch.blockedMs;
  }

  /** True if the worker accepts another session. */
  get isOpen(): boolean {
    return !this.hasExited && this.lastSession === null;
  }

  get load(): number {
    return this.sessions.size;
  }

  /** True while one of the worker's sessions is ending, so that the worker may soon be killed. */
  get isEndingOne(): boolean {
    for (const session of this.sessions.values()) if (session.isEnding) return true;
    return false;
  }

  /** `session` is the id of the session in hex. */
  addSession(session: string): WorkerSession {
    const workerSession = new WorkerSession(this, session);
    this.sessions.set(session, workerSession);
    this.watch.start();
    return workerSession;
  }

  /** A worker without sessions exits. */
  sessionEnded(workerSession: WorkerSession, isUnused = false): void {
    this.sessions.delete(workerSession.session);
    if (this.sessions.size > 0) {
      workerSession.finish(true);
      return;
    }
    // The last session's operations may run until the process and its helper have exited; the session is over only then.
    this.lastSession = workerSession;
    if (isUnused) this.kill();
    else this.send({ type: 'exit' });
  }

  send(message: ToWorker, socket?: Socket): void {
    if (this.hasExited || !this.child.connected) {
      socket?.destroy();
      return;
    }
    if (socket === undefined) {
      this.child.send(message, () => undefined);
      return;
    }
    this.socketsInTransit.add(socket);
    // Without `keepOpen`, Node.js would keep this process's copy of the socket until the worker confirms receipt. A dying worker never
    // confirms receipt.
    this.child.send(message, socket, { keepOpen: true }, () => {
      // If the socket was sent, the channel has its own copy, so this process no longer needs the socket.
      this.socketsInTransit.delete(socket);
      socket.destroy();
    });
  }

  pass(descriptors: readonly number[]): Promise<number> {
    if (this.sender !== null) return this.sender.pass(descriptors);
    closeAll(descriptors);
    return Promise.reject(new RsError('E_INTERNAL', `Server process ${this.pid} takes no files`));
  }

  /** Makes the worker use a newly opened log and the given level. */
  reopenLog(level: string, way: LogWay): void {
    const fresh = this.hasExited ? null : openedLog(this.confining, way);
    const logTag = fresh === null ? null : (this.sender?.passNow([fresh]) ?? null);
    this.send({ type: 'reopen-log', level, way, logTag });
  }

  kill(): void {
    this.child.kill('SIGKILL');
  }
}

/** What a worker is given instead of rights. Null for a worker that opens files itself. */
export interface Confining extends Confinement {
  readonly calls: SystemCalls;
  readonly logWay: LogWay;
  /** Called when a worker has started, with sentences about protection that this machine does not offer. */
  started(unprotected: readonly string[]): void;
}

/** Returns the listener's end of the socket for descriptors, then what the worker inherits: the other end, and the log. */
function descriptorsFor(confining: Confining | null): (number | null)[] {
  if (confining === null) return [];
  let pair: readonly (number | null)[] = [null, null];
  try {
    pair = confining.calls.socketPair();
  } catch {
    // The listener has no descriptor left. The process cannot be given files, and says so at each OPEN.
  }
  return [...pair, openedLog(confining, confining.logWay)];
}

/** Returns the environment of a worker. libuv must not use io_uring for files, because that would pass by the filter of system calls. */
export function workerEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return { ...environment, UV_THREADPOOL_SIZE: String(POOL_THREADS), UV_USE_IO_URING: '0', [LISTENER_VERSION]: programVersion() };
}

/** Starts the process. `given`: descriptors that it inherits, from 4 on; they are closed here. */
function forked(confining: Confining | null, given: readonly (number | null)[]): ChildProcess {
  try {
    return fork(fileURLToPath(WORKER_MODULE), confining === null ? [] : [JSON.stringify({ user: confining.user })], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc', ...given.map((one) => one ?? 'ignore')],
      // Start a new process session, by whose id run-records.ts finds remaining helpers.
      detached: true,
      env: workerEnvironment(process.env),
    });
  } finally {
    closeAll(given.filter((one): one is number => one !== null));
  }
}

function openedLog(confining: Confining | null, { file, form }: LogWay): number | null {
  try {
    if (confining === null) return null;
    return form.format === 'json' ? openForAppending(file) : openPipe(file);
  } catch {
    // The listener's own log reports this.
    return null;
  }
}

function notStarted(error: Error): RsError {
  const errno = errnoName(error) ?? error.message;
  const remedy = errnoRemedy(errno) ?? 'free memory, or raise the limit of processes';
  return new RsError('E_SYSTEM', `The server cannot start a process for a client (${errno}): ${remedy}`, {}, error);
}

/** All workers: those with sessions and those on standby. */
export class WorkerPool {
  private readonly start: () => Worker;
  private standby: Worker[] = [];
  private used: Worker[] = [];
  private isStopped = false;
  private processesMax: number;

  /** `start` starts a worker and records it in RUN. `processes` is the maximum number of workers with sessions. */
  constructor(start: () => Worker, processes: number) {
    this.start = start;
    this.processesMax = processes;
  }

  /** Sets the maximum number of workers for new sessions. Existing sessions stay in their workers. */
  set processes(count: number) {
    this.processesMax = count;
  }

  get pids(): readonly number[] {
    return [...this.used, ...this.standby].flatMap((worker) => (worker.isGone ? [] : [worker.pid]));
  }

  fill(): void {
    this.removeEnded();
    while (!this.isStopped && this.standby.length < STANDBY_WORKERS && this.used.length + this.standby.length < this.processesMax) {
      this.standby.push(this.start());
    }
  }

  /** Assigns a worker to a new session. The next standby worker starts in a later event-loop turn. */
  take(session: string): WorkerSession {
    this.removeEnded();
    const worker = this.standby.shift() ?? (this.used.length < this.processesMax ? this.start() : this.leastLoaded());
    if (!this.used.includes(worker)) this.used.push(worker);
    setImmediate(() => this.fill());
    return worker.addSession(session);
  }

  /** Makes every worker reopen the log and use the given log level. */
  reopenLogs(level: string, way: LogWay): void {
    this.removeEnded();
    for (const worker of [...this.used, ...this.standby]) worker.reopenLog(level, way);
  }

  /** Replaces the standby workers, because workers start with other rights from now on. */
  renewStandby(): void {
    for (const worker of this.standby.splice(0)) worker.kill();
    this.fill();
  }

  async stop(): Promise<void> {
    this.isStopped = true;
    const spares = this.standby;
    this.standby = [];
    for (const worker of spares) worker.kill();
    await Promise.all(spares.map((worker) => worker.ended));
  }

  /** Returns the worker with the fewest sessions. Workers with an ending session come last, because they may be killed. */
  private leastLoaded(): Worker {
    const inOrder = this.used.toSorted((a, b) => Number(a.isEndingOne) - Number(b.isEndingOne) || a.load - b.load);
    return inOrder[0] ?? this.start();
  }

  private removeEnded(): void {
    this.standby = this.standby.filter((worker) => !worker.isGone);
    this.used = this.used.filter((worker) => worker.isOpen);
  }
}
