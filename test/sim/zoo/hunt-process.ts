// Hunts in a process of their own, one after the other: code that has run for a while is several times as fast as in a new process, which first
// has to load and to compile it. hunt.ts runs there, and proves after each hunt that nothing of its mutant is left. Invariant: every hunt has
// a result, and a process that has died or was ended is replaced for the next one.

import { type ChildProcess, fork } from 'node:child_process';
import { compiledFile } from '../runner/compiled.ts';
import type { Hunted } from './zoo.ts';

export type Run = readonly [first: number, last: number];

/** What the process is told to hunt: a mutant, or the unbroken code. */
export interface HuntOrder {
  readonly name: string;
  readonly runs: readonly Run[];
}

/** What it answers. */
export interface HuntAnswer {
  readonly hunted: Hunted;
  /** False: something of the mutant is left, so that this process must not hunt another one. */
  readonly isClean: boolean;
}

/** Real time for one mutant; past it its process is killed, and it has survived. */
export const HUNT_MAX_MS = 600_000;
const ERRORS_MAX_CHARS = 2000;

export class HuntProcess {
  private child: ChildProcess | null = null;
  private errors = '';

  /** One at a time. */
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
    // Whoever hunts hears of both.
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
