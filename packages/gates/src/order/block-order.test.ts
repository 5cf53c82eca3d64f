// The order of changes of several paths: random changes, proofs and grants beside a model that keeps every change with its exact range. The model
// says which changes may be executed; regions may delay a change, and never let one through. Rules: D1, D3.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GATE_QUIESCE_MS } from '../limits.ts';
import { BlockOrder, type Change, type Hold } from './block-order.ts';
import { GateOrder } from './gate-order.ts';
import type { GatePath } from './gate-path.ts';

const SIZE = 8192;

interface Done {
  readonly path: number;
  readonly at: number;
  readonly step: number;
}

class World {
  readonly order = new GateOrder();
  readonly blocks = new BlockOrder(this.order, SIZE);
  nowMs = 0;
  trips = 0;
  readonly paths: readonly GatePath[];
  readonly done: Done[] = [];
  private readonly granted = this.order.now;

  constructor(paths = 3) {
    this.paths = Array.from({ length: paths }, () => this.order.newPath({ nowMs: () => this.nowMs, roundTrip: () => this.trips++ }));
  }

  change(path: number, at: number): { heldBy: Hold | null; isDone: boolean; goOn(): void } {
    const change: Change & { isDone: boolean } = {
      heldBy: null,
      isDone: false,
      goOn: () => {
        if (!this.blocks.executes(this.paths[path]!, change, at, 1)) return;
        change.isDone = true;
        this.judge(path, at);
        this.done.push({ path, at, step: this.order.now });
      },
    };
    change.goOn();
    return change;
  }

  /** The change must be later than no change of the same byte by another path, unless the path was proven since. */
  private judge(path: number, at: number): void {
    const { provenStep } = this.paths[path]!;
    const late = this.done.filter((one) => one.path !== path && one.at === at && one.step > provenStep);
    expect([late, this.granted > provenStep]).toEqual([[], false]);
  }
}

it('executes nothing that an exact record of all changes would not', () => {
  const step = fc.record({ path: fc.nat(2), at: fc.nat(SIZE - 1), what: fc.constantFrom('change', 'change', 'change', 'proof', 'mark') });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const world = new World();
      const marks = world.paths.map((path) => path.moment);
      for (const { path, at, what } of steps) {
        // Two blocks that are changed often, in one region, and others.
        if (what === 'change') world.change(path, at % 4 === 0 ? at : at % 2);
        else if (what === 'mark') marks[path] = world.paths[path]!.moment;
        else world.paths[path]!.proves(marks[path]!);
      }
      for (const path of world.paths) for (let round = 0; round < 50 && path.holds.size > 0; round++) path.proves(path.moment);
      expect(world.paths.map(({ holds }) => holds.size)).toEqual([0, 0, 0]);
      expect(world.done).toHaveLength(steps.filter(({ what }) => what === 'change').length);
    }),
  );
});

describe('a path', () => {
  it('that is alone never waits, once it is later than the grant', () => {
    const world = new World(1);
    for (let at = 0; at < 100; at++) expect(world.change(0, at % 7).isDone).toBe(true);
    expect(world.trips).toBe(0);
  });

  it('from before the grant waits for a proof from after it (D3)', () => {
    const order = new GateOrder();
    let trips = 0;
    const path = order.newPath({ nowMs: () => 0, roundTrip: () => trips++ });
    const { moment } = path;
    const blocks = new BlockOrder(order, SIZE);
    const change: Change = { heldBy: null, goOn: () => undefined };
    expect(blocks.executes(path, change, 0, 512)).toBe(false);
    path.proves(moment);
    expect([blocks.executes(path, change, 0, 512), trips > 0]).toEqual([false, true]);
    path.proves(path.moment);
    expect([blocks.executes(path, change, 0, 512), path.holds.size]).toEqual([true, 0]);
  });

  it('is stuck when a change has waited for too long, and not while a proven one waits for something else', () => {
    const world = new World(2);
    world.change(0, 0);
    const late = world.change(1, 0);
    world.nowMs = GATE_QUIESCE_MS;
    expect(world.paths[1]!.isStuck(world.nowMs)).toBe(false);
    expect(world.paths[1]!.isStuck(world.nowMs + 1)).toBe(true);
    world.paths[1]!.proves(world.paths[1]!.moment);
    expect([late.isDone, world.paths[1]!.isStuck(world.nowMs + 1)]).toEqual([true, false]);
  });

  it('is not stuck when a change was proven, waited for something else, and was overtaken then: its time begins again', () => {
    const world = new World(2);
    world.change(0, 0);
    const change: Change = { heldBy: null, goOn: () => undefined };
    expect(world.blocks.executes(world.paths[1]!, change, 0, 1)).toBe(false);
    world.paths[1]!.proves(world.paths[1]!.moment);
    world.nowMs = GATE_QUIESCE_MS + 1;
    world.change(0, 0);
    expect(world.paths[1]!.isStuck(world.nowMs)).toBe(false);
    expect(world.paths[1]!.isStuck(world.nowMs + GATE_QUIESCE_MS + 1)).toBe(true);
  });

  it('with a volume that is lost tries its changes again, so that they find that out', () => {
    const world = new World(2);
    world.change(0, 0);
    let tries = 0;
    const change: Change = { heldBy: null, goOn: () => tries++ };
    expect(world.blocks.executes(world.paths[1]!, change, 0, 1)).toBe(false);
    world.blocks.close();
    expect([tries, change.heldBy, world.paths[1]!.holds.size]).toEqual([1, null, 0]);
  });
});

it('a change that waited for a volume that was lost waits again for the volume that came back, by the order of that one', () => {
  const world = new World(2);
  world.change(0, 0);
  const [, path] = world.paths;
  const change: Change = { heldBy: null, goOn: () => undefined };
  expect(world.blocks.executes(path!, change, 0, 1)).toBe(false);
  const before = change.heldBy!;
  const proof = path!.moment;
  const again = new BlockOrder(world.order, SIZE);
  // The proof is later than all changes of the lost volume, and earlier than the return of the volume.
  path!.proves(proof);
  expect(before.isProven).toBe(true);
  expect(again.executes(path!, change, 0, 1)).toBe(false);
  expect([change.heldBy?.of === again, path!.holds.size]).toEqual([true, 1]);
  path!.proves(path!.moment);
  expect([again.executes(path!, change, 0, 1), path!.holds.size]).toEqual([true, 0]);
});

it('a volume that has grown keeps the order behind its old end', () => {
  const world = new World(2);
  world.change(0, SIZE + 4096);
  expect(world.change(1, SIZE + 4096).isDone).toBe(false);
});
