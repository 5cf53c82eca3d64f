// Tests the exact picture on a terminal of 80 columns and 24 rows, and the plot. Invariant: no output exceeds the terminal's width or
// height, whatever the size of the terminal and the number of paths.

import { expect, test } from 'vitest';
import { PlotHistory, pipeHeading, pipeLines, terminalPicture } from './watch-picture.ts';
import type { PathSample, WatchSample } from './watch-sample.ts';

const AT_MS = Date.UTC(2010, 8, 14, 15, 2, 32);

function path(changes: Partial<PathSample> = {}): PathSample {
  return {
    interface: 'if0',
    address: '192.168.45.10',
    port: 5000,
    state: 'up',
    tx: 'ok',
    rx: 'ok',
    sentBytesPerSecond: 6_100_000,
    receivedBytesPerSecond: 55_200_000,
    requestsPerSecond: 6_512,
    roundTripMs: 0.2116,
    ...changes,
  };
}

function sample(paths: readonly PathSample[], waiting: WatchSample['waiting'] = []): WatchSample {
  return { atMs: AT_MS, paths, waiting };
}

const WAITING = {
  volume: 'osl:oracle@0',
  waitsFor: 'a path to its server',
  sinceMs: AT_MS - 1_000,
  untilMs: AT_MS + 599_000,
  requests: 12,
};

function historyOf(...samples: readonly WatchSample[]): PlotHistory {
  const history = new PlotHistory();
  for (const one of samples) history.add(one);
  return history;
}

const SIZE = { columns: 80, rows: 24, letters: 'unicode' } as const;

test('a picture at 80x24 is exact to the character', () => {
  const idle = path({ interface: 'if1', address: '192.168.46.10', state: 'down', tx: 'fail', rx: '-', sentBytesPerSecond: 0 });
  const now = sample([path(), { ...idle, receivedBytesPerSecond: 0, requestsPerSecond: 0, roundTripMs: null }], [WAITING]);
  const half = sample([path({ sentBytesPerSecond: 0, receivedBytesPerSecond: 30_650_000 })]);
  expect(terminalPicture(now, historyOf(half, now), SIZE)).toEqual([
    '1 of 2 paths connected   tx 6.1 MB/s   rx 55.2 MB/s   Ctrl-C ends',
    '',
    'path                   state     tx/rx   tx MB/s rx MB/s  req/s trip ms  load',
    'if0 192.168.45.10/5000 connected ok/ok       6.1    55.2   6512   0.212  ▄█',
    'if1 192.168.46.10/5000 down      fail/-      0.0     0.0      0       -',
    '',
    'osl:oracle@0 waits for a path to its server: 12 requests, since 15:02:31, until ',
  ]);
});

test('heartbeats alone are not shown as load', () => {
  const quiet = sample([path({ sentBytesPerSecond: 40, receivedBytesPerSecond: 40 })]);
  expect(historyOf(quiet, quiet).plot(path(), 8, 'ascii')).toBe('  ');
});

test('a plot shows as many seconds as fit, and drops removed paths', () => {
  const history = historyOf(...Array.from({ length: 100 }, () => sample([path()])));
  expect(history.plot(path(), 8, 'ascii')).toBe('@@@@@@@@');
  expect(history.plot(path(), 200, 'unicode')).toBe('█'.repeat(60));
  history.add(sample([]));
  expect(history.plot(path(), 8, 'ascii')).toBe('');
});

test("no line exceeds the terminal's width, nor the picture its height", () => {
  const many = sample(Array.from({ length: 40 }, (_, index) => path({ address: `fd00::${index}` })));
  const lines = terminalPicture(many, historyOf(many), { columns: 30, rows: 10, letters: 'ascii' });
  expect(lines).toHaveLength(9);
  expect(lines.at(-1)).toBe('35 more lines do not fit here');
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(30);
});

test('without a terminal each line has its time', () => {
  const now = sample([path()], [{ ...WAITING, untilMs: null }]);
  const lines = [pipeHeading(now), ...pipeLines(now, historyOf(now), 'ascii')];
  expect(lines).toEqual([
    'time     path                   state     tx/rx   tx MB/s rx MB/s  req/s trip ms  load',
    '15:02:32 if0 192.168.45.10/5000 connected ok/ok       6.1    55.2   6512   0.212  @',
    '15:02:32 osl:oracle@0 waits for a path to its server: 12 requests, since 15:02:31, for ever',
  ]);
});

test("a name's control characters are shown, not executed", () => {
  const evil = sample([path({ interface: 'if\x1b[2J' })], [{ ...WAITING, waitsFor: 'you\r\x07' }]);
  const history = historyOf(evil);
  const text = [...terminalPicture(evil, history, { ...SIZE, columns: 200 }), ...pipeLines(evil, history, 'ascii')].join('\n');
  expect(text).toContain('if\\x1b[2J');
  expect(text.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
});

test('without a path a message says so', () => {
  const none = sample([]);
  expect(pipeLines(none, historyOf(none), 'ascii')).toEqual(['15:02:32 No path: see rsconfig -m status, and rsconfig doctor']);
  expect(terminalPicture(none, historyOf(none), SIZE)[2]).toContain('No path');
});

test('the plot ends with the last second, also if only a few fit', () => {
  const idle = sample([path({ sentBytesPerSecond: 0, receivedBytesPerSecond: 0 })]);
  const busy = sample([path()]);
  const line = terminalPicture(busy, historyOf(...Array.from({ length: 30 }, () => idle), busy), SIZE)[3];
  expect(line).toHaveLength(SIZE.columns);
  expect(line?.endsWith(' █')).toBe(true);
});
