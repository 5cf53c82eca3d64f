// The judge of snapshots accepts correct copies, and rejects copies that each break one part of rule P1. Seeds test whether production code
// keeps the rule.

import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { beforeEach, expect, test } from 'vitest';
import { Oracle } from './oracle.ts';
import { SnapshotJudge, type Take } from './snapshot-judge.ts';

const SECTORS = 8;

/** A volume whose content the test writes. */
class Scene {
  readonly oracle: Oracle;
  readonly content = Buffer.alloc(SECTORS * SECTOR_BYTES);

  constructor(number: number) {
    this.oracle = new Oracle(number, SECTORS, SECTORS);
  }

  /** Submits a change that is not answered. */
  submit(lba: number, count: number, isWrite = true): number {
    const data = Buffer.alloc(count * SECTOR_BYTES);
    const number = this.oracle.change(lba, count, isWrite ? data : null, 0);
    data.copy(this.content, lba * SECTOR_BYTES);
    return number;
  }

  answer(number: number, lba: number, count: number): void {
    this.oracle.changed(number, lba, count, true);
  }

  write(lba: number, count: number, isWrite = true): void {
    this.answer(this.submit(lba, count, isWrite), lba, count);
  }

  rollBack(content: Buffer): void {
    content.copy(this.content);
    this.oracle.rolledBack(content);
  }

  copy(): { oracle: Oracle; name: string; content: Buffer } {
    return { oracle: this.oracle, name: 'v', content: Buffer.from(this.content) };
  }
}

let judge: SnapshotJudge;
let one: Scene;
let two: Scene;

beforeEach(() => {
  judge = new SnapshotJudge();
  [one, two] = [new Scene(1), new Scene(2)];
  judge.watch(one.oracle);
  judge.watch(two.oracle);
});

function asks(): Take {
  return judge.asks([one.oracle, two.oracle]);
}

function breaches(take: Take, ...copies: ReturnType<Scene['copy']>[]): string[] {
  judge.answered(take, copies);
  return judge.breaches.splice(0);
}

test('a copy with everything that was answered before, and any of what was submitted meanwhile', () => {
  one.write(0, 2);
  two.write(1, 1, false);
  const take = asks();
  const before = one.copy();
  one.write(3, 1);
  expect(breaches(take, before, two.copy())).toEqual([]);
  expect(breaches(take, one.copy(), two.copy())).toEqual([]);
});

test('a change that was answered before is missing', () => {
  const early = one.copy();
  one.write(0, 1);
  expect(breaches(asks(), early)).toEqual(['P1: the snapshot of v shows change 0 of sector 0; 1 was answered before it was asked for']);
});

test('zeros that were answered before are missing', () => {
  one.write(0, 1);
  const early = one.copy();
  one.write(0, 1, false);
  expect(breaches(asks(), early)[0]).toMatch(/shows change 1 of sector 0; 2 was answered/);
});

test('a cut over two volumes that is none: the later change is there, the earlier one is not', () => {
  const take = asks();
  const early = one.copy();
  one.write(0, 1);
  two.write(0, 1);
  expect(breaches(take, early, two.copy())[0]).toMatch(/lacks change 1 of sector 0, and holds one that was submitted after its answer/);
});

test('the same with a discard as the later change', () => {
  two.write(0, 1);
  const take = asks();
  const early = one.copy();
  one.write(0, 1);
  two.write(0, 1, false);
  expect(breaches(take, early, two.copy())[0]).toMatch(/lacks change 1 of sector 0/);
});

test('changes that were in flight together may be there in any combination', () => {
  const take = asks();
  const early = one.copy();
  const first = one.submit(0, 1);
  const second = two.submit(0, 1);
  one.answer(first, 0, 1);
  two.answer(second, 0, 1);
  expect(breaches(take, early, two.copy())).toEqual([]);
});

test('a torn write', () => {
  const take = asks();
  one.write(0, 2);
  const torn = one.copy();
  torn.content.fill(0, SECTOR_BYTES, 2 * SECTOR_BYTES);
  expect(breaches(take, torn)).toEqual(['P1: the snapshot of v holds write 1 in sector 0, and not in sector 1']);
});

test('a volume that was rolled back shows zeros of changes from before, in the place of a part of a write', () => {
  one.write(0, 3);
  one.write(1, 1, false);
  const kept = one.copy();
  expect(breaches(asks(), kept)).toEqual([]);
  one.write(2, 1, false);
  one.rollBack(kept.content);
  expect(breaches(asks(), one.copy())).toEqual([]);
  const lost = one.copy();
  lost.content.fill(0, 2 * SECTOR_BYTES, 3 * SECTOR_BYTES);
  expect(breaches(asks(), lost), 'zeros that were taken back').toContain(
    'P1: the snapshot of v holds write 1 in sector 0, and not in sector 2',
  );
  one.write(0, 2);
  const torn = one.copy();
  torn.content.fill(0, SECTOR_BYTES, 2 * SECTOR_BYTES);
  expect(breaches(asks(), torn)).toContain('P1: the snapshot of v holds write 4 in sector 0, and not in sector 1');
});

test('bytes of no write', () => {
  const take = asks();
  one.content[5] = 7;
  expect(breaches(take, one.copy())).toEqual(['P1: the snapshot of v has bytes of no write in sector 0']);
});

test('what nobody owes any more may be missing', () => {
  const early = one.copy();
  one.write(0, 1);
  const take = asks();
  one.oracle.crashed(false);
  expect(breaches(take, early)).toEqual([]);
});
