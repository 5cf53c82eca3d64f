// A table of numbers, and a list outside of the database with the numbers whose commit was acknowledged. Each lane is a psql that inserts
// one number after another. Invariant: a number counts as acknowledged only when psql has printed it after its commit; if a number is in
// flight when its lane ends, the table may contain it or not.

import { type ChildProcess, spawn } from 'node:child_process';
import { performance } from 'node:perf_hooks';

const LANES = 3;
/** Pause between two inserts of a lane. */
const PACE_MS = 15;

export class Ledger {
  /** Time of each acknowledged commit, by the wall clock. */
  private readonly acknowledged = new Map<number, number>();
  private next = 1;
  /**
   * Time of the last acknowledged commit. The time is infinity before the first commit, so that the time before this commit does not count
   * as a gap.
   */
  private lastMs = Infinity;
  private longestMs = 0;

  /** Starts the lanes. `command` runs psql on the open database. */
  begin(command: readonly string[], lanes = LANES): LedgerLanes {
    return new LedgerLanes(this, command, lanes);
  }

  take(): number {
    return this.next++;
  }

  acknowledge(number: number): void {
    this.acknowledged.set(number, Date.now());
    const nowMs = performance.now();
    this.longestMs = Math.max(this.longestMs, nowMs - this.lastMs);
    this.lastMs = nowMs;
  }

  /** Returns a copy of the set of acknowledged numbers. */
  get present(): ReadonlySet<number> {
    return new Set(this.acknowledged.keys());
  }

  /** Returns the numbers that were acknowledged before this time of the wall clock. */
  before(wallMs: number): ReadonlySet<number> {
    return new Set([...this.acknowledged].flatMap(([number, ms]) => (ms < wallMs ? [number] : [])));
  }

  get commits(): number {
    return this.acknowledged.size;
  }

  /** Returns the longest time in ms without an acknowledged commit since the last call. */
  takeGap(): number {
    const gapMs = Math.max(this.longestMs, performance.now() - this.lastMs);
    this.longestMs = 0;
    return gapMs;
  }

  /** Compares the numbers in the table, and returns problems. `acknowledged`: numbers that were acknowledged before the table was read. */
  compare(found: readonly number[], acknowledged: ReadonlySet<number>): string[] {
    const there = new Set(found);
    const lost = [...acknowledged].filter((number) => !there.has(number));
    const foreign = found.filter((number) => number >= this.next);
    return [
      ...(lost.length === 0 ? [] : [`${lost.length} acknowledged commits are lost: ${lost.slice(0, 20).join(' ')}`]),
      ...(foreign.length === 0 ? [] : [`The table has numbers that nobody has inserted: ${foreign.slice(0, 20).join(' ')}`]),
      ...(there.size === found.length ? [] : ['The table has a number twice']),
    ];
  }
}

export class LedgerLanes {
  /** Errors of psql, and lanes that ended too early. */
  readonly failures: string[] = [];
  private readonly ledger: Ledger;
  private readonly lanes: readonly ChildProcess[];
  /** Resolves when all lanes have ended. */
  readonly ended: Promise<unknown>;
  private isEnding = false;

  constructor(ledger: Ledger, [program = '', ...args]: readonly string[], lanes: number) {
    this.ledger = ledger;
    this.lanes = Array.from({ length: lanes }, () => spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] }));
    this.ended = Promise.all(this.lanes.map((lane) => new Promise((resolve) => lane.once('close', resolve))));
    for (const lane of this.lanes) this.follow(lane);
  }

  /** Ignores later failures of the lanes, because the database is about to end. */
  doom(): void {
    this.isEnding = true;
  }

  /** Stops the lanes after their current insert. */
  async stop(): Promise<void> {
    this.isEnding = true;
    for (const lane of this.lanes) lane.stdin?.end();
    await this.ended;
  }

  private follow(lane: ChildProcess): void {
    const insert = (): void => {
      if (!this.isEnding) lane.stdin?.write(`insert into ledger values (${this.ledger.take()}) returning number;\n`);
    };
    let text = '';
    lane.stdin?.on('error', () => undefined);
    lane.stdout?.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
      const lines = text.split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) this.acknowledge(line);
      if (lines.length > 0) setTimeout(insert, PACE_MS);
    });
    lane.stderr?.setEncoding('utf8').on('data', (piece: string) => {
      if (!this.isEnding) this.failures.push(`psql: ${piece.trim()}`);
    });
    lane.once('close', () => {
      if (!this.isEnding) this.failures.push('A lane of the ledger ended');
    });
    insert();
  }

  private acknowledge(line: string): void {
    if (!/^\d+$/.test(line)) return void this.failures.push(`psql printed ${line}`);
    this.ledger.acknowledge(Number(line));
  }
}
