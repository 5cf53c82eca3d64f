// Tests that reading only the appended bytes of a log gives the same messages as reading the whole file. Invariant: each test has its own
// file and its own reader.

import { appendFileSync, mkdtempSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { LogMessages } from './log-messages.ts';

let folder: string;
let file: string;
let log: LogMessages;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'rsio-log-'));
  file = path.join(folder, 'log');
  log = new LogMessages(file);
});

afterEach(() => rmSync(folder, { recursive: true }));

const line = (msg: string): string => `${JSON.stringify({ level: 30, msg })}\n`;

it('what is appended comes after what was there, and a line only when it is whole', () => {
  expect(log.text()).toBe('');
  writeFileSync(file, line('Up') + line('Größe 1'));
  expect(log.text()).toBe('Up\nGröße 1');
  const more = Buffer.from(line('Größe 2'));
  // The first part ends in the middle of a character.
  const middle = more.indexOf('ö') + 1;
  appendFileSync(file, more.subarray(0, middle));
  expect(log.text()).toBe('Up\nGröße 1');
  appendFileSync(file, more.subarray(middle));
  appendFileSync(file, '\n');
  expect(log.text()).toBe('Up\nGröße 1\nGröße 2');
});

it('a log that was rotated or became shorter is read from its beginning', () => {
  writeFileSync(file, line('one') + line('two'));
  expect(log.text()).toBe('one\ntwo');
  renameSync(file, `${file}.1`);
  expect(log.text()).toBe('');
  writeFileSync(file, line('three') + line('four') + line('five'));
  expect(log.text()).toBe('three\nfour\nfive');
  truncateSync(file, 0);
  appendFileSync(file, line('six'));
  expect(log.text()).toBe('six');
});
