// Tests the printed report of hand-made figures: each server with its bar, disturbances, goals with their verdicts.
// The figures themselves are checked by summary.test.ts.

import { expect, test } from 'vitest';
import { GOALS, judge, judgeFigures } from './goals.ts';
import type { Measured } from './load/orders.ts';
import { markdownText, type Results } from './markdown.ts';
import { absentText, barOf, goalsText, rowText } from './report.ts';
import { figuresOf, once } from './summary.ts';
import { row } from './workload.ts';

function measured(changes: Partial<Measured>): Measured {
  const quiet = { windowMs: 1000, serverCores: 1, generatorCores: 0.5, otherCores: 0, p50Us: 31.25, p99Us: 210.4, p999Us: 1500 };
  return { ...quiet, iops: 200_000, bytesPerSecond: 200_000 * 8192, ...changes };
}

const ROW = row('read', 8192, 128);

test('a row shows every server with its figures, the best one with the longest bar', () => {
  const ours = figuresOf('rssrv', 'rssrv', [measured({})]);
  const theirs = figuresOf('nbdkit', 'nbdkit file', [measured({ iops: 50_000 })]);
  const [title, headings, first, second] = rowText({ row: ROW, servers: [ours, theirs] }).split('\n');
  expect(title).toBe('8 KiB random reads, depth 128  [read-8k-d128]');
  expect(headings).toMatch(/IOPS +MB\/s +cores +IOPS per server core +p50 us +p99 +p99\.9$/);
  expect(first).toMatch(/^ {2}rssrv +200k +1638 +1\.00 +200k \(200k-200k\) +█{16} +31\.3 +210 +1500$/);
  expect(second).toMatch(/^ {2}nbdkit file +50\.0k .* █{4} /);
});

test('a bar is as long as its share, and never empty', () => {
  expect([barOf(100, 100).length, barOf(50, 100).length, barOf(0.1, 100).length, barOf(0, 0).length]).toEqual([16, 8, 1, 0]);
});

test('disturbances of a server, and a load that was the limit, are reported', () => {
  const disturbed = figuresOf('rssrv', 'rssrv', [measured({ otherCores: 0.4 })]);
  const limited = figuresOf('nbdkit', 'nbdkit file', [measured({ generatorCores: 1, serverCores: 0.5 })]);
  const text = rowText({ row: ROW, servers: [disturbed, limited] });
  expect(text).toMatch(/Note: other programs used 0\.40 cores while rssrv was measured/);
  expect(text).toMatch(/Note: the load was the limit for nbdkit file/);
});

test('rssrv beside an older build has the ratio of the pairs of rounds, with three digits', () => {
  const ours = figuresOf(
    'rssrv',
    'rssrv',
    [98, 196, 147].map((iops) => measured({ iops })),
  );
  const older = figuresOf(
    'rssrv-older',
    'rssrv of abc',
    [100, 200, 150].map((iops) => measured({ iops })),
  );
  expect(rowText({ row: ROW, servers: [ours, older] })).toContain(
    'Note: IOPS per server core, rssrv beside rssrv of abc: 0.980 (0.980 to 0.980 95 times of 100, 3 pairs)',
  );
  expect(rowText({ row: ROW, servers: [ours] })).not.toContain('pairs');
});

test('a row that is not cached says how much came from the disk, and other rows do not', () => {
  const ours = figuresOf(
    'rssrv',
    'rssrv',
    [0.98, 0.4, 1].map((diskShare) => measured({ diskShare })),
  );
  expect(rowText({ row: { ...ROW, isCached: false }, servers: [ours] })).toContain(
    'Note: of 100 bytes from rssrv, 98 (40-100) were read from the disk',
  );
  expect(rowText({ row: ROW, servers: [ours] })).not.toContain('from the disk');
});

test('goals stand beside their figures: met, not met, not measured', () => {
  const ours = figuresOf('rssrv', 'rssrv', [measured({})]);
  const fast = figuresOf('epoll-server', 'epoll server in C', [measured({ iops: 400_000 })]);
  const slow = figuresOf('nbdkit', 'nbdkit file', [measured({ iops: 50_000 })]);
  const lines = goalsText(judge(GOALS, [{ row: ROW, servers: [ours, slow, fast] }])).split('\n');
  expect(lines[1]).toMatch(/>= 2\.3 x nbdkit +4\.00 +met$/);
  expect(lines[2]).toMatch(/>= 4\.5 x tgt +- +not measured$/);
  expect(lines[3]).toMatch(/>= 0\.8 x epoll-server +0\.50 +NOT MET$/);
});

test('an absent server is named with the remedy', () => {
  expect(absentText([{ id: 'nbd-server', reason: 'install the Debian package nbd-server' }])).toBe(
    'Not measured: nbd-server: install the Debian package nbd-server\n',
  );
});

test('the tables for documents have a line for each server and each goal', () => {
  const ours = figuresOf('rssrv', 'rssrv', [measured({})]);
  const theirs = figuresOf('nbdkit', 'nbdkit file', [measured({ iops: 50_000 })]);
  const rows = [{ row: ROW, servers: [ours, theirs] }];
  const about = { node: 'v20', versions: ['nbdkit 1'], kernel: '6', processor: 'P', serverCore: 0, loadCore: 1 };
  const times = { rounds: 3, warmUpMs: 1, windowMs: 1000 };
  const goals = [...judge(GOALS.slice(0, 2), rows), ...judgeFigures(new Set(['restart']), { restart: { median: 12, min: 11, max: 14 } })];
  const columns = [{ heading: 's', digits: 1 }];
  const sheets = [{ name: 'restart', title: 'A restart', columns, lines: [{ what: '1000 clients', values: [once(12)] }], notes: [] }];
  const rest = { absent: [], failed: [], network: 'N', memory: null, notMeasured: ['rsiod over links: needs root'] };
  // The results, as the bench reads them back from a file.
  const results = JSON.parse(JSON.stringify({ about, times, rows, sheets, goals, ...rest })) as Results;
  const lines = markdownText(results).split('\n');
  expect(lines).toContain('| 8 KiB random reads, depth 128 | rssrv | 200k, 1638 | 1.00 | 200k (200k-200k) | 31.3, 210, 1500 |');
  expect(lines).toContain('|  | nbdkit file | 50.0k, 1638 | 1.00 | 50.0k (50.0k-50.0k) | 31.3, 210, 1500 |');
  expect(lines).toContain('| 8 KiB random reads, depth 128, IOPS per server core | >= 2.3 x nbdkit | 4.00 | met |');
  expect(lines).toContain('| 8 KiB random reads, depth 128, IOPS per server core | >= 4.5 x tgt | - | not measured |');
  expect(lines).toContain('| time until 1,000 clients are all back after a server was killed | <= 5 s | 12.0 (11.0-14.0) | **not met** |');
  expect(lines).toContain('| 1000 clients | 12.0 |');
  expect(lines).toContain('Not measured: rsiod over links: needs root.');
});
