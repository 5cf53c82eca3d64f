// rsclogcat as a process: its output, SIGINT, a reader that closes the pipe, and errors. rsslogcat runs the same code on the log of rssrv.
// Formats and log rotation are tested in @rsio/common.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { useProgram } from '@rsio/base/testing/program-file';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { removeFolder } from '@rsio/base/testing/remove-folder';

const program = useProgram(new URL('./logcat.ts', import.meta.url));
const RECORD = {
  level: 'info',
  time: Date.UTC(2010, 8, 14, 15, 2, 32),
  node: 'big-2',
  path: '6-if0-tx0',
  msg: 'started transmit for rep 192.168.45.10/5000',
};
const LINE = 'big-2@rsio 2010_09_14-15:02:32 (GMT) INFO (6-if0-tx0): started transmit for rep 192.168.45.10/5000\n';

let root: string;
let file: string;
let started: ChildProcess[];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'rsio-lc-'));
  mkdirSync(join(root, 'var/log/rsio'), { recursive: true });
  file = join(root, 'var/log/rsio/rsiod.log');
  started = [];
});

afterEach(async () => {
  for (const child of started) child.kill('SIGKILL');
  await removeFolder(root);
});

function start(argv: readonly string[]) {
  const child = spawn(process.execPath, [program(), ...argv], {
    env: { ...process.env, RSIO_ROOT: root },
  });
  started.push(child);
  const run = { child, out: '', err: '', ended: once(child, 'close').then(([code, signal]) => code ?? signal) };
  child.stdout.setEncoding('utf8').on('data', (text) => {
    run.out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    run.err += text;
  });
  return run;
}

const PATIENCE = { timeout: 20_000 };

test('prints the log and ends; -n takes the last lines', PATIENCE, async () => {
  writeFileSync(file, `first\n${JSON.stringify(RECORD)}\n`);
  const all = start([]);
  const last = start(['-n', '1']);
  expect([await all.ended, all.out, all.err]).toEqual([0, `first\n${LINE}`, '']);
  expect([await last.ended, last.out]).toEqual([0, LINE]);
});

test('-f follows; SIGINT ends it with exit 0', PATIENCE, async () => {
  writeFileSync(file, 'first\n');
  const run = start(['-f', '-n0']);
  // The record is appended repeatedly, because the test cannot see when the program starts to follow the file.
  await expect
    .poll(
      () => {
        appendFileSync(file, `${JSON.stringify(RECORD)}\n`);
        return run.out;
      },
      { timeout: 15_000, interval: 100 },
    )
    .toContain(LINE);
  expect(run.out).not.toContain('first');
  run.child.kill('SIGINT');
  expect([await run.ended, run.err]).toEqual([0, '']);
});

test('a reader that closes the pipe is no error', PATIENCE, async () => {
  writeFileSync(file, `${JSON.stringify(RECORD)}\n`.repeat(50_000));
  const run = start([]);
  run.child.stdout?.once('data', () => run.child.stdout?.destroy());
  expect([await run.ended, run.err]).toEqual([0, '']);
});

test('a missing log and a wrong count name the remedy', PATIENCE, async () => {
  const missing = start([]);
  const wrong = start(['-n', 'many']);
  expect([await missing.ended, missing.err]).toEqual([
    1,
    `rsclogcat: No log ${file}: start rsiod, or name its root with --root DIR [E_NO_LOG]\n`,
  ]);
  expect([await wrong.ended, wrong.err]).toEqual([
    2,
    'rsclogcat: -n many is not a number of lines: give a whole number from 0, see rsclogcat --help [E_USAGE]\n',
  ]);
});
