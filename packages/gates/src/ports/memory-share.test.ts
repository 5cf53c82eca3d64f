// Shares of hosts in the memory of all gates: how much one host can take at most, and that no connection waits for ever. The oracle counts
// bytes. Rules: G47.

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { MemoryBudget } from '@rsio/rsiod/frontends/streams/memory-budget';
import { HostBudgets } from './host-budgets.ts';
import { MemoryShare } from './memory-share.ts';

const [LIMIT, RESERVE, SMALL, HOST] = [100, 50, 5, 50] as const;

class World {
  readonly turns: (() => void)[] = [];
  readonly budget = new MemoryBudget({ limitBytes: LIMIT, reserveBytes: RESERVE, smallBytes: SMALL }, (fire) => this.turns.push(fire));
  readonly hosts = new HostBudgets({ limitBytes: HOST, reserveBytes: 0, smallBytes: SMALL }, (fire) => this.turns.push(fire));

  connection(host: string): Connection {
    return new Connection(this, host);
  }

  settle(): void {
    for (let rounds = 0; this.turns.length > 0; rounds++) {
      expect(rounds).toBeLessThan(1000);
      for (const fire of this.turns.splice(0)) fire();
    }
  }
}

class Connection {
  readonly held: number[] = [];
  readonly wanted: number[] = [];
  readonly share: MemoryShare;

  constructor(world: World, host: string) {
    this.share = new MemoryShare(world, this);
    this.share.join(host);
  }

  wants(...sizes: readonly number[]): void {
    const isFirst = this.wanted.length === 0;
    this.wanted.push(...sizes);
    if (isFirst) this.roomAgain();
  }

  roomAgain(): void {
    while (this.wanted.length > 0 && this.share.take(this.wanted[0]!)) this.held.push(this.wanted.shift()!);
  }

  returns(): void {
    const bytes = this.held.shift();
    if (bytes !== undefined) this.share.giveBack(bytes);
  }
}

it('a host with many connections that gives nothing back leaves half of the memory to another one, which is not behind it in a queue', () => {
  const world = new World();
  const greedy = Array.from({ length: 12 }, () => world.connection('greedy'));
  for (const one of greedy) one.wants(...Array.from({ length: 20 }, () => 10));
  expect(world.budget.usedBytes).toBe(HOST);
  const good = world.connection('good');
  good.wants(10, 10, 10, 10, 10);
  expect(good.held).toHaveLength(5);
  for (let round = 0; round < 20; round++) {
    good.returns();
    good.wants(10);
    world.settle();
    expect(good.held).toHaveLength(5);
  }
});

it('each connection of a greedy host can still have one small command', () => {
  const world = new World();
  const [first, second] = [world.connection('one'), world.connection('one')];
  first.wants(...Array.from({ length: 20 }, () => 10));
  second.wants(SMALL);
  expect([first.held.length, second.held]).toEqual([HOST / 10, [SMALL]]);
});

it('everybody is served in any order, as long as the others give back, and all is given back', () => {
  const step = fc.record({ who: fc.nat(7), bytes: fc.integer({ min: 1, max: HOST }), gives: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const world = new World();
      const all = Array.from({ length: 8 }, (_, at) => world.connection(`host ${at % 3}`));
      for (const { who, bytes, gives } of steps) {
        if (gives) all[who]!.returns();
        else all[who]!.wants(bytes);
        if (bytes % 2 === 0) world.settle();
        expect(world.budget.usedBytes).toBe(all.flatMap(({ held }) => held).reduce((sum, one) => sum + one, 0));
        for (const host of [0, 1, 2]) {
          const own = all.filter((_, at) => at % 3 === host);
          expect(own.flatMap(({ held }) => held).reduce((sum, one) => sum + one, 0)).toBeLessThanOrEqual(HOST + own.length * SMALL);
        }
      }
      for (let round = 0; all.some(({ held, wanted }) => held.length + wanted.length > 0); round++) {
        expect(round).toBeLessThan(1000);
        for (const one of all) one.returns();
        world.settle();
      }
      for (const { share } of all) share.leave();
      expect([world.budget.usedBytes, world.budget.waits, world.hosts.size]).toEqual([0, 0, 0]);
    }),
  );
});
