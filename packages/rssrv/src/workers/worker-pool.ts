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
import { SPARE_WORKERS, STORAGE_THREADS, WORKER_START_TIMEOUT_MS } from './limits.ts';
import type { FromWorker, ToWorker } from './channel.ts';
import { LoopWatch } from './worker-watch.ts';
import { Place, type PlaceHost } from './worker-session.ts';

const WORKER_MODULE = new URL(import.meta.url.endsWith('.ts') ? '../worker.ts' : './worker.js', import.meta.url);

/** For people. */
export const STANDS_STILL = 'stands still in a call to the storage of one of its volumes';

export class Worker implements PlaceHost {
  readonly pid: number;
  /** Resolves when the process is gone. */
  readonly ended: Promise<void>;
  readonly clock: Clock;
  private readonly child: ChildProcess;
  private readonly onTheirWay = new Set<Socket>();
  /** By session. */
  private readonly places = new Map<string, Place>();
  /** Of the last session, which has ended in order: the process is to go next. */
  private lastPlace: Place | null = null;
  private isGone = false;
  private readonly watch: LoopWatch;

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
    this.watch = new LoopWatch({
      clock,
      ask: () => this.tell({ type: 'do-you-run' }),
      isAsleep: () => isAsleep(this.pid),
      said: (forMs) => {
        if (forMs === null) log.warn(`Server process ${this.pid} ${STANDS_STILL}: I/O of its clients waits for it`);
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
      else if (heard.type === 'runs') this.watch.answered();
      else this.places.get(heard.session)?.heard(heard.said);
    });
    this.child.stderr?.on('data', (chunk: Buffer) => {
      process.stderr.write(chunk);
      // Its own log lines are in the file already; what else it says is why it died.
      if (!copiesLog) log.error(`Server process ${this.pid}: ${chunk.toString().trim()}`);
    });
    this.ended = new Promise<void>((resolve) => {
      const gone = (): void => {
        this.isGone = true;
        starting.cancel();
        this.watch.stop();
        for (const socket of this.onTheirWay) socket.destroy();
        this.lastPlace?.over(true);
        for (const place of this.places.values()) place.over(false);
        this.places.clear();
        resolve();
      };
      // 'close' comes when nobody has the pipe any more: the process, and the helper that makes holes for it, are gone.
      this.child.on('close', gone);
      this.child.on('error', (error) => {
        const isStarted = this.child.pid !== undefined;
        log.error(isStarted ? `Server process ${this.pid}: ${error.message}` : notStarted(error).message);
        if (!isStarted) gone();
      });
    });
  }

  get gone(): boolean {
    return this.isGone;
  }

  get standsStillMs(): number | null {
    return this.isGone ? null : this.watch.stillMs;
  }

  /** A session may be given a place in it. */
  get isOpen(): boolean {
    return !this.isGone && this.lastPlace === null;
  }

  /** Sessions in it. */
  get load(): number {
    return this.places.size;
  }

  /** One of its sessions has been told to end, which, if that takes too long, ends the process. */
  get isEndingOne(): boolean {
    for (const place of this.places.values()) if (place.isEnding) return true;
    return false;
  }

  /** `session`: hex. */
  place(session: string): Place {
    const place = new Place(this, session);
    this.places.set(session, place);
    this.watch.start();
    return place;
  }

  /** Of its places: it has ended in order, or has never begun (`isUnused`). A process without places goes. */
  placeEnded(place: Place, isUnused = false): void {
    this.places.delete(place.session);
    if (this.places.size > 0) {
      place.over(true);
      return;
    }
    // It is over when the process is gone: with its helper, so that nothing at all is left of it.
    this.lastPlace = place;
    if (isUnused) this.kill();
    else this.tell({ type: 'leave' });
  }

  tell(message: ToWorker, socket?: Socket): void {
    if (this.isGone || !this.child.connected) {
      socket?.destroy();
      return;
    }
    if (socket === undefined) {
      this.child.send(message, () => undefined);
      return;
    }
    this.onTheirWay.add(socket);
    // keepOpen, because else Node closes this end only when the process has answered that it has the other one: when that dies first, never.
    this.child.send(message, socket, { keepOpen: true }, () => {
      // Sent: another end of it is in the channel, and is closed unread when the process dies. Or not sent. This one is not needed any more.
      this.onTheirWay.delete(socket);
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
  private spares: Worker[] = [];
  private used: Worker[] = [];
  private stopped = false;
  private most: number;

  /** `start` makes and records a worker; `processes`: so many have sessions at most, before one is shared. */
  constructor(start: () => Worker, processes: number) {
    this.start = start;
    this.most = processes;
  }

  /** From now on. Sessions stay where they are. */
  set processes(count: number) {
    this.most = count;
  }

  fill(): void {
    this.look();
    while (!this.stopped && this.spares.length < SPARE_WORKERS && this.used.length + this.spares.length < this.most) {
      this.spares.push(this.start());
    }
  }

  /** A place for a new session; the next spare is started when the loop turns. */
  take(session: string): Place {
    this.look();
    const worker = this.spares.shift() ?? (this.used.length < this.most ? this.start() : this.leastLoaded());
    if (!this.used.includes(worker)) this.used.push(worker);
    setImmediate(() => this.fill());
    return worker.place(session);
  }

  /** Every process opens the log anew, and logs by this level. */
  reopenLogs(level: string): void {
    this.look();
    for (const worker of this.used) worker.tell({ type: 'reopen-log', level });
  }

  async stop(): Promise<void> {
    this.stopped = true;
    const spares = this.spares;
    this.spares = [];
    for (const worker of spares) worker.kill();
    await Promise.all(spares.map((worker) => worker.ended));
  }

  /** A process in which a session is being ended may be killed: last. */
  private leastLoaded(): Worker {
    const inOrder = this.used.toSorted((a, b) => Number(a.isEndingOne) - Number(b.isEndingOne) || a.load - b.load);
    return inOrder[0] ?? this.start();
  }

  private look(): void {
    this.spares = this.spares.filter((worker) => !worker.gone);
    this.used = this.used.filter((worker) => worker.isOpen);
  }
}
