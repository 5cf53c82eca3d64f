// Tests real marks and locks: while a file is open for writing in a worker, another descriptor of the file shows its mark, and the process
// with the mark is found. Also tests which end of a descriptor or process ends a lock, and storage that does not answer. Rules: N11 in
// docs/GUARANTEES.md.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { systemClock } from '@rsio/base/lib/clock';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { needPrograms } from '@rsio/base/testing/needs';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { BoundedCalls } from '../../machine/bounded-calls.ts';
import { type FileCalls, fileCalls } from '../../machine/file-calls.ts';
import { FILE_CALL_WAIT_MS, FILE_CALLS_PER_DEVICE_MAX } from '../../machine/limits.ts';
import { areLockable, takeLocks } from './file-locks.ts';
import { markHolders, markName } from './mark-holders.ts';

const { EAGAIN, ENOLCK } = os.constants.errno;
/** Types of file systems, as statfs returns them: btrfs, ext4, tmpfs, XFS. */
const LOCAL: readonly number[] = [0x9123683e, 0xef53, 0x01021994, 0x58465342];
let directory = '';
let opened: number[] = [];

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

const mark = (descriptor: number): Promise<string | null> => new Promise((resolve) => fileCalls().mark(descriptor, resolve));
const look = (descriptor: number) => [{ descriptor, shared: false, isLook: true as const }];
const copies = (): number => fs.readdirSync('/proc/self/fd').filter((fd) => targetOf(fd).startsWith(directory)).length;

function targetOf(fd: string): string {
  try {
    return fs.readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return '';
  }
}

test('a mark is seen through every other open file description, and by locks, and goes with the last descriptor of its own', async () => {
  const file = fs.openSync(path.join(directory, 'marked'), 'w+');
  expect(await mark(file)).toBeNull();
  const again = open('marked', 'r');
  expect(await takeLocks([...look(again), ...look(open('other', 'w+'))])).toEqual(['marked', 'held']);
  // Requests for locks also find the mark, whether the lock is exclusive or shared.
  expect(await takeLocks([false, true].map((shared) => ({ descriptor: again, shared })))).toEqual(['marked', 'marked']);
  // Locks of a process would end here, because a descriptor of the file is closed.
  fs.closeSync(fs.openSync(path.join(directory, 'marked'), 'r'));
  const copy = fileCalls().copyOf(file);
  fs.closeSync(file);
  expect(await takeLocks(look(again))).toEqual(['marked']);
  fs.closeSync(copy);
  expect(await takeLocks(look(again))).toEqual(['held']);
});

test('on a file system of this machine, a look is made at once, finds the same, and needs no turn of the bounded calls', async (context) => {
  const { type } = fs.statfsSync(directory);
  context.skip(!LOCAL.includes(type), `${directory} is on another file system`);
  const isMarked = vi.fn(fileCalls().isMarked);
  const calls = new BoundedCalls(new FakeClock(), { ...fileCalls(), isMarked });
  const file = open('marked', 'w+');
  expect(await mark(file)).toBeNull();
  const looks = [open('marked', 'r'), open('other', 'w+')].flatMap(look);
  const { dev } = fs.fstatSync(file, { bigint: true });
  const atOnce = takeLocks(
    looks.map((one) => ({ ...one, device: dev })),
    calls,
  );
  expect([await atOnce, isMarked.mock.calls.length]).toEqual([['marked', 'held'], 0]);
  // Without the device number, or on another file system, another thread asks.
  expect([await takeLocks(looks, calls), isMarked.mock.calls.length]).toEqual([['marked', 'held'], 2]);
  const elsewhere = fs.openSync('/proc/self/status', 'r');
  opened.push(elsewhere);
  const ofProc = look(elsewhere).map((one) => ({ ...one, device: fs.fstatSync(elsewhere, { bigint: true }).dev }));
  expect([await takeLocks(ofProc, calls), isMarked.mock.calls.length]).toEqual([['held'], 3]);
  // A lock is never taken in this thread, because its caller may wait.
  expect([await takeLocks([{ descriptor: file, shared: false, device: dev }], calls), isMarked.mock.calls.length]).toEqual([['held'], 4]);
});

