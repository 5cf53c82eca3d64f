// Runs hunts one after the other in the same separate process, because a new process for each hunt would first have to load and compile the
// code. hunt.ts runs in that process, and checks after each hunt that no part of the mutant is left. Invariant: every hunt has a result,
// and a process that has ended is replaced for the next hunt.

import { type ChildProcess, fork } from 'node:child_process';
import { compiledFile } from '../runner/compiled.ts';
import type { Hunted } from './zoo.ts';

export type Run = readonly [first: number, last: number];

export interface HuntOrder {
  readonly name: string;
  readonly runs: readonly Run[];
}

export interface HuntAnswer {
  readonly hunted: Hunted;
  /** Whether no part of the mutant is left. If a part is left, this process must not hunt another mutant. */
  readonly isClean: boolean;
}

/** Longest real time for the hunt of one mutant. After this time, the process is killed, and the mutant counts as survived. */
export const HUNT_MAX_MS = 600_000;
const ERRORS_MAX_CHARS = 2000;

export class HuntProcess {
  private child: ChildProcess | null = null;
  private errors = '';

  /** Runs one hunt. Only one hunt may run at a time. */
  async hunt(order: HuntOrder): Promise<Hunted> {
    const child = this.child ?? this.start();
    const timer = setTimeout(() => child.kill('SIGKILL'), HUNT_MAX_MS);
    try {
      return await this.outcome(child, order);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends the process; another hunt starts a new one. */
  end(): void {
    if (this.child?.connected === true) this.child.disconnect();
    this.child = null;
  }

  private start(): ChildProcess {
    const child = fork(compiledFile('zoo/hunt-bundle.js'), [], { execArgv: [], stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    this.child = child;
    this.errors = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.errors = `${this.errors}${text}`.slice(-ERRORS_MAX_CHARS);
    });
    // Ignores the error here, because the hunt in progress has its own handlers for errors and for the end of the process.
    child.on('error', () => undefined);
    child.on('exit', () => {
      if (this.child === child) this.child = null;
    });
    return child;
  }

  private outcome(child: ChildProcess, order: HuntOrder): Promise<Hunted> {
    return new Promise((resolve) => {
      const finish = (hunted: Hunted): void => {
        child.off('message', answered).off('error', failed).off('close', closed);
        resolve(hunted);
      };
      const answered = ({ hunted, isClean }: HuntAnswer): void => {
        if (!isClean) this.end();
        finish(hunted);
      };
      const failed = ({ message }: Error): void => finish({ seed: null, breach: `The hunt did not start: ${message}` });
      const closed = (code: number | null, signal: NodeJS.Signals | null): void => {
        const why = signal === 'SIGKILL' ? `cut off after ${HUNT_MAX_MS / 1000} s` : `ended with ${signal ?? code}: ${this.errors.trim()}`;
        finish({ seed: null, breach: `The hunt was ${why}` });
      };
      child.on('message', answered).on('error', failed).on('close', closed);
      child.send(order);
    });
  }
}
