// Tests the log reader with real files in a temporary folder. A fake clock determines the reader's intervals. Rotation and truncation
// happen between two reads, as in production.

import { appendFileSync, mkdtempSync, renameSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LOG_LINE_MAX_BYTES, LOG_POLL_MS, LOG_READ_BYTES } from './limits.ts';
import { FakeClock } from '../testing/fake-clock.ts';
import { LogReader } from './log-reader.ts';
import { removeFolder } from '../testing/remove-folder.ts';

let directory: string;
let file: string;
let printed: string;
let clock: FakeClock;
let stopping: (() => Promise<void>)[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'rsio-reader-'));
  file = join(directory, 'rsiod.log');
  printed = '';
  clock = new FakeClock();
  stopping = [];
});

afterEach(async () => {
  for (const stop of stopping) await stop();
  await removeFolder(directory);
});

function reader(lines: number | null, follow: boolean): LogReader {
  const out = (text: string) => {
    printed += text;
  };
  return new LogReader({ file, daemon: 'rsiod', lines, follow, clock, out });
}

async function print(lines: number | null): Promise<string> {
  await reader(lines, false).run();
  return printed;
}

/** Starts a reader that follows the log until the end of the test. Resolves when the reader waits for the first time. */
async function follow(lines: number | null): Promise<void> {
  const following = reader(lines, true);
  const ended = following.run();
  stopping.push(async () => {
    following.stop();
    await ended;
  });
  await waits();
}

async function waits(): Promise<void> {
  await expect.poll(() => clock.timersPending, { timeout: 5_000, interval: 2 }).toBe(1);
}

async function intervals(count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    clock.advance(LOG_POLL_MS);
    await waits();
  }
}

describe('printing', () => {
  test('prints records formatted and damaged lines unchanged', async () => {
    const record = {
      level: 'info',
      time: Date.UTC(2010, 8, 14, 15, 2, 32),
      node: 'big-2',
      path: '6-if0-tx0',
      msg: 'started transmit for rep 192.168.45.10/5000',
    };
    writeFileSync(file, `${JSON.stringify(record)}\n{"level":"in\n\u001b[2J`);
    expect(await print(null)).toBe(
      'big-2@rsio 2010_09_14-15:02:32 (GMT) INFO (6-if0-tx0): started transmit for rep 192.168.45.10/5000\n{"level":"in\n\\x1b[2J\n',
    );
  });

  test.each([
    [null, 'a\nb\nc\n'],
    [0, ''],
    [1, 'c\n'],
    [2, 'b\nc\n'],
    [3, 'a\nb\nc\n'],
    [99, 'a\nb\nc\n'],
  ])('-n %s, with and without a line end at the end', async (lines, expected) => {
    writeFileSync(file, 'a\nb\nc\n');
    expect(await print(lines)).toBe(expected);
    printed = '';
    writeFileSync(file, 'a\nb\nc');
    expect(await print(lines)).toBe(expected);
  });

  test('finds the last lines across blocks, with multi-byte letters across their edges', async () => {
    const lines = Array.from({ length: 4_000 }, (_, i) => `${i} ${'ä€😀'.repeat(i % 17)}`);
    writeFileSync(file, `${lines.join('\n')}\n`);
    for (const count of [1, 100, 1_500, 3_999]) {
      printed = '';
      expect(await print(count)).toBe(`${lines.slice(-count).join('\n')}\n`);
    }
  });

  test('an empty log prints nothing', async () => {
    writeFileSync(file, '');
    expect(await print(5)).toBe('');
  });

  test('cuts a line beyond its bound and continues after it', async () => {
    writeFileSync(file, `${'x'.repeat(3 * LOG_READ_BYTES)}\n${'y'.repeat(LOG_LINE_MAX_BYTES)}\nz\n`);
    expect(await print(null)).toBe(`${'x'.repeat(LOG_LINE_MAX_BYTES)} [cut]\n${'y'.repeat(LOG_LINE_MAX_BYTES)}\nz\n`);
  });

  test('reports a missing log', async () => {
    await expect(print(null)).rejects.toMatchObject({
      code: 'E_NO_LOG',
      message: `No log ${file}: start rsiod, or name its root with --root DIR`,
    });
  });
});

describe('following', () => {
  test('prints added lines, and a line that arrives in two pieces once', async () => {
    writeFileSync(file, 'a\nb\nhal');
    await follow(1);
    expect(printed).toBe('');
    appendFileSync(file, 'f\nnext\n');
    await intervals(1);
    expect(printed).toBe('half\nnext\n');
  });

  test('reads a rotated log to its end, including later writes to it, and then the new one', async () => {
    writeFileSync(file, 'a\n');
    await follow(null);
    appendFileSync(file, 'b\n');
    renameSync(file, `${file}.1`);
    await intervals(2);
    writeFileSync(file, 'd\n');
    await intervals(1);
    appendFileSync(`${file}.1`, 'c\n');
    await intervals(1);
    appendFileSync(file, 'e\n');
    await intervals(1);
    expect(printed).toBe('a\nb\nc\nd\ne\n');
  });

  test('restarts when the log was truncated', async () => {
    writeFileSync(file, 'a\nb\nc\n');
    await follow(null);
    truncateSync(file, 0);
    appendFileSync(file, 'd\n');
    await intervals(1);
    expect(printed).toBe('a\nb\nc\nd\n');
  });
});
