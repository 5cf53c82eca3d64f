// Tests the plan of a pull with random contents, answers, orders of completion and crashes. A crash loses any part of what was not synced.
// The file must equal the snapshot when a pull is done, also after it was resumed from any position that it has reported.

import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { describe, expect, test } from 'vitest';
import { type Piece, PullPlan, type PullBounds, type PullStep } from './pull-plan.ts';

const SECTOR = 512;

/** A snapshot and the content before it, one number for each sector; 0 is a sector of zeros. */
interface World {
  readonly base: readonly number[];
  readonly next: readonly number[];
  /** States of the sectors of `next`, as the peer reports them. */
  readonly isChanged: readonly boolean[];
  readonly isHole: readonly boolean[];
  readonly blockBytes: number;
  readonly isWhole: boolean;
  readonly isBlank: boolean;
}

const bounds: PullBounds = {
  windowBytes: 32 * SECTOR,
  pieceBytes: 8 * SECTOR,
  holeBytes: 16 * SECTOR,
  holesAtOnce: 2,
  rangesAhead: 6,
  askBytes: 40 * SECTOR,
  saveEveryBytes: 64 * SECTOR,
};

function runs(random: SeededRandom, length: number, probability: number): boolean[] {
  const all: boolean[] = [];
  while (all.length < length) {
    const value = random.chance(probability);
    for (let left = random.int(1, 12); left > 0 && all.length < length; left--) all.push(value);
  }
  return all;
}

function world(random: SeededRandom): World {
  const blockSectors = random.pick([1, 8]);
  const length = blockSectors * random.int(1, 400 / blockSectors);
  const isWhole = random.chance(0.4);
  const holes = runs(random, length, 0.3);
  const written = runs(random, length, 0.4);
  // A file that is compared has any content, and all of it counts as changed.
  const isBlank = isWhole && random.chance(0.5);
  const base = Array.from({ length }, () => (isBlank ? 0 : random.int(0, 3)));
  const next = base.map((old, sector) => (holes[sector] ? 0 : isWhole || written[sector] ? random.int(0, 1_000) : old));
  const seems = runs(random, length, 0.1);
  return {
    base,
    next,
    blockBytes: blockSectors * SECTOR,
    isWhole,
    isBlank,
    isHole: holes,
    isChanged: next.map((value, sector) => value !== base[sector] || seems[sector] === true),
  };
}

/** An answer about a range, which may cover only a part of it, and may go on beyond its end. */
function answer(
  random: SeededRandom,
  states: readonly boolean[],
  { offsetBytes, lengthBytes }: { offsetBytes: number; lengthBytes: number },
): number[] {
  const [from, all] = [offsetBytes / SECTOR, lengthBytes / SECTOR];
  const covered = random.chance(0.5) ? all : random.int(1, all);
  const pairs: number[] = [];
  for (const state of states.slice(from, from + covered)) {
    if (pairs.at(-1) === Number(state)) pairs[pairs.length - 2]!++;
    else pairs.push(1, Number(state));
  }
  if (covered === all && random.chance(0.4)) pairs.push(random.int(1, 50), random.int(0, 1));
  return pairs;
}

/** The file of a pull: what was written since the last sync began may be lost. */
class Disk {
  content: number[];
  private unsynced: { readonly sector: number; readonly before: number }[] = [];
  private syncing: { readonly sector: number; readonly before: number }[] = [];

  constructor(content: readonly number[]) {
    this.content = [...content];
  }

  put(sector: number, value: number): void {
    this.unsynced.push({ sector, before: this.content[sector]! });
    this.content[sector] = value;
  }

  beginSync(): void {
    this.syncing = this.unsynced;
    this.unsynced = [];
  }

  endSync(): void {
    this.syncing = [];
  }

  /** Each lost sector gets back an earlier value. */
  crash(random: SeededRandom): void {
    for (const { sector, before } of [...this.syncing, ...this.unsynced].reverse()) if (random.chance(0.5)) this.content[sector] = before;
    [this.syncing, this.unsynced] = [[], []];
  }
}

function put(disk: Disk, { next }: World, { kind, offsetBytes, lengthBytes }: Piece): void {
  for (let sector = offsetBytes / SECTOR; sector < (offsetBytes + lengthBytes) / SECTOR; sector++)
    disk.put(sector, kind === 'hole' ? 0 : next[sector]!);
}

interface Pulled {
  readonly plan: PullPlan;
  readonly isDone: boolean;
  /** All positions that were reported. */
  readonly positions: readonly number[];
  readonly readBytes: number;
}

