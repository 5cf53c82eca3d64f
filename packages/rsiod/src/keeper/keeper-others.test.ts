// Tests, with real processes (testing/main-process.ts), a keeper that holds descriptors of processes other than its child: the descriptors
// outlive all these processes, and later processes inherit them. Also tests keepers and children of older releases. Skipped without Perl.

import { spawn, type SpawnOptions, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, it, type TestContext, vi } from 'vitest';
import { needPrograms } from '@rsio/base/testing/needs';
import { useProgram } from '@rsio/base/testing/program-file';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { helperFile } from '../sys/helper-files.ts';
import { inheritCommand } from './inherit-command.ts';
import { keeperAbove, keeperArguments } from './keeper-choice.ts';
import { KEPT_DEVICES_MAX } from './limits.ts';

const program = useProgram(new URL('testing/main-process.ts', import.meta.url));

// The bundled program must find the helpers in the same relative folder as the product does.
beforeAll(() => symlinkSync(path.dirname(helperFile('inherit.pl')), path.join(path.dirname(program()), '../../helpers')));

const US = { keeper: process.pid, parent: process.pid };
const WAIT = { timeout: 30_000, interval: 50 };

let folder: string;
let stop: () => void;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'rsio-keeper-'));
  stop = () => undefined;
});

afterEach(async () => {
  stop();
  await removeFolder(folder);
});

/** Runs the program under a keeper, by default the current one. Returns its exit code and stderr. */
async function run(keeperFile = helperFile('keeper.pl')): Promise<[number | null, string]> {
  const words = keeperArguments(process.arch, {
    // A keeper in the foreground passes on the stderr of its child.
    isBound: true,
    starterFd: null,
    logFile: path.join(folder, 'log'),
    node: 'big-2',
    command: [process.execPath, program(), 'main', folder],
  })!;
  const options: SpawnOptions = { stdio: ['ignore', 'ignore', 'pipe'] };
  const keeper = spawn('perl', [keeperFile, ...words.slice(1)], options);
  stop = () => keeper.kill('SIGKILL');
  let errors = '';
  keeper.stderr?.on('data', (bytes: Buffer) => (errors += bytes.toString()));
  const [code] = (await once(keeper, 'close')) as [number | null];
  return [code, errors];
}

function said(): unknown[] {
  const file = path.join(folder, 'said');
  const lines = existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n') : [];
  return lines.map((line) => Object.values(JSON.parse(line) as object));
}

/** Opens a file with a text. */
function fileWith(text: string): number {
  const file = path.join(folder, text);
  writeFileSync(file, text);
  return openSync(file, 'r');
}

/** Skips a test whose programs copy descriptors from a process that is not their child. */
function needCopies(context: TestContext): void {
  needPrograms(context, 'perl');
  const scope = '/proc/sys/kernel/yama/ptrace_scope';
  const isFree = process.getuid?.() === 0 || !existsSync(scope) || readFileSync(scope, 'utf8').trim() === '0';
  context.skip(!isFree, 'needs root, or kernel.yama.ptrace_scope = 0');
}

it('descriptors of a killed process are inherited by the next one, with the data in them, also after a crash of the child', async (context) => {
  needCopies(context);
  const [code, errors] = await run();
  expect(errors).toMatch(/^Cannot get descriptor 9999 of the keeper \(pid \d+\): Bad file descriptor\n$/);
  expect(code).toBe(5);
  expect(said()).toEqual([
    ['kept', []],
    ['able', true],
    ['failed', 'The keeper cannot hold the device (errno 9)'],
    ['failed', 'The keeper cannot hold the device (errno 1)'],
    ['failed', 'The keeper cannot hold the device (errno 1)'],
    ['failed', expect.stringMatching(/^The keeper cannot name the descriptors of devices \d+, 999 \(errno 2\)$/)],
    ['many', KEPT_DEVICES_MAX],
    ['inherited', ['data in the socket', 'content of the file', 'stays', 2]],
    ['told', 'done'],
    ['kept', ['file', 'socket of it']],
    ['able', true],
    // The socket is empty, because the process that inherited it first has read the data.
    ['inherited', ['', 'content of the file', 'stays', 2]],
    ['told', 'done'],
    ['code', 126],
  ]);
});

