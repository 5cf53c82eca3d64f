// Tests the keeper with real processes: the descriptors that it holds, and the restarts of its child, which is a short Node script. Skipped
// without Perl. test/integration/keeper.test.ts tests devices with a keeper.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { keeperAbove, keeperArguments, keeperFor } from './keeper-choice.ts';
import { KEEPER_STARTS_MAX, KEEPER_SILENCE_SECONDS } from './limits.ts';
import path from 'node:path';
import { needPrograms } from '@rsio/base/testing/needs';
import { removeFolder } from '@rsio/base/testing/remove-folder';

const WAIT_MS = 60_000;
const POLL_MS = 20;
const PATIENCE_SECONDS = 2;

let folder: string;
let keeper: ChildProcess | null;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'rsio-keeper-'));
  keeper = null;
});

afterEach(async () => {
  keeper?.kill('SIGKILL');
  await removeFolder(folder);
});

/**
 * Runs `body` as the child. The script can use `fd`, `run` (the number of the child), `say(line)`, `note(text)` (writes to the file `said`)
 * and `heard(verb, then)`.
 */
function begin(body: string, runs = KEEPER_STARTS_MAX, patience = KEEPER_SILENCE_SECONDS): ChildProcess {
  const script = path.join(folder, 'child.cjs');
  writeFileSync(
    script,
    `const fs = require('node:fs');
    const [fd, run] = process.env.RSIO_KEEPER.split(' ').map(Number);
    const say = (line) => fs.writeSync(fd, line + '\\n');
    const note = (text) => fs.appendFileSync(${JSON.stringify(path.join(folder, 'said'))}, text + '\\n');
    const hooks = new Map();
    const heard = (verb, then) => hooks.set(verb, then);
    let text = '';
    const link = new (require('node:net').Socket)({ fd, readable: true, writable: true });
    link.on('data', (bytes) => {
      text += bytes;
      for (let end; (end = text.indexOf('\\n')) >= 0; ) {
        const line = text.slice(0, end);
        text = text.slice(end + 1);
        note(run + ' heard ' + line);
        hooks.get(line.split(' ')[0])?.(line.split(' '));
      }
    });
    ${body}`,
  );
  const words = keeperArguments(process.arch, {
    isBound: false,
    starterFd: null,
    logFile: path.join(folder, 'log'),
    node: 'big-2',
    command: [process.execPath, script],
  })!;
  // Replaces the six limits in the arguments with others, most of them short.
  const at = words.indexOf('big-2') + 1;
  words.splice(at, 6, String(runs), '60000', '1', '20', '1', String(patience));
  keeper = spawn('perl', words, { stdio: 'ignore' });
  return keeper;
}

function said(): string[] {
  const file = path.join(folder, 'said');
  return existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n') : [];
}

