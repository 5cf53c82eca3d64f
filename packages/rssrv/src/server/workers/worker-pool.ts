// Manages the workers. Each session has its own worker until the number of workers reaches the configured value `processes`; further
// sessions share workers. One worker is on standby, because starting a worker takes 50 ms or more. Invariant (S9): a worker session is over
// when its session has ended cleanly, or when the process and all its children have exited. If a worker exits, the listener closes the
// sockets that were on their way to the worker, without reading from them. Rules: H2.

import type { ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import { killChild } from '@rsio/base/lib/kill-child';
import type { Clock } from '@rsio/base/lib/clock';
import { errnoName, errnoRemedy, RsError } from '@rsio/base/lib/errors';
import { programVersion } from '@rsio/base/lib/version';
import type { Log } from '@rsio/base/log/log';
import { isAsleep } from '@rsio/base/daemon/process-facts';
import { POOL_THREADS, STANDBY_WORKERS, WORKER_START_TIMEOUT_MS } from '../limits.ts';
import { closeAll } from '../../machine/descriptor-passing.ts';
import { LISTENER_VERSION } from '../../machine/confine.ts';
import type { FromWorker, ToWorker } from '../../session/channel/channel.ts';
import { WorkerLines } from '../../session/channel/worker-lines.ts';
import { WorkerWatch } from './worker-watch.ts';
import { type Confining, startProcess, type WorkerWire } from '../../session/channel/worker-wire.ts';
import { WorkerSession, type WorkerSessionPorts } from './worker-session.ts';

/** Text about a blocked worker for log lines and refusals. */
export const BLOCKED = 'is blocked in a call to the storage of one of its volumes';

export class Worker implements WorkerSessionPorts {
  readonly pid: number;
  /** Resolves when the process has exited. */
  readonly ended: Promise<void>;
  readonly clock: Clock;
  private readonly child: ChildProcess;
  private readonly wire: WorkerWire;
  private readonly log: Log;
  private readonly socketsInTransit = new Set<Socket>();
  private readonly sessions = new Map<string, WorkerSession>();
  /** The worker's last session; null while the worker accepts sessions. The process exits after the end of this session. */
  private lastSession: WorkerSession | null = null;
  private hasExited = false;
  private readonly watch: WorkerWatch;

  /**
   * Resolves when the process is recorded in RUN and listens to its channel. Send nothing earlier: the process does not yet handle errors
   * of sockets, so a reset of a passed socket would kill the process. Rejects if the process exits first.
   */
  readonly usable: Promise<void>;

  /** `confining` says how to confine the worker. */
  constructor(clock: Clock, log: Log, record: (pid: number) => Promise<void>, confining: Confining) {
    this.clock = clock;
    this.log = log;
    let isReady: () => void = () => undefined;
    this.wire = startProcess(clock, confining, workerEnvironment(process.env), {
      received: (message) => {
        if (message.type === 'ready') {
          starting.cancel();
          confining.started(message.unprotected);
          isReady();
        } else this.receive(message);
      },
      broken: (reason) => this.broken(reason),
    });
    const { child } = this.wire;
    this.child = child;
    this.pid = child.pid ?? 0;
    const lines = new WorkerLines(clock, log, this.pid, this.wire.lines);
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
      isReady = resolve;
      child.on('error', (error) => {
        if (child.pid === undefined) reject(notStarted(error));
      });
      child.on('exit', () => reject(new RsError('E_SYSTEM', `Server process ${this.pid} ended before it was ready: see the log`)));
    });
    this.usable = Promise.all([child.pid === undefined ? null : record(this.pid), listens]).then(() => undefined);
    // Without this handler, a rejection of `usable` would be unhandled for a standby worker, for which no session waits.
    this.usable.catch(() => undefined);
    child.on('exit', () => lines.exited());
    this.ended = new Promise<void>((resolve) => {
      const exited = (): void => {
        this.hasExited = true;
        this.wire.sender?.close();
        lines.close();
        starting.cancel();
        this.watch.stop();
        for (const socket of this.socketsInTransit) socket.destroy();
        this.lastSession?.finish(true);
        for (const workerSession of this.sessions.values()) workerSession.finish(false);
        this.sessions.clear();
        resolve();
      };
      // Node.js emits 'close' only when the process has exited and no process has its stderr pipe open. A process exits only after its
      // last call on storage has ended.
      child.on('close', exited);
      child.on('error', (error) => {
        const isStarted = child.pid !== undefined;
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

  /** True while one of the worker's sessions is ending. If this session does not end in time, the listener kills the worker. */
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

  /** Removes an ended session. Tells a worker without sessions to exit. */
  sessionEnded(workerSession: WorkerSession, isUnused = false): void {
    this.sessions.delete(workerSession.session);
    if (this.sessions.size > 0) {
      workerSession.finish(true);
      return;
    }
    // The last session is over only when the process has exited, because operations of the session may run until then.
    this.lastSession = workerSession;
    if (isUnused) this.kill();
    else this.send({ type: 'exit' });
  }

  send(message: ToWorker): void {
    if (!this.hasExited) this.wire.send(message);
  }

  sendSocket(message: ToWorker & { type: 'session' }, socket: Socket): void {
    if (this.hasExited) {
      socket.destroy();
      return;
    }
    this.socketsInTransit.add(socket);
    this.wire.sendSocket(message, socket, () => {
      // If the socket was sent, the worker has its own copy, so this process no longer needs the socket.
      this.socketsInTransit.delete(socket);
      socket.destroy();
    });
  }

  pass(descriptors: readonly number[]): Promise<number> {
    const { sender } = this.wire;
    if (sender !== null) return sender.pass(descriptors);
    closeAll(descriptors);
    return Promise.reject(
      new RsError('E_INTERNAL', `Server process ${this.pid} takes no files, because rssrv had no free descriptor when it started it`),
    );
  }

  private receive(message: Exclude<FromWorker, { type: 'ready' }>): void {
    if (message.type === 'pong') {
      this.watch.answered();
      return;
    }
    const session = this.sessions.get(message.session);
    if (session !== undefined) session.receive(message.message);
    else if (!this.hasExited) throw new RsError('E_PROTOCOL', 'a message for a session that is not its own');
  }

  /** Kills a worker that has sent a wrong message, because its other messages and its writes to volumes may also be wrong. */
  private broken(reason: string): void {
    this.log.error(`Server process ${this.pid} sent what no server process sends (${reason}): it is killed, and its clients connect again`);
    this.kill();
  }

  kill(): void {
    killChild(this.child);
  }
}

function notStarted(error: Error): RsError {
  const errno = errnoName(error) ?? error.message;
  const remedy = errnoRemedy(errno) ?? 'free memory, or raise the limit of processes';
  return new RsError('E_SYSTEM', `The server cannot start a process for a client (${errno}): ${remedy}`, {}, error);
}

/**
 * Returns the environment of a worker. The environment prevents libuv from using io_uring for files, because the operations of io_uring
 * bypass the filter of system calls.
 */
export function workerEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return { ...environment, UV_THREADPOOL_SIZE: String(POOL_THREADS), UV_USE_IO_URING: '0', [LISTENER_VERSION]: programVersion() };
}

/** All workers: the workers with sessions and the standby worker. */
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

  setLogLevel(level: string): void {
    this.removeEnded();
    for (const worker of [...this.used, ...this.standby]) worker.send({ type: 'log-level', level });
  }

  /** Replaces the standby workers, because new workers start with other rights. */
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
