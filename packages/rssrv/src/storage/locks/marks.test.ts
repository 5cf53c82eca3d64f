// Tests real marks: while a range helper has a file open for writing, another descriptor of the file shows its mark, and the process with
// the mark is found. Rules: N11 in docs/GUARANTEES.md.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { systemClock } from '@rsio/base/lib/clock';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { needPrograms } from '@rsio/base/testing/needs';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { RangeHelper } from '../files/range-helper.ts';
import { takeLocks } from './file-locks.ts';
import { markHolders, markName } from './mark-holders.ts';
import { removeFolder } from '@rsio/base/testing/remove-folder';

let directory = '';
let opened: number[] = [];

beforeEach((context) => needPrograms(context, 'perl'));
beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rssrv-marks-'));
  opened = [];
});
afterEach(async () => {
  for (const descriptor of opened) fs.closeSync(descriptor);
  await removeFolder(directory);
});

function open(name: string, flags: string): number {
  const descriptor = fs.openSync(path.join(directory, name), flags);
  opened.push(descriptor);
  return descriptor;
}

/** Returns the leader of the process session to which this process and its children belong. */
const session = (): number =>
  Number(
    fs
      .readFileSync('/proc/self/stat', 'latin1')
      .replace(/^.*\) /, '')
      .split(' ')[3],
  );

test('the mark of a range helper is found with its process, and goes with the open file', async () => {
  const helper = new RangeHelper({ clock: systemClock, onLost: () => undefined });
  const file = fs.openSync(path.join(directory, 'marked'), 'w+');
  const [marked, read] = [await helper.attach(file, true, false), await helper.attach(open('read', 'w+'), false, false)];
  const again = open('marked', 'r');
  const looks = [again, open('read', 'r')].map((descriptor) => ({ descriptor, shared: false, isLook: true as const }));
  const names = ['marked', 'read'].map((name) => markName(fs.statSync(path.join(directory, name), { bigint: true })));
  expect(await takeLocks(looks)).toEqual(['marked', 'held']);
  // Requests for locks also find the mark, whether the lock is exclusive or shared.
  expect(await takeLocks([false, true].map((shared) => ({ descriptor: again, shared })))).toEqual(['marked', 'marked']);
  const holders = markHolders(new Set(names));
  expect([...holders.keys()]).toEqual([names[0]]);
  expect([session(), ...helpers()]).toContain(holders.get(names[0] ?? ''));
  await marked?.detach();
  fs.closeSync(file);
  expect(await takeLocks(looks)).toEqual(['held', 'held']);
  expect(markHolders(new Set(names)).size).toBe(0);
  await read?.detach();
});

test('the mark stays when its helper is killed, as long as the process has the file open, because it may be writing', async (context) => {
  const isPermitted = spawnSync('perl', ['-e', 'exit(syscall(438, syscall(434, getppid(), 0), 0, 0) < 0)']).status === 0;
  context.skip(!isPermitted, 'needs a kernel that lets a process take over open files (Linux 5.6, no stricter rules for ptrace)');
  let isLost = false;
  const helper = new RangeHelper({ clock: new FakeClock(), onLost: () => (isLost = true) });
  const file = fs.openSync(path.join(directory, 'marked'), 'w+');
  await helper.attach(file, true, false);
  for (const pid of helpers()) process.kill(pid, 'SIGKILL');
  await vi.waitFor(() => expect(isLost).toBe(true));
  const look = [{ descriptor: open('marked', 'r'), shared: false, isLook: true as const }];
  expect(await takeLocks(look)).toEqual(['marked']);
  fs.closeSync(file);
  expect(await takeLocks(look)).toEqual(['held']);
});

test('a server process that has a mark itself, because its helper has ended, is found', async () => {
  const name = markName(fs.fstatSync(open('marked', 'w+'), { bigint: true }));
  const script = `open(my $file, '+<', $ARGV[0]) or die; my $lock = pack('s s x4 q q l x4', 0, 0, 1 << 62, 1, 0); fcntl($file, 37, $lock) or die;
    open(my $name, '>', '/proc/self/comm') or die; print $name 'rssrv: big-2'; close($name); $| = 1; print "ready"; <STDIN>;`;
  const child = spawn('perl', ['-e', script, path.join(directory, 'marked')], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  expect(markHolders(new Set([name]))).toEqual(new Map([[name, child.pid]]));
  child.stdin.end();
  await once(child, 'close');
  expect(markHolders(new Set([name])).size).toBe(0);
});

test('without perl it is not known whether a file has a mark', async () => {
  expect(await takeLocks([{ descriptor: open('file', 'w+'), shared: false, isLook: true }], '/nowhere/perl')).toEqual(['unavailable']);
});

/** Pids of the perl programs that this process has started. */
function helpers(): number[] {
  const pids = fs.readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && isChild(pid));
  return pids.map(Number);
}

/**
 * Returns true if the process is a perl program that this process has started. The name is checked, because a test file that ran earlier in
 * this process may have left a child that is not a helper.
 */
function isChild(pid: string): boolean {
  try {
    const [, name, parent] = /^\d+ \((.*)\) \S+ (\d+) /.exec(fs.readFileSync(`/proc/${pid}/stat`, 'latin1')) ?? [];
    return name === 'perl' && Number(parent) === process.pid;
  } catch {
    return false;
  }
}
