// The server processes: one for each session as long as `processes` in rssrvcfg allows, then shared, and a spare one kept ready because
// starting one costs 50 ms. Each has a channel to the listener; when that closes, the worker ends. What a session has in it is place.ts's.
// Invariant (S9): a place is over when its session has ended in order, or the process is gone with everything it had begun, and sockets on
// their way to it are closed unread.

import { type ChildProcess, fork } from 'node:child_process';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { Clock } from '@rsio/common/lib/clock';
import { errnoName, errnoRemedy, RsError } from '@rsio/common/lib/errors';
import type { Log } from '@rsio/common/log/log';
import { isAsleep } from '@rsio/common/daemon/process-facts';
import { STANDBY_WORKERS, STORAGE_THREADS, WORKER_START_TIMEOUT_MS } from './limits.ts';
import type { FromWorker, ToWorker } from './channel.ts';
import { WorkerWatch } from './worker-watch.ts';
import { WorkerSession, type WorkerSessionPorts } from './worker-session.ts';

const WORKER_MODULE = new URL(import.meta.url.endsWith('.ts') ? '../worker.ts' : './worker.js', import.meta.url);

/** For people. */
export const BLOCKED = 'stands still in a call to the storage of one of its volumes';

export class Worker implements WorkerSessionPorts {
  readonly pid: number;
  /** Resolves when the process is gone. */
  readonly ended: Promise<void>;
  readonly clock: Clock;
  private readonly child: ChildProcess;
  private readonly socketsInTransit = new Set<Socket>();
  /** By session. */
  private readonly sessions = new Map<string, WorkerSession>();
  /** Of the last session, which has ended in order: the process is to go next. */
  private lastSession: WorkerSession | null = null;
  private hasExited = false;
  private readonly watch: WorkerWatch;

  /**
   * Settles when the process stands in RUN's records and listens to its channel; nothing is given to it before. A socket that came
   * before anybody listens would be read by nobody, and its reset would end the process. Rejects when the process goes first.
   */
  readonly usable: Promise<void>;

