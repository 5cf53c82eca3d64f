// Tests each plan of the copier alone: pieces of a region and of the shorter last region, maps that are read page by page, the survey of
// maps at the beginning, flushes that several regions share, and the choice of regions to clear. copier-random.test.ts tests the plans
// together.

import { expect, test } from 'vitest';
import { MIRROR_REGION_BYTES } from '../../wire/limits.ts';
import { BlockSet } from '../lacks/block-set.ts';
import { RegionSet } from '../region-set.ts';
import { ClearPlan } from './clear-plan.ts';
import { CLEAR_REGIONS_MAX, SETTLE_REGIONS_MAX } from '../limits.ts';
import { MapReader } from './map-reader.ts';
import { MapSurvey } from './map-survey.ts';
import { RegionPieces } from './region-pieces.ts';
import { ResyncPlan } from './resync-plan.ts';
import { SettlePlan } from './settle-plan.ts';

const MEMBERS = [
  { identity: 'a', tenure: '1' },
  { identity: 'b', tenure: '1' },
];

function setOf(...regions: number[]): RegionSet {
  const set = new RegionSet();
  for (const region of regions) set.add(region);
  return set;
}

function membersOf(set: RegionSet): number[] {
  const found: number[] = [];
  for (let region = set.firstFrom(0); region >= 0; region = set.firstFrom(region + 1)) found.push(region);
  return found;
}

test('a region is cut without gaps, up to the end of the volume, and begins again only when all of its pieces have ended', () => {
  const pieces = new RegionPieces();
  pieces.sizeBytes = MIRROR_REGION_BYTES + 1000 * 512;
  pieces.begin(1);
  const first = pieces.cut(1, 600 * 512);
  const second = pieces.cut(1, 600 * 512);
  expect([first.beginBytes, first.endBytes, second.endBytes]).toEqual([
    MIRROR_REGION_BYTES,
    MIRROR_REGION_BYTES + 600 * 512,
    MIRROR_REGION_BYTES + 1000 * 512,
  ]);
  expect(pieces.uncut(() => true)).toBe(-1);
  expect(pieces.ended(first, true)).toBe('more');
  pieces.void(1);
  expect([pieces.has(1), pieces.regions]).toEqual([true, 0]);
  expect([pieces.ended(second, true), pieces.has(1)]).toEqual(['void', false]);
});

test('a map is read page by page; what a smaller replica lacks is added, and a wrong answer is found', () => {
  const found = new RegionSet();
  const reader = new MapReader();
  const first = reader.next()!;
  expect(reader.next()).toBeNull();
  expect(reader.read(first, { regions: 12, first: 0, bits: Buffer.from([0b101]) }, 20, found)).toBe(true);
  const second = reader.next()!;
  expect([second.first, reader.read(second, { regions: 12, first: 0, bits: Buffer.from([1]) }, 20, found)]).toEqual([8, false]);
  const again = reader.next()!;
  expect(reader.read(again, { regions: 12, first: 8, bits: Buffer.from([0b0100]) }, 20, found)).toBe(true);
  expect([reader.isComplete, membersOf(found)]).toEqual([true, [0, 2, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]]);
});

test('a page of an earlier reading counts for nothing', () => {
  const reader = new MapReader();
  const old = reader.next()!;
  reader.begin();
  const found = new RegionSet();
  expect([reader.read(old, { regions: 8, first: 0, bits: Buffer.from([255]) }, 8, found), found.count]).toEqual([true, 0]);
  expect(reader.isComplete).toBe(false);
});

test('the survey keeps what was changed and what has diverged while the maps were read', () => {
  const touched = new RegionSet();
  const unsettled = new RegionSet();
  const survey = new MapSurvey(touched, unsettled, 6, false);
  touched.watcher = survey.changed;
  expect([touched.count, unsettled.count]).toEqual([6, 6]);
  for (const page of survey.next(MEMBERS)) {
    const bits = Buffer.from([page.identity === 'a' ? 1 : 0]);
    expect(survey.pageRead(page, { regions: 6, first: 0, bits }, 6)).toBe(true);
  }
  touched.add(3);
  survey.diverged.add(4);
  expect(survey.complete([...MEMBERS, { identity: 'c', tenure: '1' }])).toBe(false);
  expect(survey.complete([MEMBERS[0]!, { identity: 'b', tenure: '2' }])).toBe(false);
  expect(survey.complete(MEMBERS)).toBe(true);
  expect([membersOf(touched), membersOf(unsettled)]).toEqual([
    [0, 3, 4],
    [0, 4],
  ]);
});