/** Pulls until the end, or until `steps` steps were made and the process has crashed. */
function pull(random: SeededRandom, at: World, disk: Disk, fromBytes: number, steps: number): Pulled {
  const sizeBytes = at.next.length * SECTOR;
  const plan = new PullPlan({ sizeBytes, fromBytes, blockBytes: at.blockBytes, isWhole: at.isWhole, isBlank: at.isBlank }, bounds);
  const pending: Exclude<PullStep, { kind: 'done' }>[] = [];
  const positions: number[] = [fromBytes];
  let readBytes = 0;
  for (let made = 0; made < steps; made++) {
    const step = random.chance(0.6) ? plan.next(random.chance(0.9)) : null;
    if (step?.kind === 'done') return { plan, isDone: true, positions, readBytes };
    if (step !== null) {
      if (step.kind === 'sync') disk.beginSync();
      if (step.kind === 'read') readBytes += step.lengthBytes;
      pending.push(step);
    }
    const flying = pending
      .filter(({ kind }) => kind === 'read')
      .reduce((sum, one) => sum + ('lengthBytes' in one ? one.lengthBytes : 0), 0);
    expect(flying).toBeLessThanOrEqual(bounds.windowBytes);
    expect(pending.filter(({ kind }) => kind === 'hole').length).toBeLessThanOrEqual(bounds.holesAtOnce);
    if (pending.length === 0 || random.chance(0.4)) continue;
    const [ended] = pending.splice(random.int(0, pending.length - 1), 1);
    if (ended === undefined) continue;
    if (ended.kind === 'changes') plan.changesAnswered(answer(random, at.isChanged, ended));
    else if (ended.kind === 'extents') plan.extentsAnswered(random.chance(0.1) ? null : answer(random, at.isHole, ended));
    else if (ended.kind === 'sync') {
      disk.endSync();
      plan.synced();
      positions.push(plan.positionBytes);
    } else {
      put(disk, at, ended);
      plan.completed(ended);
    }
  }
  // Some pieces in flight may have been written, wholly or not.
  for (const one of pending) if ((one.kind === 'read' || one.kind === 'hole') && random.chance(0.5)) put(disk, at, one);
  disk.crash(random);
  return { plan, isDone: false, positions, readBytes };
}

const SEEDS = 600;

describe('the plan of a pull', () => {
  test('ends with the content of the snapshot, after crashes and from any reported position', () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const random = new SeededRandom(seed);
      const at = world(random);
      const disk = new Disk(at.base);
      const positions = [0];
      let crashes = random.int(0, 3);
      for (;;) {
        const fromBytes = random.chance(0.7) ? positions.at(-1)! : random.pick(positions);
        const result = pull(random, at, disk, fromBytes, crashes > 0 ? random.int(1, 250) : 100_000);
        for (const position of result.positions) {
          expect(position, `seed ${seed}`).toBeGreaterThanOrEqual(positions.at(-1) === fromBytes ? fromBytes : 0);
          expect(disk.content.slice(0, position / SECTOR), `seed ${seed}, position ${position}`).toEqual(
            at.next.slice(0, position / SECTOR),
          );
        }
        positions.push(result.positions.at(-1)!);
        if (result.isDone) {
          expect(result.plan.positionBytes).toBe(at.next.length * SECTOR);
          expect([result.plan.doneBytes, result.readBytes]).toEqual([result.plan.totalBytes, result.plan.totalBytes]);
          break;
        }
        crashes--;
      }
      expect(disk.content, `seed ${seed}`).toEqual(at.next);
    }
  });

  test('reads no more than the blocks that have changed', () => {
    for (let seed = 1; seed <= 200; seed++) {
      const random = new SeededRandom(seed);
      const at = world(random);
      const { plan } = pull(random, at, new Disk(at.base), 0, 100_000);
      const blockSectors = at.blockBytes / SECTOR;
      // An answer may end within a block, and another may say that nothing is known about holes, so that more is read.
      const needed = at.next.filter((_, sector) => {
        const first = sector - (sector % blockSectors);
        const block = Array.from({ length: blockSectors }, (_, index) => first + index);
        return block.some((one) => at.isWhole || at.isChanged[one]);
      });
      expect(plan.doneBytes).toBeLessThanOrEqual(needed.length * SECTOR);
    }
  });

  test('makes one hole of a large range, and no step for holes of a file of zeros', () => {
    const kinds = (isWhole: boolean): string[] => {
      const plan = new PullPlan({ sizeBytes: 16 * SECTOR, fromBytes: 0, blockBytes: SECTOR, isWhole, isBlank: isWhole }, bounds);
      const all: string[] = [];
      for (;;) {
        const step = plan.next(true);
        if (step === null) throw new Error('Nothing to do, and not done');
        all.push(step.kind);
        if (step.kind === 'done') return all;
        if (step.kind === 'sync') plan.synced();
        else if (step.kind === 'changes') plan.changesAnswered([16, 1]);
        else if (step.kind === 'extents') plan.extentsAnswered([16, 1]);
        else plan.completed(step);
      }
    };
    expect(kinds(false)).toEqual(['changes', 'extents', 'hole', 'sync', 'done']);
    expect(kinds(true)).toEqual(['extents', 'sync', 'done']);
  });
});
