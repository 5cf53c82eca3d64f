// Counts the system calls of processes during a load, by the kernel's tracepoints (`perf stat`). perf slows the processes down far less
// than strace does. The caller runs the load.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as after } from 'node:timers/promises';

const KINDS = {
  waits: ['epoll_wait', 'epoll_pwait', 'ppoll', 'poll'],
  receives: ['read', 'readv', 'recvfrom', 'recvmsg', 'pread64'],
  sends: ['write', 'writev', 'sendto', 'sendmsg', 'pwrite64'],
  futexes: ['futex'],
} as const;
export type CallKind = keyof typeof KINDS;
export type Calls = Readonly<Record<CallKind | 'all', number>>;

const ALL = 'raw_syscalls:sys_enter';
/** Time until perf has attached itself. */
const BEGIN_MS = 300;

/** Counts the system calls of the processes during `load`. `file`: where perf writes its figures. */
export async function callsDuring(pids: readonly number[], file: string, load: () => Promise<void>): Promise<Calls> {
  const events = [ALL, ...Object.values(KINDS).flatMap((names) => names.map((name) => `syscalls:sys_enter_${name}`))];
  const perf = spawn('perf', ['stat', '-x', ',', '-o', file, '-e', events.join(','), '-p', pids.join(',')], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const ended = once(perf, 'exit');
  await after(BEGIN_MS);
  await load();
  perf.kill('SIGINT');
  await ended;
  return callsIn(readFileSync(file, 'utf8'));
}

/** Returns the calls in the output of `perf stat -x ,`. Each line has a count, a unit and an event. */
export function callsIn(text: string): Calls {
  const counts = new Map(text.split('\n').map((line) => [line.split(',')[2] ?? '', Number(line.split(',')[0])]));
  const sum = (names: readonly string[]): number =>
    names.reduce((total, name) => total + (counts.get(`syscalls:sys_enter_${name}`) || 0), 0);
  return {
    all: counts.get(ALL) || 0,
    waits: sum(KINDS.waits),
    receives: sum(KINDS.receives),
    sends: sum(KINDS.sends),
    futexes: sum(KINDS.futexes),
  };
}