test('a mark that rssrv 0.2.0 has set, with its helper, is found with its server process', async (context) => {
  needPrograms(context, 'perl');
  const descriptor = open('marked', 'w+');
  const name = markName(fs.fstatSync(descriptor, { bigint: true }));
  const script = `open(my $file, '+<', $ARGV[0]) or die; my $lock = pack('s s x4 q q l x4', 0, 0, 1 << 62, 1, 0); fcntl($file, 37, $lock) or die;
    open(my $name, '>', '/proc/self/comm') or die; print $name 'rssrv: big-2'; close($name); $| = 1; print "ready"; <STDIN>;`;
  const child = spawn('perl', ['-e', script, path.join(directory, 'marked')], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  expect([await takeLocks(look(descriptor)), markHolders(new Set([name]))]).toEqual([['marked'], new Map([[name, child.pid]])]);
  child.stdin.end();
  await once(child, 'close');
  expect([await takeLocks(look(descriptor)), markHolders(new Set([name])).size]).toEqual([['held'], 0]);
});

test('a lock is that of flock(1), stays when other descriptors are closed, and ends with its own', async (context) => {
  needPrograms(context, 'flock');
  const isFree = async (): Promise<boolean> => {
    const child = spawn('flock', ['-n', path.join(directory, 'locked'), 'true']);
    return (await once(child, 'exit'))[0] === 0;
  };
  const descriptor = fs.openSync(path.join(directory, 'locked'), 'w+');
  expect([await takeLocks([{ descriptor, shared: false }]), await isFree(), copies()]).toEqual([['held'], false, 1]);
  fs.closeSync(fs.openSync(path.join(directory, 'locked'), 'r+'));
  expect(await takeLocks([{ descriptor: open('locked', 'r'), shared: true }])).toEqual(['taken']);
  expect([await areLockable([path.join(directory, 'locked')]), await isFree()]).toEqual([[true], false]);
  fs.closeSync(descriptor);
  expect(await isFree()).toBe(true);
});

test('a process that is killed frees its locks and its marks', async () => {
  const file = path.join(directory, 'file');
  fs.writeFileSync(file, '');
  const program = `import fs from 'node:fs';
    const { fileCalls } = await import(${JSON.stringify(new URL('../../machine/file-calls.ts', import.meta.url).href)});
    const [locked, marked] = [0, 1].map(() => fs.openSync(${JSON.stringify(file)}, 'r+'));
    const errno = await fileCalls().flock(locked, 'exclusive');
    fileCalls().mark(marked, (failed) => console.log(errno, failed));
    setInterval(() => undefined, 1000);`;
  const args = ['--conditions=@rsio/source', '--import', 'tsx', '--input-type=module', '-e', program];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  expect(String((await once(child.stdout, 'data'))[0])).toBe('0 null\n');
  const descriptor = open('file', 'r+');
  expect(await takeLocks(look(descriptor))).toEqual(['marked']);
  expect(await fileCalls().flock(descriptor, 'exclusive')).toBe(EAGAIN);
  child.kill('SIGKILL');
  await once(child, 'close');
  expect(await takeLocks([{ descriptor, shared: false }])).toEqual(['held']);
});

test('storage without locks is unavailable, and a process without free descriptors does not lock', async () => {
  const without: Partial<FileCalls> = { flock: async () => ENOLCK };
  const full: Partial<FileCalls> = {
    copyOf: () => {
      throw Object.assign(new Error('fcntl failed with EMFILE'), { code: 'EMFILE' });
    },
  };
  const request = { descriptor: open('file', 'w+'), shared: false };
  const outcomes = [without, full].map((calls) => takeLocks([request], new BoundedCalls(new FakeClock(), { ...fileCalls(), ...calls })));
  expect(await Promise.all(outcomes)).toEqual([['unavailable'], ['unavailable']]);
  const calls = new BoundedCalls(systemClock, { ...fileCalls(), ...without });
  expect(
    await areLockable(
      ['file', 'none'].map((name) => path.join(directory, name)),
      calls,
    ),
  ).toEqual([false, true]);
});

test('storage that does not answer is silent in time, takes few threads, and locks nothing later', async () => {
  const clock = new FakeClock();
  const answers: (() => void)[] = [];
  const flock = vi.fn(fileCalls().flock);
  const isMarked = vi.fn((_copy: number) => new Promise<boolean>((resolve) => answers.push(() => resolve(false))));
  const calls = new BoundedCalls(clock, { ...fileCalls(), isMarked, flock });
  const descriptor = open('hung', 'w+');
  const rounds = Array.from({ length: FILE_CALLS_PER_DEVICE_MAX + 2 }, () =>
    takeLocks([{ descriptor, shared: false }, ...look(descriptor)], calls),
  );
  await vi.waitFor(() => expect(answers).toHaveLength(FILE_CALLS_PER_DEVICE_MAX));
  clock.advance(FILE_CALL_WAIT_MS);
  expect(await Promise.all(rounds)).toEqual(rounds.map(() => ['silent', 'silent']));
  expect([isMarked.mock.calls.length, copies()]).toEqual([FILE_CALLS_PER_DEVICE_MAX, 1 + FILE_CALLS_PER_DEVICE_MAX]);
  // The number of a copy cannot be reused while its call runs, so a late call meets no other file.
  for (const [copy] of isMarked.mock.calls) expect(targetOf(String(copy))).toBe(path.join(directory, 'hung'));
  for (const answer of answers) answer();
  await vi.waitFor(() => expect(copies()).toBe(1));
  expect(flock).not.toHaveBeenCalled();
});
