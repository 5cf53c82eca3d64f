// Tests the rates between two snapshots. Invariant: the counters of two snapshots are matched by path, even if paths appear or disappear
// between the snapshots or counters restart from zero.

import type { PathStats } from '@rsio/api/rsiod/methods';
import { pathStats } from '@rsio/api/testing/path-stats';
import { expect, test } from 'vitest';
import { rep } from '../../testing/views.ts';
import { type Snapshot, sampleOf } from './watch-sample.ts';

function stats(address: string, changes: Partial<PathStats> = {}): PathStats {
  return pathStats({ address, ...changes });
}

function look(monotonicMs: number, paths: readonly PathStats[]): Snapshot {
  const reps = paths.map((path) => rep({ address: path.address, port: path.port }));
  const interfaces = [{ position: 0, name: 'if0', address: '192.168.10.1', port: 5000, reps }];
  return { atMs: monotonicMs, monotonicMs, status: { interfaces, waiting: [], logs: [], mirrors: [] }, stats: { paths, volumes: [] } };
}

const A = '192.168.10.9';
const B = '192.168.10.8';

test('rates are per second of the time between the samples', () => {
  const before = look(1_000, [stats(A, { sentBytes: 5_000, receivedBytes: 100, requests: 10 })]);
  const now = look(3_000, [stats(A, { sentBytes: 25_000, receivedBytes: 300, requests: 50 })]);
  expect(sampleOf(before, now).paths).toMatchObject([
    { interface: 'if0', address: A, sentBytesPerSecond: 10_000, receivedBytesPerSecond: 100, requestsPerSecond: 20 },
  ]);
});

test('a new path, and one whose counter restarted, count from zero', () => {
  const before = look(0, [stats(A, { sentBytes: 9_000 })]);
  const now = look(1_000, [stats(B, { sentBytes: 500 }), stats(A, { sentBytes: 700 })]);
  expect(sampleOf(before, now).paths.map(({ address, sentBytesPerSecond }) => [address, sentBytesPerSecond])).toEqual([
    [B, 500],
    [A, 700],
  ]);
});

test('two servers with one address keep their own counters', () => {
  const other = 5001;
  const before = look(0, [stats(A, { requests: 10 }), stats(A, { port: other, requests: 1_000 })]);
  const now = look(1_000, [stats(A, { port: other, requests: 1_500 }), stats(A, { requests: 11 })]);
  expect(sampleOf(before, now).paths.map(({ requestsPerSecond }) => requestsPerSecond)).toEqual([500, 1]);
});
