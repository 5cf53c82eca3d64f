// What a drill gets while it plays: machines, a seed, and places for what it finds. harness.ts makes the scene, reports and cleans. Invariant:
// everything that was made on machines of the scene is cleaned, even after an error or a signal.

import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { Hosts } from '../hosts/hosts.ts';
import { cleanLab, Netlab } from '../netlab/netlab.ts';
import type { Need } from './needs.ts';

/** Writes a text to stdout or stderr. */
type Write = (text: string) => void;

export interface SceneOptions {
  readonly seed: number;
  /** Whether the drill has the option --seed. Without it, a problem does not name the seed. */
  readonly isSeeded: boolean;
  /** Whether only figures go to stdout. */
  readonly isJson: boolean;
  readonly endsAtOnce: boolean;
  readonly out: Write;
  readonly err: Write;
}

export class Scene {
  readonly hosts = new Hosts();
  readonly netlab = new Netlab();
  readonly seed: number;
  readonly random: SeededRandom;
  /** Whether a signal has asked the drill to end after the current round. */
  isEnding = false;
  /** Number of rounds, runs or checks that have begun. */
  rounds = 0;
  problems = 0;
  /** Whether a signal ends the drill at once. */
  private endsAtOnce: boolean;
  private where = 'beginning';
  private endWait: () => void = () => undefined;
  private endNow: (error: Error) => void = () => undefined;
  private readonly signalled = new Promise<void>((resolve) => (this.endWait = resolve));
  /** Rejects if a signal ends the drill at once. */
  readonly cut = new Promise<never>((_resolve, reject) => (this.endNow = reject));
  private readonly options: SceneOptions;
  private readonly machines = new Set<readonly [Hosts, Netlab]>([[this.hosts, this.netlab]]);
  private readonly reports: (() => readonly string[])[] = [];
  private logs: readonly (() => string)[] = [];

  constructor(options: SceneOptions) {
    this.options = options;
    this.seed = options.seed;
    this.random = new SeededRandom(options.seed);
    this.endsAtOnce = options.endsAtOnce;
    // After the play, nothing waits for a signal.
    this.cut.catch(() => undefined);
  }

  readonly say = (line: string): void => {
    const { isJson, out, err } = this.options;
    (isJson ? err : out)(`${line}\n`);
  };

  /** Prints the figures as JSON if the option --json was given, and the text otherwise. */
  show(figures: unknown, text: () => string): void {
    const { isJson, out } = this.options;
    out(isJson ? `${JSON.stringify(figures, null, 2)}\n` : text());
  }

  /** Begins a round. Problems name the place. */
  round(where: string): void {
    this.rounds++;
    this.at(where);
  }

  /** Goes on to a part that is no round. */
  at(where: string): void {
    this.where = where;
  }

  /** Plays on machines of its own. An error is a problem, and the drill goes on. Returns null after an error. */
  async attempt<T>(play: (hosts: Hosts, netlab: Netlab) => Promise<T>): Promise<T | null> {
    const pair = [new Hosts(), new Netlab()] as const;
    const { logs } = this;
    let result: T | null = null;
    this.machines.add(pair);
    try {
      result = await play(...pair);
    } catch (error) {
      this.failed(error);
    }
    this.logs = logs;
    await this.cleaned(pair);
    this.machines.delete(pair);
    return result;
  }

  /** Throws if this machine lacks something that only some options need. */
  async need(need: Need): Promise<void> {
    const why = await need.why();
    if (why !== null) throw new Error(`This machine ${why}`);
  }

  /** Waits for a signal, which is then no problem. */
  async untilSignal(): Promise<void> {
    this.endsAtOnce = false;
    await this.signalled;
  }

  /** Notes a signal. Afterwards, the drill ends at once or after its round. */
  readonly onSignal = (how: string): void => {
    this.isEnding = true;
    if (this.endsAtOnce) this.endNow(new Error(`Ended by ${how}`));
    else this.endWait();
  };

  /** Prints problems with seed and place, and the logs. */
  problem(...texts: readonly string[]): void {
    if (texts.length === 0) return;
    const { isSeeded, err } = this.options;
    this.problems += texts.length;
    for (const text of texts) err(`PROBLEM ${isSeeded ? `seed ${this.seed}, ` : ''}${this.where}: ${text}\n`);
    for (const log of this.logs) {
      try {
        err(log());
      } catch (error) {
        err(`No logs: ${(error as Error).message}\n`);
      }
    }
  }

  failed(error: unknown): void {
    const { stack, cause } = error instanceof Error ? error : new Error(String(error));
    this.problem(`${stack}${cause instanceof Error ? `\ncaused by ${cause.stack}` : ''}`);
  }

  /** Registers lines that the report has at the end, even after an error. */
  atEnd(lines: () => readonly string[]): void {
    this.reports.push(lines);
  }

  /** Registers a text that is printed after a problem. In an attempt, it is printed until the attempt ends. */
  withLogs(log: () => string): void {
    this.logs = [...this.logs, log];
  }

  /** Prints the report, and cleans all machines. */
  async finish(): Promise<void> {
    try {
      for (const line of this.reports.flatMap((lines) => lines())) this.say(line);
    } catch (error) {
      this.failed(error);
    }
    for (const pair of [...this.machines].reverse()) await this.cleaned(pair);
  }

  private async cleaned(pair: readonly [Hosts, Netlab]): Promise<void> {
    try {
      await cleanLab(...pair);
    } catch (error) {
      this.failed(error);
    }
  }
}
