// Tests the facts about real processes: a child with a misleading name, a zombie, and a process that has ended. pid-file.test.ts tests the
// use of these facts.

import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterEach, expect, test, vi } from 'vitest';
import { needPrograms } from '../testing/needs.ts';
import { useProgram } from '../testing/program-file.ts';
import { bootId, processesOfSession, startTicksOf } from './process-facts.ts';

const module = useProgram(new URL('./process-facts.ts', import.meta.url));
const UNTIL = { timeout: 60_000, interval: 5 };
const children: ChildProcess[] = [];

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

function start(program: string, args: readonly string[]): ChildProcess & { readonly pid: number } {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  children.push(child);
  if (child.pid === undefined) throw new Error(`${program} did not start`);
  return Object.assign(child, { pid: child.pid });
}

test('the boot id is the same for every process', () => {
  expect(bootId()).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  expect(bootId()).toBe(execFileSync('cat', ['/proc/sys/kernel/random/boot_id'], { encoding: 'utf8' }).trim());
});

test('a process started later has later ticks, whatever its name', async () => {
  const own = Number(startTicksOf(process.pid));
  const child = start('sh', ['-c', 'printf ") R 1 (" > /proc/$$/comm; echo named; read -r line']);
  await new Promise((resolve) => child.stdout?.once('data', resolve));
  expect(readFileSync(`/proc/${child.pid}/comm`, 'utf8')).toContain(') R 1 (');
  const ticks = startTicksOf(child.pid);
  expect(Number(ticks)).toBeGreaterThanOrEqual(own);
  expect(startTicksOf(child.pid)).toBe(ticks);
});

test('a process that has ended has no start time, also as a zombie', async () => {
  // The child exits only after `exec` has replaced its parent with a program that never waits for children.
  const parent = start('sh', ['-c', 'exec 3<&0; (read -r line <&3) & echo $!; exec sleep 60']);
  const pid = await new Promise<number>((resolve) => parent.stdout?.once('data', (text: Buffer) => resolve(Number(text))));
  await vi.waitUntil(() => readFileSync(`/proc/${parent.pid}/comm`, 'utf8') === 'sleep\n', UNTIL);
  expect(Number(startTicksOf(pid))).toBeGreaterThan(0);
  parent.stdin?.write('\n');
  await vi.waitUntil(() => readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z '), UNTIL);
  expect(startTicksOf(pid)).toBeUndefined();
  expect(startTicksOf(spawnSync('true').pid)).toBeUndefined();
});

test('a process whose first thread has ended is running while another thread is', async (context) => {
  needPrograms(context, 'python3');
  const python = spawnSync('python3', ['-c', 'import ctypes'], { stdio: 'ignore' });
  context.skip(python.status !== 0, 'needs python3: install python3-minimal');
  const script = [
    'import ctypes, sys, threading',
    'threading.Thread(target=sys.stdin.readline).start()',
    'ctypes.CDLL(None).pthread_exit(None)',
  ].join('\n');
  const { pid, stdin } = start('python3', ['-c', script]);
  await vi.waitUntil(() => readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z '), UNTIL);
  expect(Number(startTicksOf(pid))).toBeGreaterThan(0);
  stdin?.end();
  await vi.waitUntil(() => startTicksOf(pid) === undefined, UNTIL);
});

test('the rest of a session is found by its name when the leader has ended', async () => {
  const leader = spawn('sh', ['-c', 'sleep 60 & echo $!; read -r line'], { stdio: ['pipe', 'pipe', 'inherit'], detached: true });
  children.push(leader);
  const pid = await new Promise<number>((resolve) => leader.stdout?.once('data', (text: Buffer) => resolve(Number(text))));
  const session = leader.pid ?? 0;
  try {
    await vi.waitUntil(() => processesOfSession(session, 'sleep').length === 1, UNTIL);
    leader.kill('SIGKILL');
    await vi.waitUntil(() => startTicksOf(session) === undefined, UNTIL);
    expect(processesOfSession(session, 'sleep')).toEqual([pid]);
    expect(processesOfSession(session, 'perl')).toEqual([]);
    expect(processesOfSession(process.pid, 'sleep')).toEqual([]);
  } finally {
    process.kill(pid, 'SIGKILL');
  }
});

test("a process has its name, cut to the kernel's length, and its full arguments", () => {
  const code = `
    const { nameProcess } = await import(${JSON.stringify(module())});
    const { readFileSync } = await import('node:fs');
    const look = (file) => readFileSync('/proc/' + process.pid + '/' + file, 'utf8');
    const before = look('cmdline');
    for (const name of ['rssrv: big-2', 'rssrv: a-long-name-of-a-node']) {
      nameProcess(name);
      console.log(look('comm').trim());
    }
    console.log(look('cmdline') === before);`;
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', code], { encoding: 'utf8' });
  expect(stdout.split('\n')).toEqual(['rssrv: big-2', 'rssrv: a-long-n', 'true', '']);
});
