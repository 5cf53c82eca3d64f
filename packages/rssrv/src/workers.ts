// The server processes: one per session, and a spare one kept ready because starting one costs 50 ms. Each has a channel to the
// listener; when that closes, the worker ends. Invariant (S9): what `ended` resolves is that the process is gone, with everything it
// had begun, and that sockets on their way to it are closed unread.

import { type ChildProcess, fork } from 'node:child_process';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { Clock } from '@rsio/protocol/lib/clock';
import { errnoName, errnoRemedy, RsError } from '@rsio/protocol/lib/errors';
import type { Log } from '@rsio/protocol/lib/log';
import { SPARE_WORKERS, WORKER_DRAIN_TIMEOUT_MS, WORKER_START_TIMEOUT_MS } from '@rsio/protocol/limits';
import type { FromWorker, ToWorker } from './channel.ts';

const WORKER_MODULE = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url);
/** Threads for storage that is not cached: what was measured best for reads of 8 KiB. */
const STORAGE_THREADS = '8';

export class Worker {
  readonly pid: number;
  /** Resolves when the process is gone; true: it ended as it was told to, with everything flushed. */
  readonly ended: Promise<boolean>;
  onMessage: (message: FromWorker) => void = () => {};
  private readonly child: ChildProcess;
  private readonly clock: Clock;
  private readonly onTheirWay = new Set<Socket>();
  private isClean = false;
  private isGone = false;

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
      env: { ...process.env, UV_THREADPOOL_SIZE: STORAGE_THREADS },
    });
    this.pid = this.child.pid ?? 0;
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
      const said = message as FromWorker;
      if (said.type === 'ready') starting.cancel();
      if (said.type === 'ended') this.isClean = true;
      this.onMessage(said);
    });
    this.child.stderr?.on('data', (chunk: Buffer) => {
      process.stderr.write(chunk);
      // Its own log lines are in the file already; what else it says is why it died.
      if (!copiesLog) log.error(`Server process ${this.pid}: ${chunk.toString().trim()}`);
    });
    this.ended = new Promise<boolean>((resolve) => {
      const gone = (): void => {
        this.isGone = true;
        starting.cancel();
        for (const socket of this.onTheirWay) socket.destroy();
        resolve(this.isClean);
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

  /** Tells the process to answer what it began, flush and end; past WORKER_DRAIN_TIMEOUT_MS it is killed. Resolves when it is gone. */
  async end(code: string, sentence: string): Promise<void> {
    this.tell({ type: 'end', code, sentence });
    const timer = this.clock.after(WORKER_DRAIN_TIMEOUT_MS, () => this.child.kill('SIGKILL'));
    await this.ended;
    timer.cancel();
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

/** Spare workers, started ahead. */
export class WorkerPool {
  private readonly start: () => Worker;
  private spares: Worker[] = [];
  private stopped = false;

  /** `start` makes and records a worker. */
  constructor(start: () => Worker) {
    this.start = start;
  }

  fill(): void {
    this.spares = this.spares.filter((worker) => !worker.gone);
    while (!this.stopped && this.spares.length < SPARE_WORKERS) this.spares.push(this.start());
  }

  /** A worker for a new session; the next spare is started when the loop turns. */
  take(): Worker {
    this.spares = this.spares.filter((worker) => !worker.gone);
    const worker = this.spares.shift() ?? this.start();
    setImmediate(() => this.fill());
    return worker;
  }

  async stop(): Promise<void> {
    this.stopped = true;
    const spares = this.spares;
    this.spares = [];
    for (const worker of spares) worker.kill();
    await Promise.all(spares.map((worker) => worker.ended));
  }
}