async function until<T>(look: () => T | undefined | false, what: string): Promise<T> {
  const endMs = performance.now() + WAIT_MS;
  for (;;) {
    const found = look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > endMs) throw new Error(`Waited in vain: ${what}; ${said().join(' | ')}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function ended(process: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => process.on('exit', (code) => resolve(code)));
}

it(
  'kept descriptors reach the next child with their last note, also after its predecessor ends; dropped ones do not',
  async (context) => {
    needPrograms(context, 'perl');
    const open = begin(`
      if (run === 1) {
        const files = ['a', 'b', 'c'].map((name) => fs.openSync(${JSON.stringify(folder)} + '/' + name, 'w+'));
        fs.writeSync(files[0], 'content of a');
        heard('life', () => files.forEach((file, at) => say('keep ' + (at + 1) + ' ' + file + ' {"name": "' + 'abc'[at] + '"}')));
        let count = 0;
        heard('ok', () => {
          if (++count < 3) return;
          say('note 1 another note of a');
          say('drop 2');
        });
        heard('gone', () => { say('ready'); process.kill(process.pid, 'SIGKILL'); });
      } else {
        heard('kept', ([, at, id]) => note('file ' + id + ' ' + fs.readlinkSync('/proc/self/fd/' + at).slice(-1) + ' ' + fs.readSync(+at, Buffer.alloc(99), 0, 99, 0)));
        heard('life', () => { if (run < 3) process.exit(7); note(process.env.MALLOC_MMAP_THRESHOLD_); say('farewell'); process.exit(5); });
      }`);
    expect(await ended(open)).toBe(5);
    for (const run of [2, 3]) {
      expect(said()).toEqual(expect.arrayContaining([expect.stringMatching(new RegExp(`^${run} heard kept \\d+ 1 another note of a$`))]));
      expect(said()).toEqual(expect.arrayContaining([expect.stringMatching(new RegExp(`^${run} heard kept \\d+ 3 {"name": "c"}$`))]));
    }
    expect(said().filter((line) => line.startsWith('file'))).toEqual(['file 1 a 12', 'file 3 c 0', 'file 1 a 12', 'file 3 c 0']);
    // Children of releases before protocol version 2 understand only these lines.
    const verbs = said().flatMap((line) => /^\d heard (\S+)/.exec(line)?.[1] ?? []);
    expect([...new Set(verbs)].toSorted()).toEqual(['gone', 'kept', 'life', 'ok']);
    expect(said()).toContain('2 heard life 2 signal 9');
    expect(said()).toContain('3 heard life 3 exit code 7');
    // The keeper sets this malloc threshold. With the default threshold, the memory of 64 KiB requests would not be returned to the system.
    expect(said().at(-1)).toBe('65536');
  },
  WAIT_MS,
);

it(
  'a child that ends before it is ready is not restarted; one that keeps ending is restarted a limited number of times, and the log says so',
  async (context) => {
    needPrograms(context, 'perl');
    expect(await ended(begin('process.exit(3)'))).toBe(3);
    expect(said()).toEqual([]);
    const failing = begin("heard('life', () => { say('ready'); process.exit(4); })", 4);
    expect(await ended(failing)).toBe(1);
    expect(said().filter((line) => line.includes('heard life'))).toHaveLength(4);
    expect(ends()).toEqual(['ended with exit code 3', ...Array.from({ length: 4 }, () => 'ended with exit code 4')]);
    expect(JSON.parse(logged().trimEnd().split('\n').at(-1) ?? '')).toMatchObject({
      level: 'error',
      node: 'big-2',
      msg: 'The working process ended 4 times in a row, the last time by exit code 4: it is not restarted, and devices fail. Start rsiod again',
    });
  },
  WAIT_MS,
);

function logged(): string {
  const file = path.join(folder, 'log');
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}

/** How each process ended, according to the log. */
function ends(): string[] {
  const lines = logged().trimEnd().split('\n');
  const words = lines.map((line) => (JSON.parse(line) as { msg: string }).msg);
  return words.flatMap((msg) => /^The working process \(pid \d+\) (.*)$/.exec(msg)?.[1] ?? []);
}

it(
  'the log says how a process ended, whatever the cause, with its last line on stderr',
  async (context) => {
    needPrograms(context, 'perl');
    await ended(
      begin(`
      heard('life', () => {
        say('ready');
        if (run === 1) process.kill(process.pid, 'SIGSEGV');
        if (run === 2) setImmediate(() => { throw new Error('a "word" of mine'); });
        if (run === 3) process.abort();
        if (run === 4) { say('again'); process.exit(0); }
        if (run === 5) { say('farewell'); process.exit(0); }
      });`),
    );
    const [first, second, third, ...more] = ends();
    expect(more).toEqual([]);
    expect(first).toBe('was killed by signal SEGV');
    expect(second).toMatch(/^ended with exit code 1: .*Error: a "word" of mine/);
    expect(third).toMatch(/^was killed by signal ABRT/);
  },
  WAIT_MS,
);

it("Perl accepts the keeper's file", (context) => {
  needPrograms(context, 'perl');
  const [file = ''] = keeperArguments('x64', { isBound: false, starterFd: null, logFile: '/log', node: 'big-2', command: [] }) ?? [];
  expect(path.basename(file)).toBe('keeper.pl');
  const { status, stderr } = spawnSync('perl', ['-c', file], { encoding: 'utf8' });
  expect([status, stderr]).toEqual([0, `${file} syntax OK\n`]);
});

it(
  'a hung child is killed and replaced; a stopped one is only reported, and continues when it is woken',
  async (context) => {
    needPrograms(context, 'perl');
    // The second child answers two questions before it hangs.
    const hanging = begin(
      `heard('life', () => {
        say('ready watched');
        if (run === 2) { say('farewell'); process.exit(5); }
        say('keep 1 0 {}');
      });
      let answers = 0;
      heard('alive?', () => {
        say('alive');
        if (++answers === 2) for (;;);
      });`,
      KEEPER_STARTS_MAX,
      PATIENCE_SECONDS,
    );
    expect(await ended(hanging)).toBe(5);
    expect(said()).toContain('2 heard life 2 signal 9');
    expect(logged()).toMatch(/The working process \(pid \d+\) hangs: it has not answered for 2 s\. It is killed and restarted/);
    const stopped = begin(
      `heard('life', () => {
        say('ready watched');
        say('keep 1 0 {}');
        note('pid ' + process.pid);
        process.kill(process.pid, 'SIGSTOP');
        setImmediate(() => { note('woken in run ' + run); say('farewell'); process.exit(6); });
      });`,
      KEEPER_STARTS_MAX,
      PATIENCE_SECONDS,
    );
    const end = ended(stopped);
    await until(() => /has not answered for 2 s and is in state T/.test(logged()), 'the log reports it');
    process.kill(
      Number(
        said()
          .find((line) => line.startsWith('pid'))
          ?.slice(4),
      ),
      'SIGCONT',
    );
    expect(await end).toBe(6);
    expect(said()).toContain('woken in run 1');
  },
  WAIT_MS,
);

it(
  'signals are forwarded, and the child never outlives the keeper',
  async (context) => {
    needPrograms(context, 'perl');
    const running = begin(`
      process.on('SIGHUP', () => note('hup'));
      process.on('SIGTERM', () => { say('farewell'); process.exit(0); });
      heard('life', () => { say('ready'); note('pid ' + process.pid); });`);
    await until(() => said().some((line) => line.startsWith('pid')), 'it is ready');
    running.kill('SIGHUP');
    await until(() => said().includes('hup'), 'SIGHUP');
    const end = ended(running);
    running.kill('SIGTERM');
    expect(await end).toBe(0);
    rmSync(path.join(folder, 'said'));

    const killed = begin("heard('life', () => { say('ready'); note('pid ' + process.pid); }); setInterval(() => undefined, 1000);");
    const pid = await until(
      () =>
        said()
          .find((line) => line.startsWith('pid'))
          ?.slice(4),
      'it is ready',
    );
    killed.kill('SIGKILL');
    await until(() => !existsSync(`/proc/${pid}/exe`) || readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z'), 'the child is gone');
  },
  WAIT_MS,
);

it('a process is a keeper only if its variable says so, and the root is the same for every child', (context) => {
  expect(keeperAbove({})).toBeNull();
  expect(keeperAbove({ RSIO_KEEPER: 'x 1' })).toBeNull();
  expect(keeperAbove({ RSIO_KEEPER: '4 0' })).toBeNull();
  expect(keeperAbove({ RSIO_KEEPER: '4 2' })).toEqual({ fd: 4, life: 2, version: 1 });
  needPrograms(context, 'perl');
  const found = keeperFor({ life: 0, root: '', logFile: '/log', node: 'big-2' });
  if (typeof found !== 'string') expect(found.wrap(['node', 'main.js'], 3, false).slice(-4)).toEqual(['node', 'main.js', '--root', '/']);
});