  /** `copiesLog`: the process writes its log lines to stderr too (foreground). */
  constructor(clock: Clock, log: Log, copiesLog: boolean, record: (pid: number) => Promise<void>) {
    this.clock = clock;
    this.child = fork(fileURLToPath(WORKER_MODULE), [], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      // Begins a session, by whose number what it has started is found when it is gone (run-records.ts).
      detached: true,
      env: { ...process.env, UV_THREADPOOL_SIZE: String(STORAGE_THREADS) },
    });
    this.pid = this.child.pid ?? 0;
    this.watch = new WorkerWatch({
      clock,
      ping: () => this.send({ type: 'ping' }),
      isAsleep: () => isAsleep(this.pid),
      changed: (forMs) => {
        if (forMs === null) log.warn(`Server process ${this.pid} ${BLOCKED}: I/O of its clients waits for it`);
        else log.info(`Server process ${this.pid} goes on after ${Math.round(forMs / 1_000)} s`);
      },
    });
    const starting = clock.after(WORKER_START_TIMEOUT_MS, () => {
      log.error(`Server process ${this.pid} did not come up within ${WORKER_START_TIMEOUT_MS / 1000} s: it is ended`);
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
    // Whoever uses the process sees the error; a spare one's is nobody's yet.
    this.usable.catch(() => undefined);
    this.child.on('message', (message) => {
      const heard = message as FromWorker;
      if (heard.type === 'ready') starting.cancel();
      else if (heard.type === 'pong') this.watch.answered();
      else this.sessions.get(heard.session)?.receive(heard.message);
    });
    this.child.stderr?.on('data', (chunk: Buffer) => {
      process.stderr.write(chunk);
      // Its own log lines are in the file already; what else it says is why it died.
      if (!copiesLog) log.error(`Server process ${this.pid}: ${chunk.toString().trim()}`);
    });
    this.ended = new Promise<void>((resolve) => {
      const exited = (): void => {
        this.hasExited = true;
        starting.cancel();
        this.watch.stop();
        for (const socket of this.socketsInTransit) socket.destroy();
        this.lastSession?.finish(true);
        for (const workerSession of this.sessions.values()) workerSession.finish(false);
        this.sessions.clear();
        resolve();
      };
      // 'close' comes when nobody has the pipe any more: the process, and the helper that makes holes for it, are gone.
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

  /** A session may be given a place in it. */
  get isOpen(): boolean {
    return !this.hasExited && this.lastSession === null;
  }

  /** Sessions in it. */
  get load(): number {
    return this.sessions.size;
  }

  /** One of its sessions has been told to end, which, if that takes too long, ends the process. */
  get isEndingOne(): boolean {
    for (const session of this.sessions.values()) if (session.isEnding) return true;
    return false;
  }

  /** `session`: hex. */
  addSession(session: string): WorkerSession {
    const workerSession = new WorkerSession(this, session);
    this.sessions.set(session, workerSession);
    this.watch.start();
    return workerSession;
  }

  /** Of its places: it has ended in order, or has never begun (`isUnused`). A process without places goes. */
  sessionEnded(workerSession: WorkerSession, isUnused = false): void {
    this.sessions.delete(workerSession.session);
    if (this.sessions.size > 0) {
      workerSession.finish(true);
      return;
    }
    // It is over when the process is gone: with its helper, so that nothing at all is left of it.
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
    // keepOpen, because else Node closes this end only when the process has answered that it has the other one: when that dies first, never.
    this.child.send(message, socket, { keepOpen: true }, () => {
      // Sent: another end of it is in the channel, and is closed unread when the process dies. Or not sent. This one is not needed any more.
      this.socketsInTransit.delete(socket);
      socket.destroy();
    });
  }

  kill(): void {
    this.child.kill('SIGKILL');
  }
}

function notStarted(error: Error): RsError {
  const errno = errnoName(error) ?? error.message;
  const remedy = errnoRemedy(errno) ?? 'see that the machine has memory and room for processes';
  return new RsError('E_SYSTEM', `The server cannot start a process for a client (${errno}): ${remedy}`, {}, error);
}

/** All workers: those that have sessions, and the spare ones, started ahead. */
export class WorkerPool {
  private readonly start: () => Worker;
  private standby: Worker[] = [];
  private used: Worker[] = [];
  private isStopped = false;
  private processesMax: number;

  /** `start` makes and records a worker; `processes`: so many have sessions at most, before one is shared. */
  constructor(start: () => Worker, processes: number) {
    this.start = start;
    this.processesMax = processes;
  }

  /** From now on. Sessions stay where they are. */
  set processes(count: number) {
    this.processesMax = count;
  }

  fill(): void {
    this.removeEnded();
    while (!this.isStopped && this.standby.length < STANDBY_WORKERS && this.used.length + this.standby.length < this.processesMax) {
      this.standby.push(this.start());
    }
  }

  /** A place for a new session; the next spare is started when the loop turns. */
  take(session: string): WorkerSession {
    this.removeEnded();
    const worker = this.standby.shift() ?? (this.used.length < this.processesMax ? this.start() : this.leastLoaded());
    if (!this.used.includes(worker)) this.used.push(worker);
    setImmediate(() => this.fill());
    return worker.addSession(session);
  }

  /** Every process opens the log anew, and logs by this level. */
  reopenLogs(level: string): void {
    this.removeEnded();
    for (const worker of this.used) worker.send({ type: 'reopen-log', level });
  }

  async stop(): Promise<void> {
    this.isStopped = true;
    const spares = this.standby;
    this.standby = [];
    for (const worker of spares) worker.kill();
    await Promise.all(spares.map((worker) => worker.ended));
  }

  /** A process in which a session is being ended may be killed: last. */
  private leastLoaded(): Worker {
    const inOrder = this.used.toSorted((a, b) => Number(a.isEndingOne) - Number(b.isEndingOne) || a.load - b.load);
    return inOrder[0] ?? this.start();
  }

  private removeEnded(): void {
    this.standby = this.standby.filter((worker) => !worker.isGone);
    this.used = this.used.filter((worker) => worker.isOpen);
  }
}
