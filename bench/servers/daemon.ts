// A server that runs in the background, because in the foreground it would serve only one connection. A pid file identifies the daemon.
// Invariant: the server is ended with the bench, however the bench ends, and only by the pid in the pid file in the bench's own folder.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as after } from 'node:timers/promises';
import { errnoName, RsError } from '@rsio/base/lib/errors';
import { connects } from '../child.ts';

const START_TIMEOUT_MS = 10_000;
const END_TIMEOUT_MS = 10_000;
const POLL_MS = 20;

export class Daemon {
  readonly pid: number;
  /** True once the daemon has ended. Afterwards, the pid may belong to another process. */
  private isGone = false;

  private constructor(pid: number) {
    this.pid = pid;
    this.isGone = pid === 0;
    process.once('exit', () => {
      if (!this.isGone) this.kill('SIGTERM');
    });
  }

  /** `command` accepts `-p FILE` for its pid file. */
  static async start(core: number, command: readonly string[], pidFile: string, host: string, port: number): Promise<Daemon> {
    const { status, stderr, error } = spawnSync('taskset', ['-c', String(core), ...command, '-p', pidFile], { encoding: 'utf8' });
    if (status !== 0) throw new RsError('E_SYSTEM', `${command[0]} did not start: ${(error?.message ?? stderr).trim()}`);
    const deadlineMs = performance.now() + START_TIMEOUT_MS;
    while (!(await connects(host, port)) || pidIn(pidFile) === null) {
      if (performance.now() > deadlineMs) {
        await new Daemon(pidIn(pidFile) ?? 0).stop();
        throw new RsError('E_UNREACHABLE', `${command[0]} does not listen on ${host} port ${port}`);
      }
      await after(POLL_MS);
    }
    return new Daemon(pidIn(pidFile) ?? 0);
  }

  async stop(): Promise<void> {
    if (this.isGone) return;
    const deadlineMs = performance.now() + END_TIMEOUT_MS;
    for (let isThere = this.kill('SIGTERM'); isThere; isThere = this.kill(0)) {
      if (performance.now() > deadlineMs) this.kill('SIGKILL');
      await after(POLL_MS);
    }
    this.isGone = true;
  }

  /** Sends a signal. Returns false if the daemon has ended. */
  private kill(signal: NodeJS.Signals | 0): boolean {
    try {
      return process.kill(this.pid, signal);
    } catch (error) {
      if (errnoName(error) !== 'ESRCH') throw error;
      return false;
    }
  }
}

function pidIn(file: string): number | null {
  try {
    const pid = Number(readFileSync(file, 'utf8'));
    return Number.isInteger(pid) && pid > 1 ? pid : null;
  } catch (error) {
    if (errnoName(error) !== 'ENOENT') throw error;
    return null;
  }
}