it('a keeper of an older release is asked nothing that it does not know, and the error names the remedy', async (context) => {
  needPrograms(context, 'perl');
  // The first release of the keeper did not have these verbs, and did not report its version.
  let older = readFileSync(helperFile('keeper.pl'), 'utf8');
  for (const [now, before] of [
    [' $life $version"', ' $life"'],
    ["eq 'keep-of'", "eq 'unknown'"],
    ["eq 'at'", "eq 'unknown'"],
  ] as const) {
    expect(older).toContain(now);
    older = older.replaceAll(now, before);
  }
  writeFileSync(path.join(folder, 'older.pl'), older);
  expect(await run(path.join(folder, 'older.pl'))).toEqual([5, '']);
  const refusal =
    'The keeper is of an older version and holds no devices of other processes: unmount its devices, and stop and start rsiod (a restart keeps the keeper)';
  expect(said()).toEqual([['kept', []], ['able', false], ['failed', refusal], ['failed', refusal]]); // biome-ignore format: pairs
});

it('the variable of the keeper has a version that older children ignore, and older keepers have version 1', () => {
  expect(keeperAbove({ RSIO_KEEPER: '4 2 2' })).toEqual({ fd: 4, life: 2, version: 2 });
  expect(keeperAbove({ RSIO_KEEPER: '4 2' })).toEqual({ fd: 4, life: 2, version: 1 });
  const [fd, life] = '4 2 2'.split(' ').map(Number);
  expect([fd, life]).toEqual([4, 2]);
});

it('descriptors are inherited in the wanted order, whatever numbers are in use', (context) => {
  needCopies(context);
  const command = ['sh', '-c', 'cat <&4; cat <&5; cat <&6; test -e /proc/self/fd/7 || echo none'];
  // Without an IPC channel, descriptor 3 is free.
  for (const stdio of [
    ['ignore', 'pipe', 'pipe'],
    ['ignore', 'pipe', 'pipe', 'pipe', 'pipe', 'pipe'],
  ] as const) {
    const [first, second, third] = ['first ', 'second ', 'third '].map(fileWith) as [number, number, number];
    const words = inheritCommand({ ...US, places: [third, first, second] }, command).slice(1);
    const { stdout, stderr } = spawnSync('perl', words, { stdio: [...stdio], encoding: 'utf8' });
    expect([stdout, stderr]).toEqual(['third first second none\n', '']);
    for (const fd of [first, second, third]) closeSync(fd);
  }
  expect(spawnSync('perl', inheritCommand({ ...US, keeper: 0, places: [4] }, command).slice(1), { encoding: 'utf8' }).stderr).toBe(
    'Cannot open the keeper (pid 0): Invalid argument\n',
  );
});

it('a process that is started so ends with its parent, also if it is stopped', async (context) => {
  needCopies(context);
  const heir = inheritCommand({ ...US, parent: 0, places: [] }, ['sleep', '60']);
  // The parent must be the shell, because the helper refuses any other parent.
  expect(spawnSync(heir[0]!, heir.slice(1)).status).toBe(126);
  const words = heir.map((word, at) => (at === 3 ? '"$$"' : `'${word}'`)).join(' ');
  const shell = spawn('sh', ['-c', `${words} & echo $!; read line`], { stdio: ['pipe', 'pipe', 'ignore'] });
  const pid = Number(await new Promise<string>((resolve) => shell.stdout.setEncoding('utf8').once('data', resolve)));
  const stateOf = (): string => {
    try {
      return /\) (\w)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1] ?? 'gone';
    } catch {
      return 'gone';
    }
  };
  await vi.waitFor(() => expect(readFileSync(`/proc/${pid}/cmdline`, 'utf8')).toBe('sleep\x0060\0'), WAIT);
  process.kill(pid, 'SIGSTOP');
  shell.kill('SIGKILL');
  await vi.waitFor(() => expect(['gone', 'Z']).toContain(stateOf()), WAIT);
});

it('the program is Perl, and an unknown architecture is refused', () => {
  const found = inheritCommand({ keeper: 7, parent: 8, places: [9, 4] }, ['node', 'main.js'], 'x64');
  expect(found).toEqual(['perl', helperFile('inherit.pl'), '157', '8', '7', '9,4', 'node', 'main.js']);
  expect(() => inheritCommand({ ...US, places: [] }, [], 'mips')).toThrow(/mips/);
});
