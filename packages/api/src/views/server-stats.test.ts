// Tests the tables and sentences about the I/O of clients, with views that the test makes: rates between two samples, latencies, old or
// missing figures, and waits. The figures themselves come from rssrv's session/ and volumes/statistics/.

import { expect, test } from 'vitest';
import { sessionStats, volumeStats } from '../testing/server-views.ts';
import { clientDetails, ratesOf, statsTable, waitWarnings } from './server-stats.ts';

const NOW_MS = 60_000;
const WAIT = { heldBy: null, client: 'big-2', volume: 'db@0', requests: 3, sinceMs: NOW_MS - 12_000 };

test('totals, rates between two samples, latencies, in 80 columns', () => {
  const before = { sessions: [sessionStats()], waits: [] };
  const now = {
    sessions: [
      sessionStats({
        volumes: [
          volumeStats({ reads: 1_500, readBytes: 12_288_000, outstanding: 4, errors: 1 }),
          volumeStats({ volume: 'new@1', writes: 0 }),
        ],
      }),
    ],
    waits: [],
  };
  const table = statsTable(before, now, 2_000, null) ?? '';
  expect(table).toBe(
    `CLIENT  VOLUME    OP     TOTAL  OP/s  MB/s  us: p50  p99  p99.9  p99.99  max
big-2   oracle@0  read    1500   250   2.0       80  210    400     700  900
                  write    200     0   0.0       80  210    400     700  900
                  flush      0     0     -        -    -      -       -    -
big-2   new@1     read    1000     0   0.0       80  210    400     700  900
                  write      0     0   0.0        -    -      -       -    -
                  flush      0     0     -        -    -      -       -    -
big-2 oracle@0: 4 outstanding, 1 failed
`,
  );
  for (const line of table.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
});

test('of one client or one volume, also without its universe', () => {
  const sample = { sessions: [sessionStats(), sessionStats({ client: 'mars', volumes: [volumeStats({ volume: 'db@1' })] })], waits: [] };
  const rows = (wanted: string): number => (statsTable(sample, sample, 1_000, wanted) ?? '').split('\n').length;
  expect([rows('mars'), rows('oracle'), rows('oracle@0'), rows('db@1')]).toEqual([5, 5, 5, 5]);
  expect([
    statsTable(sample, sample, 1_000, 'db'),
    statsTable({ ...sample, sessions: [] }, { sessions: [], waits: [] }, 1_000, null),
  ]).toEqual([null, null]);
});

test('a session that began anew has no rate, and old figures are said to be old', () => {
  const before = { sessions: [sessionStats({ sinceMs: 0 })], waits: [] };
  const now = {
    sessions: [sessionStats({ sinceMs: 5, volumes: [volumeStats({ reads: 2_000 })], ageMs: 12_400, isBlocked: true })],
    waits: [],
  };
  const table = statsTable(before, now, 1_000, null) ?? '';
  expect(table).toContain('read    2000     0   0.0');
  expect(table).toContain('big-2: these figures are 12s old, because its server process hangs in a call to storage\n');
  expect(statsTable(before, { sessions: [sessionStats({ volumes: [], ageMs: null })], waits: [] }, 1_000, null)).toBe(
    'big-2: its server process has not reported yet\n',
  );
});

test('the rates of a client are those of all its volumes', () => {
  const sample = { sessions: [sessionStats({ volumes: [volumeStats(), volumeStats({ volume: 'x@0' })] })], waits: [] };
  expect(ratesOf(sample, 'big-2')).toEqual({ readBytesPerSecond: 1_638_400, writtenBytesPerSecond: 0 });
  expect(ratesOf(sample, 'venus')).toBeNull();
});

test('waits have a reason and a remedy; those for space are warnings about the volume', () => {
  const waits = (['storage', 'hold', 'space', 'snapshot'] as const).map((why) => ({ ...WAIT, why }));
  expect(waitWarnings([...waits, { ...WAIT, volume: '-', why: 'storage' }], NOW_MS)).toEqual([
    'I/O of client big-2 on volume db@0 has waited 12s for the storage: check its disks and rsslogcat -n 20',
    'Client big-2 has waited 12s to open volume db@0: rsadm volume show db@0 names the client that holds it',
    'I/O of client big-2 on volume db@0 has been held for a snapshot for 12s: see rsslogcat -n 20',
    'I/O of client big-2 has waited 12s for the storage: check its disks and rsslogcat -n 20',
  ]);
});

test('details of a client: paths and waits', () => {
  const stats = { sessions: [sessionStats(), sessionStats({ client: 'mars', paths: [] })], waits: [{ ...WAIT, why: 'space' as const }] };
  expect(clientDetails(stats, NOW_MS, (ms) => `T${ms}`)).toBe(
    `big-2
    path if1 from 192.168.10.2, since T0, 1200 requests, plain
    volume db@0: 3 waiting for space in its pool, for 12s
mars
    no path
`,
  );
});
