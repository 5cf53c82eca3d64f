// Tests random take-overs in the listener (H2): any sequence of OPENs, CLOSEs, process ends and restarts. After each step, the test checks
// which clients may be writing. take-over.test.ts tests single steps.

import { copyFileSync, existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Hold } from './hold-rules.ts';
import { type GrantPorts, Holds } from './holds.ts';
import { BIG2, MARS, OPEN, QUIET, turns, VENUS, VOLUME } from '../../testing/contenders.ts';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { NO_LEDGER } from '../../testing/no-ledgers.ts';

let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rsio-take-over-'));
});

afterEach(() => removeFolder(folder));

type Move =
  | { kind: 'open'; who: number; readonly: boolean; take: 0 | 1 | 2; resumes: boolean }
  | { kind: 'close' | 'end'; who: number }
  | { kind: 'step'; pick: number; fails: boolean }
  | { kind: 'restart' };

const who = fc.nat({ max: 2 });
const move: fc.Arbitrary<Move> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('open' as const),
      who,
      readonly: fc.boolean(),
      take: fc.constantFrom(0 as const, 1, 2),
      resumes: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('close' as const, 'end' as const), who }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('step' as const), pick: fc.nat({ max: 7 }), fails: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const) }) },
);

/**
 * Several clients, and a listener that may be restarted. The process of a client may write from the grant of a handle until the handle
 * ends.
 */
class World {
  /** The violations of the invariants that were found. */
  readonly wrong: unknown[] = [];
  private readonly clients = [BIG2, MARS, VENUS];
  private readonly names = ['big-2', 'mars', 'venus'];
  private readonly folder = mkdtempSync(join(folder, 'world-'));
  /**
   * Number of the listener, increased by each restart. The test ignores reports of earlier listeners, and each listener has its own holds
   * file.
   */
  private round = 0;
  private holders = this.listener();
  private readonly pending: ((fails: boolean) => void)[] = [];
  /** Writable and read-only open handles by client. */
  private readonly handles = new Map<number, { epoch: number; readonly: boolean }[]>();
  /** Running OPENs, each with the epoch up to which its grant has been revoked. */
  private readonly opening = new Set<{ index: number; voidUpTo: number }>();
  /** Releases that wait for the end of an OPEN, as in session-volumes.ts: maps a client to the epoch of its release. */
  private readonly postponed = new Map<number, number>();
  private readonly identities = new Map<number, string>();
  private life = 0;
  /**
   * Running operations, including operations of earlier listeners. An operation may write the file of its listener until the operation
   * ends.
   */
  private readonly begun: Promise<unknown>[] = [];
  private readonly forgotten: ((fails: boolean) => void)[] = [];

  private get file(): string {
    return join(this.folder, `${this.round}.json`);
  }

  private listener(): Holds {
    return new Holds(this.file, () => 0, QUIET, NO_LEDGER);
  }

  private held(): Promise<boolean> {
    return new Promise((resolve) => this.pending.push(resolve));
  }

  private ports(): GrantPorts {
    const { round } = this;
    return {
      find: () => VOLUME,
      role: () => null,
      incarnation: () => `life.${this.life}`,
      revokeHold: async (_volume, hold: Hold, epoch) => {
        const index = this.names.indexOf(hold.node);
        for (const one of this.opening) if (one.index === index) one.voidUpTo = epoch;
        await this.held();
        if (round === this.round) {
          this.handles.set(
            index,
            (this.handles.get(index) ?? []).filter((handle) => handle.epoch > epoch),
          );
        }
        return true;
      },
      sync: async () => {
        if (await this.held()) throw new Error('EIO');
      },
      incarnationEnded: async () => {
        this.life++;
      },
      isWanted: () => true,
      promiseOf: () => null,
      tookOver: () => undefined,
      disputedMs: () => 0,
      pause: () => Promise.resolve(),
    };
  }

  async move(one: Move): Promise<void> {
    if (one.kind === 'restart') await this.restart();
    if (one.kind === 'step') this.pending.splice(one.pick % Math.max(1, this.pending.length), 1)[0]?.(one.fails);
    if (one.kind === 'open') this.open(one);
    if (one.kind === 'close') this.close(one.who);
    // The client's process ends, but its hold stays.
    if (one.kind === 'end') this.handles.delete(one.who);
    await turns();
  }

  private open(one: Extract<Move, { kind: 'open' }>): void {
    this.begun.push(this.opened(one).catch((thrown: unknown) => this.wrong.push(thrown)));
  }

  private async opened({ who: index, readonly, take, resumes }: Extract<Move, { kind: 'open' }>): Promise<void> {
    const resume = resumes ? (this.identities.get(index) ?? null) : null;
    const { round } = this;
    const opening = { index, voidUpTo: -1 };
    this.opening.add(opening);
    const grant = await this.holders.grant('id', this.clients[index]!, { ...OPEN, readonly, take, resume }, this.ports());
    this.opening.delete(opening);
    if (round !== this.round) return;
    if (!grant.granted || grant.epoch <= opening.voidUpTo) return this.release(index);
    if (resume !== null) expect(grant.identity).toBe(resume);
    this.identities.set(index, grant.identity);
    this.handles.set(index, [...(this.handles.get(index) ?? []), { epoch: grant.epoch, readonly }]);
    this.judge();
  }

  private close(index: number): void {
    const handles = this.handles.get(index) ?? [];
    if (handles.length === 0) return;
    this.handles.delete(index);
    this.identities.delete(index);
    this.postponed.set(index, Math.max(...handles.map(({ epoch }) => epoch)));
    this.release(index);
  }

  /** Releases the hold of the client, unless an OPEN of the client is in progress or has opened a handle. */
  private release(index: number): void {
    const epoch = this.postponed.get(index);
    const isUsed = [...this.opening].some((one) => one.index === index) || (this.handles.get(index) ?? []).length > 0;
    if (epoch === undefined || isUsed) return;
    this.postponed.delete(index);
    this.begun.push(this.holders.release('id', this.clients[index]!, epoch));
  }

  /** Restarts the listener. The workers of the old listener end before the new listener serves a client. */
  private async restart(): Promise<void> {
    const before = this.file;
    this.round++;
    if (existsSync(before)) copyFileSync(before, this.file);
    this.life++;
    this.handles.clear();
    this.opening.clear();
    this.postponed.clear();
    this.forgotten.push(...this.pending.splice(0));
    this.holders = this.listener();
    await this.holders.load();
  }

  /** Completes every running operation. */
  async end(): Promise<void> {
    const ended = Promise.allSettled(this.begun);
    let isOver = false;
    void ended.then(() => {
      isOver = true;
    });
    while (!isOver) {
      for (const resolve of [...this.forgotten.splice(0), ...this.pending.splice(0)]) resolve(true);
      await turns();
    }
  }

  /** Checks that the clients with usable handles are either a single writer or only readers. */
  private judge(): void {
    const users = [...this.handles].filter(([, handles]) => handles.length > 0);
    const writers = users.filter(([, handles]) => handles.some((handle) => !handle.readonly));
    expect(writers.length === 0 || users.length === 1, `${users.length} use it, ${writers.length} write`).toBe(true);
  }
}

test('at any time, over any restart of the listener, a volume has one writer or readers only', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(move, { minLength: 5, maxLength: 30 }), async (moves) => {
      const world = new World();
      for (const one of moves) await world.move(one);
      await world.end();
      expect(world.wrong).toEqual([]);
    }),
    { numRuns: 60 },
  );
});
