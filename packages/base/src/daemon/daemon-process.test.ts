// Tests starting and ending daemons with real processes, which run testing/daemon-fixture.ts. Every wait ends at a condition or a deadline.
// The time limit of a hanging start runs on a fake clock. The test ends every process that it starts.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DAEMON_END_GRACE_MS, DAEMON_START_TIMEOUT_MS } from './limits.ts';
import { FakeClock } from '../testing/fake-clock.ts';
import { useProgram } from '../testing/program-file.ts';
import { startInBackground } from './background-start.ts';
import { removeFolder } from '../testing/remove-folder.ts';

const fixture = useProgram(new URL('../testing/daemon-fixture.ts', import.meta.url));
const DEADLINE_MS = 15_000;
const POLL_MS = 10;

interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

let folder = '';
let started: ChildProcess[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rsio-daemon-'));
  started = [];
});

afterEach(async () => {
  for (const child of started) child.kill('SIGKILL');
  for (const pid of eventsOf('started').map((words) => Number(words[1]))) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
  await eventually(() => eventsOf('started').every((words) => !isAlive(Number(words[1]))));
  await removeFolder(folder);
});

function start(mode: string, ...more: string[]): ChildProcess {
  const child = spawn(process.execPath, [fixture(), mode, folder, ...more], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  started.push(child);
  return child;
}

async function finished(child: ChildProcess): Promise<Finished> {
  const texts = { stdout: '', stderr: '' };
  child.stdout?.on('data', (chunk: Buffer) => (texts.stdout += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (texts.stderr += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, ...texts };
}

async function eventually(condition: () => boolean): Promise<void> {
  const endMs = performance.now() + DEADLINE_MS;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error(`Not within ${DEADLINE_MS} ms; events so far: ${readText('events')}`);
    await delay(POLL_MS);
  }
}

function readText(name: string): string {
  try {
    return readFileSync(join(folder, name), 'utf8');
  } catch {
    return '';
  }
}

function eventsOf(word: string): string[][] {
  return readText('events')
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([first]) => first === word);
}

function pidInFile(): number {
  return Number(readText('pid').split('\n')[0]);
}

/** Returns the session id of a process. The session id of a process that was started detached is its own pid. */
function sessionOf(pid: number): number {
  const [, , , session] = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return Number(session);
}

function isAlive(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

test('the prompt returns when the daemon is ready, with its warnings; the daemon runs on, detached, and ends on SIGTERM', async () => {
  expect(await finished(start('run'))).toEqual({ code: 0, stdout: '', stderr: 'fixture: No server in reach: waiting for one\n' });
  const pid = pidInFile();
  await eventually(() => eventsOf('started').length === 1);
  expect(eventsOf('started')).toEqual([['started', String(pid), 'in', '/']]);
  expect(sessionOf(pid)).toBe(pid);

  process.kill(pid, 'SIGHUP');
  await eventually(() => eventsOf('reload').length === 1);
  process.kill(pid, 'SIGTERM');
  await eventually(() => !isAlive(pid));
  expect(eventsOf('stop')).toEqual([['stop', 'SIGTERM']]);
  expect(readText('pid')).toBe('');
});

test('a second daemon is refused, naming the first, in the background and in the foreground', async () => {
  await finished(start('run'));
  const pid = pidInFile();
  const sentence = `fixture: fixture is already running as pid ${pid} (${join(folder, 'pid')}): `;
  for (const more of [[], ['--foreground']]) {
    const { code, stderr } = await finished(start('run', ...more));
    expect(code).toBe(1);
    expect(stderr).toContain(sentence);
    expect(stderr).toMatch(/\[E_ALREADY_RUNNING\]\n$/);
  }
  expect(pidInFile()).toBe(pid);
});

test('of several simultaneous starts with a stale pid file exactly one wins', async () => {
  await finished(start('run'));
  // The daemon reports `started` after the prompt has returned.
  await eventually(() => eventsOf('started').length === 1);
  process.kill(pidInFile(), 'SIGKILL');
  const results = await Promise.all([1, 2, 3, 4].map(() => finished(start('run'))));
  expect(results.filter(({ code }) => code === 0)).toHaveLength(1);
  expect(results.filter(({ stderr }) => stderr.includes('[E_ALREADY_RUNNING]'))).toHaveLength(3);
  await eventually(() => eventsOf('started').length === 2);
  expect(eventsOf('started')[1]?.[1]).toBe(String(pidInFile()));
});

test.each([
  ['fail', 'fixture: Address 127.0.0.1:5000 is in use: stop its user [E_ADDRESS_IN_USE]\n'],
  ['crash', 'fixture: Volume oracle fell over [E_VOLUME]\n'],
  ['quit', 'fixture: fixture ended before it was ready (exit code 0): see why with --foreground [E_INTERNAL]\n'],
])('a start in the background that does %s says why, exit code 1, and leaves no pid file', async (mode, stderr) => {
  expect(await finished(start(mode))).toEqual({ code: 1, stdout: '', stderr });
  expect(readText('pid')).toBe('');
});

test('in the foreground the daemon stays and ends on SIGINT with exit code 0', async () => {
  const child = start('run', '--foreground');
  const end = finished(child);
  await eventually(() => eventsOf('started').length === 1);
  expect(pidInFile()).toBe(child.pid);
  child.kill('SIGINT');
  expect(await end).toEqual({ code: 0, stdout: '', stderr: 'fixture: No server in reach: waiting for one\n' });
  expect(readText('pid')).toBe('');
});

test('a start whose caller has ended is abandoned', async () => {
  const child = start('slow');
  await eventually(() => eventsOf('started').length === 1);
  child.kill('SIGKILL');
  await eventually(() => !isAlive(Number(eventsOf('started')[0]?.[1])));
  expect(readText('events')).toContain('stop its starter went away\n');
  expect(readText('pid')).toBe('');
});

test('a start that hangs is ended after DAEMON_START_TIMEOUT_MS, by force after the grace period', async () => {
  const clock = new FakeClock();
  const start = { program: 'fixture', command: [process.execPath, fixture(), 'hang', folder], note: () => {} };
  const outcome = startInBackground(start, clock).catch((error: unknown) => error);
  await eventually(() => eventsOf('started').length === 1);
  const pid = Number(eventsOf('started')[0]?.[1]);

  clock.advance(DAEMON_START_TIMEOUT_MS - 1);
  expect(clock.timersPending).toBe(1);
  clock.advance(1);
  await eventually(() => eventsOf('stop').length === 1);
  expect(isAlive(pid)).toBe(true);
  clock.advance(DAEMON_END_GRACE_MS);
  expect(await outcome).toMatchObject({ code: 'E_TIMEOUT' });
  expect(isAlive(pid)).toBe(false);
  expect(clock.timersPending).toBe(0);
});
