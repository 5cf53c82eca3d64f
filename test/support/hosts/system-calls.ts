// Counts the system calls of running processes with strace. Invariant: `end` counts every call that a process has made since `begin` has
// returned.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Hosts } from './hosts.ts';
import { waitFor } from '../programs/wait-for.ts';

const ATTACHED_MS = 5_000;

export class SystemCalls {
  private readonly strace: ChildProcess;
  private said = '';

  private constructor(strace: ChildProcess) {
    this.strace = strace;
    strace.stderr?.on('data', (chunk: Buffer) => {
      this.said += chunk.toString();
    });
  }

  /** Begins to count the calls of all threads of a process. */
  static async begin(hosts: Hosts, pid: number): Promise<SystemCalls> {
    const strace = spawn('strace', ['-f', '-c', '-p', String(pid)], { stdio: ['ignore', 'ignore', 'pipe'] });
    hosts.onClean(() => void strace.kill('SIGTERM'));
    const calls = new SystemCalls(strace);
    await waitFor(() => calls.said.includes('attached'), ATTACHED_MS, `strace of process ${pid}`);
    return calls;
  }

  /** Returns the number of calls of each kind. */
  async end(): Promise<ReadonlyMap<string, number>> {
    const ended = once(this.strace, 'close');
    this.strace.kill('SIGTERM');
    await ended;
    return callsIn(this.said);
  }
}

//   % time     seconds  usecs/call     calls    errors syscall
//    85.21    0.804974        8473        95        15 futex
const ROW = /^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?(\w+)$/gmu;

/** Reads the table that strace prints at its end. */
export function callsIn(table: string): ReadonlyMap<string, number> {
  return new Map([...table.matchAll(ROW)].flatMap(([, calls, name = '']) => (name === 'total' ? [] : [[name, Number(calls)] as const])));
}
