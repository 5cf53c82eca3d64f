// pgbench in short runs, one after the other, until it is stopped. Each run must end without a failed transaction, except the run during
// which the machine is lost.

import { type Running, start } from '../support/programs/programs.ts';

const RUN_SECONDS = 10;
const RUN_MS = 300_000;
const CONNECTIONS = 4;
/** Rate in transactions per second. The rate is so low that the machine is not always busy. */
const RATE = 120;

export class BenchLoad {
  readonly failures: string[] = [];
  private readonly command: readonly string[];
  private readonly ended: Promise<void>;
  private running: Running | null = null;
  private isEnding = false;
  private isDoomed = false;

  constructor(command: readonly string[]) {
    this.command = command;
    this.ended = this.go();
  }

  /** Ignores later failures, because the database is about to end. */
  doom(): void {
    [this.isDoomed, this.isEnding] = [true, true];
  }

  /** Starts no further run, and waits for the end of the current one. If the database is lost, kills the current run. */
  async stop(): Promise<void> {
    this.isEnding = true;
    if (this.isDoomed) this.running?.kill();
    await this.ended;
  }

  private async go(): Promise<void> {
    const [program = '', ...args] = this.command;
    while (!this.isEnding) {
      const words = ['-n', '-c', `${CONNECTIONS}`, '-R', `${RATE}`, '-T', `${RUN_SECONDS}`];
      this.running = start(program, [...args, ...words], { timeoutMs: RUN_MS });
      const { code, stdout, stderr, timedOut } = await this.running.ended;
      const isWell = code === 0 && !timedOut && /^number of failed transactions: 0 /m.test(stdout);
      if (!isWell && !this.isDoomed) this.failures.push(`pgbench ended with ${timedOut ? 'no end' : `code ${code}`}: ${stdout}${stderr}`);
      if (!isWell) return;
    }
  }
}
