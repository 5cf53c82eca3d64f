// Tests that samples of pools survive restarts, that a clock that is set changes no pace, and that a damaged file stops no start.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { PoolState } from '../catalogue.ts';
import { PACE_INTERVAL_MS, PACE_MONTH_MS, PACE_POOLS_MAX, PACE_SET_BACK_MAX_MS } from '../limits.ts';
import { PoolPaces } from './pool-paces.ts';

const GIB = 1024 ** 3;
const DAY_MS = 24 * 60 * 60 * 1_000;
let directory = '';
let warnings: string[] = [];
let clock = new FakeClock();
let usedBytes = 0;

beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rssrv-paces-'));
  [warnings, clock, usedBytes] = [[], new FakeClock(), 10 * GIB];
});
afterEach(() => removeFolder(directory));

const file = (): string => path.join(directory, 'paces.json');

function pool(changes: Partial<PoolState> = {}): PoolState {
  const space = { totalBytes: 1_000 * GIB, freeBytes: 1_000 * GIB - usedBytes };
  return { name: 'fast', identity: { id: 'p', createdMs: 0 }, space, trouble: null, reserve: 0.05, ...changes } as PoolState;
}

/** Begins a run of the server: a process with a monotonic clock of its own, which begins at 0. */
async function run(): Promise<PoolPaces> {
  const beganMs = clock.monotonicMs();
  const own = { monotonicMs: () => clock.monotonicMs() - beganMs, wallMs: () => clock.wallMs() };
  const paces = new PoolPaces(file(), own, { warn: (text) => void warnings.push(text) });
  await paces.load();
  return paces;
}

/** Lets days pass, on each of which the pool grows by 2 GiB. */
function live(paces: PoolPaces, days: number): void {
  for (let hour = 0; hour < days * 24; hour++) {
    paces.note([pool()]);
    clock.advance(DAY_MS / 24);
    usedBytes += (2 * GIB) / 24;
  }
}

/** Resolves when the file has this number of samples of the pool. */
const saved = (samples: number): Promise<void> =>
  expect.poll(() => JSON.parse(fs.readFileSync(file(), 'utf8')).content.pools.p.length as number).toBe(samples);

const perDay = (paces: PoolPaces): number | null => paces.of(pool()).week?.bytesPerDay ?? null;

test('samples survive a restart, and the time in between counts', async () => {
  const first = await run();
  live(first, 1.5);
  expect(perDay(first)).toBeNull();
  await saved(6);
  clock.advance(DAY_MS);
  usedBytes += 2 * GIB;
  const second = await run();
  live(second, 1);
  expect(perDay(second)! / GIB).toBeCloseTo(2, 3);
  expect(second.of(pool()).week!.fullInMs! / DAY_MS).toBeCloseTo((950 * GIB - usedBytes) / (2 * GIB), 1);
  expect(second.of(pool({ name: 'renamed' })).week).not.toBeNull();
  expect(second.of(pool({ identity: { id: 'other' as never, createdMs: 0 } })).week).toBeNull();
  expect(warnings).toEqual([]);
});

test.each([-400 * DAY_MS, -DAY_MS, 60_000, 400 * DAY_MS])(
  'a clock that is set by %d ms while the server runs changes nothing',
  async (byMs) => {
    const paces = await run();
    live(paces, 1);
    clock.jumpWall(byMs);
    live(paces, 1.5);
    expect(perDay(paces)! / GIB).toBeCloseTo(2, 3);
    await saved(10);
    const again = await run();
    expect(perDay(again)! / GIB).toBeCloseTo(2, 3);
  },
);

test.each([
  [-PACE_SET_BACK_MAX_MS, true, 13],
  [-PACE_SET_BACK_MAX_MS - 1, false, 1],
  [4 * DAY_MS, true, 13],
  [8 * DAY_MS, false, 13],
  [400 * DAY_MS, false, 1],
])('after a restart with a clock that was set by %d ms, the pace is known: %s', async (byMs, isKnown, samples) => {
  live(await run(), 3);
  await saved(12);
  clock.jumpWall(byMs);
  const paces = await run();
  expect(perDay(paces) !== null).toBe(isKnown);
  paces.note([pool()]);
  await saved(samples);
});

test('a pool that cannot be used has no pace and gets no sample, and its samples wait for it', async () => {
  const paces = await run();
  live(paces, 2);
  expect(paces.of(pool({ trouble: 'not mounted' }))).toEqual({ week: null, month: null });
  expect(paces.of(pool({ space: null }))).toEqual({ week: null, month: null });
  expect(perDay(paces)).not.toBeNull();
  await saved(8);
  clock.advance(PACE_INTERVAL_MS);
  paces.note([pool({ trouble: 'not mounted' }), pool({ space: null }), pool({ identity: null })]);
  clock.advance(PACE_INTERVAL_MS);
  paces.note([pool()]);
  await saved(9);
});

test('the samples of pools that are gone are forgotten, the oldest first', async () => {
  const paces = await run();
  for (let index = 0; index <= PACE_POOLS_MAX; index++) {
    paces.note([pool({ identity: { id: `p${index}` as never, createdMs: 0 } })]);
    clock.advance(1);
  }
  await expect
    .poll(() => Object.keys(JSON.parse(fs.readFileSync(file(), 'utf8')).content.pools as object).toSorted())
    .toEqual(Array.from({ length: PACE_POOLS_MAX }, (_, index) => `p${index + 1}`).toSorted());
  clock.advance(PACE_MONTH_MS + 1);
  paces.note([pool()]);
  await expect.poll(() => Object.keys(JSON.parse(fs.readFileSync(file(), 'utf8')).content.pools as object)).toEqual(['p']);
});

test('samples that are not of the past are dropped', async () => {
  const content = { wallMs: clock.wallMs(), countMs: 5, pools: { p: [{ atMs: 6, usedBytes: 1 }] } };
  fs.writeFileSync(file(), JSON.stringify({ version: 1, content }));
  (await run()).note([pool()]);
  await expect.poll(() => JSON.parse(fs.readFileSync(file(), 'utf8')).content.pools as object).toEqual({ p: [{ atMs: 5, usedBytes }] });
});

const TWICE = [
  { atMs: 1, usedBytes: 0 },
  { atMs: 1, usedBytes: 9 },
];

test.each([{ pools: 7 }, { wallMs: 1, countMs: 1, pools: { p: TWICE } }])(
  'a file that cannot be used is reported and replaced',
  async (content) => {
    fs.writeFileSync(file(), JSON.stringify({ version: 1, content }));
    const paces = await run();
    expect(warnings).toEqual([expect.stringMatching(/paces\.json cannot be used: .*: remove it; the paces of the pools/)]);
    live(paces, 2);
    expect(perDay(paces)! / GIB).toBeCloseTo(2, 3);
    await saved(8);
    expect(perDay(await run())! / GIB).toBeCloseTo(2, 3);
  },
);