test('regions share a flush, and a region for which a READ waits comes first', () => {
  const unsettled = setOf(...Array.from({ length: 200 }, (_, region) => region));
  const plan = new SettlePlan(unsettled);
  plan.setSize(200 * MIRROR_REGION_BYTES);
  plan.setMembers(MEMBERS);
  const long = plan.nextPiece(MIRROR_REGION_BYTES, false)!;
  for (let count = 1; count < SETTLE_REGIONS_MAX; count++) {
    expect(plan.nextFlush()).toBeNull();
    plan.pieceEnded(plan.nextPiece(MIRROR_REGION_BYTES, false)!, true);
  }
  expect([plan.nextFlush(), plan.nextPiece(MIRROR_REGION_BYTES, false)]).toEqual([null, null]);
  plan.pieceEnded(long, true);
  const flush = plan.nextFlush()!;
  expect([flush.regions.size, plan.nextFlush()]).toEqual([SETTLE_REGIONS_MAX, null]);
  for (const region of plan.flushEnded(flush, true)) unsettled.remove(region);
  plan.hurry(150);
  const piece = plan.nextPiece(MIRROR_REGION_BYTES, true)!;
  expect(piece.region).toBe(150);
  plan.pieceEnded(piece, true);
  expect(plan.nextFlush()?.regions.has(150)).toBe(true);
});

test('one replica alone is settled by a flush, apart from what diverged meanwhile', () => {
  const plan = new SettlePlan(setOf(2, 7));
  plan.setSize(10 * MIRROR_REGION_BYTES);
  plan.setMembers([MEMBERS[0]!]);
  expect(plan.nextPiece(MIRROR_REGION_BYTES, false)).toBeNull();
  const flush = plan.nextFlush()!;
  plan.diverged(7);
  expect([...plan.flushEnded(flush, true)]).toEqual([2]);
});

test('a replica that returns starts again when the volume has grown', () => {
  const plan = new ResyncPlan('b', { touched: setOf(), unsettled: setOf(), lacking: () => new BlockSet() });
  plan.setSize(MIRROR_REGION_BYTES);
  plan.setTenure('1');
  plan.pageRead(plan.nextPage()!, { regions: 1, first: 0, bits: Buffer.from([0]) }, 1);
  expect([plan.phase, plan.nextPiece(512)]).toEqual(['copying', null]);
  plan.setSize(2 * MIRROR_REGION_BYTES);
  plan.setTenure('1');
  expect([plan.phase, plan.hasCaughtUp()]).toEqual(['map', false]);
});

test('idle regions are cleared in bounded runs, and those of the last seconds are not', () => {
  const touched = setOf(1, 2, 3, 9);
  for (let region = 100; region < 200 + CLEAR_REGIONS_MAX; region++) touched.add(region);
  const plan = new ClearPlan(touched, setOf(3), { cleared: () => {} });
  plan.watch();
  plan.setMembers(MEMBERS);
  touched.add(9);
  const clearing = plan.next()!;
  expect([...clearing.ranges]).toEqual([1, 2, 100, CLEAR_REGIONS_MAX - 2]);
  expect(plan.next()).toBeNull();
  plan.ended(clearing, true);
  expect([membersOf(touched).slice(0, 3), touched.count]).toEqual([[3, 9, 98 + CLEAR_REGIONS_MAX], 104]);
  plan.rotate();
  const rest = plan.next()!;
  expect([...rest.ranges]).toEqual([98 + CLEAR_REGIONS_MAX, 102]);
  plan.ended(rest, false);
  plan.rotate();
  expect([...plan.next()!.ranges]).toEqual([9, 1, 98 + CLEAR_REGIONS_MAX, 102]);
});
