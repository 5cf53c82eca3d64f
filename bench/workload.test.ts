// Tests the plans: names say what each row measures, every goal has its row, and no row asks for more than a server grants. Figures of a
// real run are not checked.

import { WINDOW_BYTES } from '@rsio/protocol/link/limits';
import { SLOTS, SLOTS_RESERVED } from '@rsio/protocol/wire/limits';
import { expect, test } from 'vitest';
import { GOALS } from './goals.ts';
import { FILE_BYTES, findRows, FULL_PLAN, planMs, QUICK_PLAN, row } from './workload.ts';

const PLANS = { quick: QUICK_PLAN, full: FULL_PLAN };
const MINUTE_MS = 60_000;

test.each(Object.entries(PLANS))('%s: each name is unique, and rssrv is always measured', (_name, { rows }) => {
  expect(new Set(rows.map(({ name }) => name)).size).toBe(rows.length);
  expect(rows.every(({ servers }) => servers.includes('rssrv'))).toBe(true);
});

test.each(Object.entries(PLANS))('%s: every goal has its row with its peer', (_name, { rows }) => {
  for (const { row: name, peer } of GOALS) expect(rows.find((one) => one.name === name)?.servers ?? [], name).toContain(peer);
});

test.each(Object.entries(PLANS))('%s: the requests in flight fit into a session, and every connection has one', (_name, { rows }) => {
  for (const { name, depth, blockBytes, connections, clients } of rows) {
    expect(depth, name).toBeLessThanOrEqual(SLOTS - SLOTS_RESERVED);
    expect(Math.ceil(depth / connections), name).toBeLessThanOrEqual(Math.floor((SLOTS - SLOTS_RESERVED) / connections));
    expect(depth * blockBytes, name).toBeLessThanOrEqual(WINDOW_BYTES);
    expect(depth, name).toBeGreaterThanOrEqual(connections);
    expect(FILE_BYTES % blockBytes, name).toBe(0);
    expect(clients, name).toBeLessThanOrEqual(4);
  }
});

test('several clients only read, because a volume has one writer', () => {
  for (const { name, clients, readPercent } of FULL_PLAN.rows) if (clients > 1) expect(readPercent, name).toBe(100);
});

test('the quick run takes a minute, the full one at most half an hour', () => {
  expect(planMs(QUICK_PLAN)).toBeLessThan(MINUTE_MS);
  expect(planMs(FULL_PLAN)).toBeLessThan(20 * MINUTE_MS);
});

test('a row is named by its load, and found by a part of its name', () => {
  expect(row('read', 8192, 128).name).toBe('read-8k-d128');
  expect(row('seqread', 1 << 20, 8, { connections: 4 }).name).toBe('seqread-1m-d8-c4');
  expect(row('read', 8192, 32, { clients: 4, cores: 'all' }).name).toBe('read-8k-d32-x4');
  expect(findRows(FULL_PLAN, 'mix').map(({ readPercent }) => readPercent)).toEqual([70, 70, 70, 70]);
  expect(findRows(FULL_PLAN, 'read-8k-d128').map(({ connections }) => connections)).toEqual([1]);
});
