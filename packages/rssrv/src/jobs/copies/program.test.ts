// Tests the program of a copy: its progress, its end (after success, a cancel, or a lack of progress), messages about failures, and the
// number of programs. A shell script stands in for setpriv, and gets the arguments of qemu-img.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { systemClock } from '@rsio/base/lib/clock';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { JobRecord } from '../job-record.ts';
import { JobEnds, type RunningJob } from '../jobs.ts';
import { PROGRAM_KILL_WAIT_MS, PROGRAM_LOOK_MS, PROGRAM_SILENT_MS, PROGRAMS_MAX } from '../limits.ts';
import { Programs } from './program.ts';

const BYTES = 1_000_000;

let directory: string;
let copied: number[];
let cancelled: boolean;

beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rssrv-program-'));
  [copied, cancelled] = [[], false];
});

afterEach(() => removeFolder(directory));

function job(limitBytes: number | null = null): RunningJob {
  return {
    record: { limitBytes } as JobRecord,
    bytesPerSecond: 0,
    note: () => undefined,
    save: () => Promise.resolve(),
    beforePiece: () => Promise.resolve(),
    copied: (bytes) => void copied.push(bytes),
    check: () => {
      if (cancelled) throw new JobEnds({ kind: 'cancelled' });
    },
  };
}

/** Runs a shell script instead of setpriv. */
function run(
  script: string,
  programs = new Programs(systemClock, `${directory}:/usr/bin:/bin`),
  limitBytes: number | null = null,
): Promise<void> {
  fs.writeFileSync(path.join(directory, 'setpriv'), `#!/bin/sh\n${script}\n`, { mode: 0o700 });
  const file = fs.openSync(path.join(directory, 'setpriv'), 'r');
  try {
    const order = {
      from: ['-f', 'raw'],
      args: ['-O', 'raw', '/dev/fd/3', '/dev/fd/4'],
      sourceText: 'the snapshot',
      source: file,
      target: file,
      targetText: '/b/db.raw',
      user: null,
      bytes: BYTES,
    };
    return programs.convert({ ...order, job: job(limitBytes) });
  } finally {
    fs.closeSync(file);
  }
}

test('the progress is counted once, up to the whole', async () => {
  await run("printf '    (0.00/100%%)\\r    (25.50/100%%)\\r'; printf '    (25.50/100%%)\\r    (100.00/100%%)\\r\\n'");
  expect(copied.reduce((sum, bytes) => sum + bytes, 0)).toBe(BYTES);
});

test('it gets no new privileges, ends with this process, and gets the limit', async () => {
  const list = path.join(directory, 'list');
  await run(`echo "$@" > ${list}`, undefined, 65_536);
  expect(fs.readFileSync(list, 'utf8').trim()).toBe(
    '--no-new-privs --pdeathsig KILL -- qemu-img convert -p -f raw -r 65536 -O raw /dev/fd/3 /dev/fd/4',
  );
});

test.each([
  [
    'echo "qemu-img: /dev/fd/4: No space left on device" >&2; exit 1',
    /^The copy to \/b\/db.raw failed: qemu-img: \/b\/db.raw: No space .*; make room there/,
  ],
  ['exit 3', /^The copy to \/b\/db.raw failed: exit code 3; correct that/],
  ['kill -9 $$', /^The copy to \/b\/db.raw failed: it was ended by SIGKILL/],
  ['exit 127', /^qemu-img is not installed on this server: install qemu-utils/],
])('%s', async (script, text) => {
  await expect(run(script)).rejects.toThrow(text);
});

test('without setpriv', async () => {
  await expect(run('', new Programs(systemClock, path.join(directory, 'none')))).rejects.toThrow(
    /^setpriv is not installed: install util-linux/,
  );
});

test('a cancelled job ends its program', async () => {
  const pid = path.join(directory, 'pid');
  const ended = run(`echo $$ > ${pid}.new; mv ${pid}.new ${pid}; exec sleep 600`);
  const rejected = expect(ended).rejects.toBeInstanceOf(JobEnds);
  await vi.waitFor(() => expect(fs.existsSync(pid)).toBe(true), { timeout: 30_000 });
  cancelled = true;
  await rejected;
  expect(fs.existsSync(`/proc/${fs.readFileSync(pid, 'utf8').trim()}`)).toBe(false);
});

test('a program that tells no progress is ended, with a small limit later', async () => {
  const clock = new FakeClock();
  const programs = new Programs(clock, `${directory}:/usr/bin:/bin`);
  const ended = run('exec sleep 600', programs, 65_536);
  const rejected = expect(ended).rejects.toThrow(/^qemu-img has made no progress for .*: check the storage of \/b\/db.raw/);
  clock.advance(PROGRAM_SILENT_MS);
  expect(clock.timersPending).toBe(1);
  clock.advance((BYTES / 100 / 32_768) * 1_000 + 2 * PROGRAM_LOOK_MS);
  clock.advance(PROGRAM_KILL_WAIT_MS);
  await rejected;
});

test('no more than the bound run at once', async () => {
  const programs = new Programs(systemClock, `${directory}:/usr/bin:/bin`);
  const running = Array.from({ length: PROGRAMS_MAX }, () => run('exec sleep 600', programs).catch(() => undefined));
  await expect(run('exit 0', programs)).rejects.toBeInstanceOf(JobEnds);
  cancelled = true;
  await Promise.all(running);
  cancelled = false;
  await run('exit 0', programs);
});

test.each([
  ['leaked clusters', 3, '{"image-end-offset": 100, "allocated-clusters": 1}', null],
  [
    'a damaged table',
    2,
    'ERROR: wrong refcount',
    /^disk.qcow2 does not pass qemu-img check: ERROR in disk.qcow2; ERROR: 2 errors; give another$/,
  ],
  [
    'a cut in the last cluster',
    0,
    '{"image-end-offset": 65536, "allocated-clusters": 1}',
    /it was cut: its last cluster ends at byte 65536/,
  ],
  ['an empty disk', 0, '{"image-end-offset": 65536, "allocated-clusters": 0}', null],
  ['compressed clusters', 0, '{"image-end-offset": 65536, "allocated-clusters": 1, "compressed-clusters": 1}', null],
  ['no qemu-img', 127, '', /qemu-img is not installed/],
])('a check of a file with %s', async (_, code, out, message) => {
  const list = path.join(directory, 'list');
  const script = `echo "$@" > ${list}; echo '${out}'; [ ${code} != 2 ] || printf 'ERROR in /dev/fd/3\nERROR: 2 errors\n' >&2; exit ${code}`;
  fs.writeFileSync(path.join(directory, 'setpriv'), `#!/bin/sh\n${script}\n`, { mode: 0o700 });
  const file = await fs.promises.open(path.join(directory, 'setpriv'), 'r');
  try {
    const programs = new Programs(systemClock, `${directory}:/usr/bin:/bin`);
    const checked = programs.check({ job: job(), user: null, file, text: 'disk.qcow2', remedy: 'give another' });
    await (message === null ? checked : expect(checked).rejects.toThrow(message));
    expect(fs.readFileSync(list, 'utf8')).toContain('qemu-img check --output=json -f qcow2 /dev/fd/3');
  } finally {
    await file.close();
  }
});
