// Tests writing to the pipe of the sender: long lines in pieces, a pipe without a reader, and the count of lost lines. Invariant: no caller
// waits for the reader, and the number of waiting lines is bounded.

import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, readSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FakeClock } from '../testing/fake-clock.ts';
import { removeFolder } from '../testing/remove-folder.ts';
import { LOG_BUFFER_MAX_BYTES, PIPE_RETRY_MS, PIPE_WRITE_MAX_BYTES } from './limits.ts';
import { openPipe, PipeSink } from './pipe-sink.ts';

let folder: string;
let reader: number;
let recovered: number[];
let clock: FakeClock;
let sink: PipeSink;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rsio-pipe-'));
  const pipe = join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  reader = openPipe(pipe);
  recovered = [];
  clock = new FakeClock();
  sink = new PipeSink(clock, { failed: () => undefined, recovered: (lines) => void recovered.push(lines) }, () => openPipe(pipe));
});

afterEach(async () => {
  sink.close();
  closeSync(reader);
  await removeFolder(folder);
});

/** Reads and returns everything that is in the pipe. */
function read(): string {
  const buffer = Buffer.alloc(1 << 20);
  let text = '';
  for (;;) {
    try {
      text += buffer.toString('latin1', 0, readSync(reader, buffer));
    } catch {
      return text;
    }
  }
}

test('a line is written at once, and a long one in pieces that name their process', () => {
  sink.write('short\n');
  const long = 'x'.repeat(3 * PIPE_WRITE_MAX_BYTES);
  sink.write(`${long}\n`);
  const [first, ...pieces] = read().trimEnd().split('\n');
  expect(first).toBe('short');
  expect(pieces.map((piece) => piece[0])).toEqual(['\x03', '\x03', '\x03', '\x04']);
  expect(pieces.map((piece) => piece.slice(1).replace(`${process.pid} `, '')).join('')).toBe(long);
});

test('a pipe that nobody reads from stops nobody: lines wait, further ones are counted, and all go on later', () => {
  const line = `${'y'.repeat(999)}\n`;
  const count = Math.ceil((2 * LOG_BUFFER_MAX_BYTES) / line.length);
  for (let index = 0; index < count; index++) sink.write(line);
  expect(recovered).toEqual([]);
  let arrived = 0;
  for (let round = 0; round < 100 && recovered.length === 0; round++) {
    arrived += read().length / line.length;
    clock.advance(PIPE_RETRY_MS);
  }
  arrived += read().length / line.length;
  expect(arrived).toBeGreaterThan(LOG_BUFFER_MAX_BYTES / line.length);
  expect(arrived + (recovered[0] ?? 0)).toBe(count);
});
