// Controls a load process (load-process.ts) for a netlab: starts the process, sends it one order at a time, and ends it. The load process
// makes the measurements. Invariant: every order is answered or fails within its deadline.

import { type ChildProcess, spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { LoadAnswer, LoadOrder, LoadReport } from './load-process.ts';
import type { LoadShape } from './nbd-load.ts';
import type { NbdPlace } from './nbd-stream.ts';

const TSX = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
const PROGRAM = fileURLToPath(new URL('./load-process.ts', import.meta.url));
/** Longest time for an order. This time is long enough for NBD answers that a fault holds back until their path is dead. */
const ORDER_MS = 60_000;

export class LoadClient {
  private readonly child: ChildProcess;
  private failure: Error | null = null;
  private waiting: { resolve(report: LoadReport | null): void; reject(error: Error): void } | null = null;

  /** `command`: prefix of the command line of the process, such as `ip netns exec NAME`. */
  constructor(command: readonly string[] = []) {
    const [program, ...args] = [...command, process.execPath, '--conditions=@rsio/source', '--import', TSX, PROGRAM];
    this.child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.child.on('message', (message) => this.answered(message as LoadAnswer));
    this.child.on('error', (error) => this.fail(error));
    this.child.on('exit', (code, signal) => this.fail(new Error(`The load process ended with ${signal ?? `code ${code}`}`)));
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  async open(places: readonly NbdPlace[], name: string): Promise<void> {
    await this.order({ type: 'open', places, name });
  }

  async begin(shape: LoadShape): Promise<void> {
    await this.order({ type: 'begin', shape });
  }

  /** Returns the figures of the I/O since the last call. */
  async take(): Promise<LoadReport> {
    return reportOf(await this.order({ type: 'take' }));
  }

  /** Resolves when every request was answered. */
  async end(): Promise<LoadReport> {
    return reportOf(await this.order({ type: 'end' }));
  }

  async close(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const gone = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGKILL');
    await gone;
  }

  private order(order: LoadOrder): Promise<LoadReport | null> {
    if (this.failure !== null) return Promise.reject(this.failure);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.fail(new Error(`The load did not answer ${order.type} within ${ORDER_MS} ms`)), ORDER_MS);
      const settle = (): void => {
        clearTimeout(timer);
        this.waiting = null;
      };
      this.waiting = {
        resolve: (report) => {
          settle();
          resolve(report);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      };
      this.child.send(order);
    });
  }

  private answered(message: LoadAnswer): void {
    if ('failure' in message) this.waiting?.reject(new Error(message.failure));
    else this.waiting?.resolve(message.report);
  }

  private fail(error: Error): void {
    this.failure ??= error;
    this.waiting?.reject(error);
  }
}

function reportOf(report: LoadReport | null): LoadReport {
  if (report === null) throw new Error('The load process gave no figures');
  return report;
}
