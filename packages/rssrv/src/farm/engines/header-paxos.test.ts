// Tests HeaderPaxos with events in random order: each read and each write of a register is a separate step, writes fail before or after
// they have happened, and processes end in the middle of a write and begin again with only their registers. A chronicle checks the
// invariants in the header of header-paxos.ts.

import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { expect, it } from 'vitest';
import { type FarmRecord, firstRecord } from '../farm-record.ts';
import { HeaderPaxos, type Register } from './header-paxos.ts';

const RUNS = 600;
const STEPS = 400;
const FIRST = firstRecord(['a', 'b', 'c', 'd'], 0);
/** Maximum number of steps of a swap while only one server runs. */
const LONE_STEPS = 100;
/** Microtasks that a process needs at most between two of its steps. */
const TURNS = 24;

interface Step {
  readonly server: number;
  readonly written: Register | null;
  readonly run: () => void;
  readonly fail: (isDone: boolean) => void;
}

/** The records that were decided, and the proposals that must no longer be decided. */
class Chronicle {
  readonly decided = new Map<number, string>([[FIRST.version, JSON.stringify(FIRST)]]);
  readonly refused = new Set<string>();
  newest = FIRST.version;

  stored({ decided }: Register): void {
    if (decided === null) return;
    const { version } = decided.record;
    const text = JSON.stringify(decided.record);
    if (this.decided.has(version)) expect(this.decided.get(version)).toBe(text);
    else expect(this.refused, 'a proposal that had ended is decided').not.toContain(text);
    this.decided.set(version, text);
  }

  looked(record: FarmRecord | null, leastVersion: number): void {
    expect(this.decided.get(record!.version)).toBe(JSON.stringify(record));
    expect(record!.version).toBeGreaterThanOrEqual(leastVersion);
    this.newest = Math.max(this.newest, record!.version);
  }

  /** A proposal is over: if it is not decided by now, it must never be decided. */
  ended(record: FarmRecord): void {
    const text = JSON.stringify(record);
    if (this.decided.get(record.version) !== text) this.refused.add(text);
  }
}

class World {
  readonly random: SeededRandom;
  readonly registers: (Register | null)[];
  readonly chronicle = new Chronicle();
  steps: Step[] = [];
  swaps = 0;
  made = 0;
  /** Grows when the process of the server ends, so that later steps of this process have no effect. */
  readonly lives: number[];
  /** For each server, the proposals whose outcome it has not learned. */
  readonly open: FarmRecord[][];
  failure: unknown = null;

  constructor(seed: number, servers: number) {
    this.random = new SeededRandom(seed);
    this.registers = Array.from({ length: servers }, () => null);
    this.lives = this.registers.map(() => 0);
    this.open = this.registers.map(() => []);
    this.registers.forEach((_, server) => this.begin(server));
  }

  begin(server: number): void {
    const life = this.lives[server];
    const step = <T>(written: Register | null, run: () => T): Promise<T> =>
      new Promise((resolve, reject) => {
        if (this.lives[server] !== life) return;
        const fail = (isDone: boolean): void => {
          if (isDone) run();
          reject(new Error('the storage failed'));
        };
        this.steps.push({ server, written, run: () => resolve(run()), fail });
      });
    const paxos = new HeaderPaxos(
      {
        read: (index) => step(null, () => this.registers[index]!),
        write: (register) =>
          step(register, () => {
            this.chronicle.stored(register);
            this.registers[server] = register;
          }),
        pause: () => step(null, () => undefined),
      },
      server,
      this.registers.length,
      FIRST,
    );
    void this.work(paxos, server, () => this.lives[server] === life);
  }

  async work(paxos: HeaderPaxos, server: number, isAlive: () => boolean): Promise<void> {
    while (isAlive()) {
      try {
        const least = this.chronicle.newest;
        const seen = await paxos.look();
        this.chronicle.looked(seen, least);
        for (const record of this.open[server]!.splice(0)) this.chronicle.ended(record);
        const next = { ...seen!, version: seen!.version + 1, generation: this.made++, state: 'taking' as const };
        this.open[server]!.push(next);
        const isDecided = await paxos.swap(seen, next);
        if (isDecided) {
          this.swaps++;
          this.chronicle.newest = Math.max(this.chronicle.newest, next.version);
          expect(this.chronicle.decided.get(next.version)).toBe(JSON.stringify(next));
        } else this.chronicle.ended(next);
      } catch (thrown) {
        if ((thrown as Error).message !== 'the storage failed') this.failure ??= thrown;
      }
    }
  }

  async turn(ofServer: number | null = null): Promise<void> {
    for (let turn = 0; turn < TURNS; turn++) await Promise.resolve();
    const able = ofServer === null ? this.steps : this.steps.filter(({ server }) => server === ofServer);
    expect(able.length).toBeGreaterThan(0);
    const step = this.random.pick(able);
    this.steps.splice(this.steps.indexOf(step), 1);
    if (ofServer === null && this.random.chance(0.03)) step.fail(step.written !== null && this.random.chance(0.5));
    else step.run();
    if (this.failure !== null) throw this.failure as Error;
  }

  /** Ends the process of a server. A write that is under way has happened, or has not. */
  end(server: number): void {
    this.lives[server]!++;
    const under = this.steps.filter((step) => step.server === server && step.written !== null);
    this.steps = this.steps.filter((step) => step.server !== server);
    for (const { run } of under) if (this.random.chance(0.5)) run();
  }
}

it.each([2, 3, 4])('%i servers never decide two records for one version, and one that is left alone goes on', async (servers) => {
  for (let seed = 1; seed <= RUNS / servers; seed++) {
    const world = new World(seed * 16 + servers, servers);
    const { random } = world;
    for (let step = 0; step < STEPS; step++) {
      await world.turn();
      if (!random.chance(0.02)) continue;
      const server = random.int(0, servers - 1);
      world.end(server);
      world.begin(server);
    }
    const left = random.int(0, servers - 1);
    for (let server = 0; server < servers; server++) if (server !== left) world.end(server);
    const before = world.swaps;
    for (let step = 0; world.swaps === before; step++) {
      expect(step).toBeLessThan(LONE_STEPS);
      await world.turn(left);
    }
    world.end(left);
  }
});
