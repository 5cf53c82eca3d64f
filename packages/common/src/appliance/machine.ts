// What the functions of the appliance need of the machine: programs, and paths below a root. Invariants: every program has a bounded time and
// output; a program that fails becomes an error with its name and its own words; two commands never change the appliance at the same time.

import { execFile } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { errnoName, RsError } from '../lib/errors.ts';
import { APPLIANCE_OUTPUT_MAX_BYTES, APPLIANCE_PROGRAM_MAX_MS } from './limits.ts';

/** Runs a program, and returns its output. Throws E_SYSTEM. */
export type RunOnMachine = (program: string, args: readonly string[], given?: { input?: string; timeoutMs?: number }) => Promise<string>;

export interface ApplianceMachine {
  /** Prefix of all paths; '' for the real root. */
  readonly root: string;
  readonly run: RunOnMachine;
}

export interface AppliancePaths {
  /** The file that only an appliance has. */
  readonly release: string;
  readonly settings: string;
  readonly dvsc: string;
  readonly hostKey: string;
  /** A configuration that has been accepted, and replaces the present one at the next boot. */
  readonly restored: string;
  /** The program that hashes passwords. */
  readonly hashPassword: string;
  readonly lock: string;
  readonly media: string;
  readonly boot: string;
}

export function appliancePaths(root: string): AppliancePaths {
  return {
    release: `${root}/usr/lib/rsio-appliance/release.json`,
    settings: `${root}/config/appliance.json`,
    dvsc: `${root}/config/dvsc`,
    hostKey: `${root}/config/ssh/ssh_host_ed25519_key`,
    restored: `${root}/config/restore.json`,
    hashPassword: `${root}/usr/lib/rsio-appliance/hash-password`,
    lock: `${root}/run/rsio-appliance/lock`,
    media: `${root}/run/rsio-appliance/media`,
    boot: `${root}/run/rsio-appliance/boot`,
  };
}

export function isAppliance(root: string): boolean {
  return existsSync(appliancePaths(root).release);
}

export const runOnMachine: RunOnMachine = (program, args, { input, timeoutMs = APPLIANCE_PROGRAM_MAX_MS } = {}) =>
  new Promise((resolve, reject) => {
    const bounds = { timeout: timeoutMs, maxBuffer: APPLIANCE_OUTPUT_MAX_BYTES, killSignal: 'SIGKILL' as const };
    const child = execFile(program, args, bounds, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      const said = stderr.trim().split('\n').slice(-2).join('; ');
      const why = error.killed === true ? `it did not end within ${timeoutMs / 1000} s` : said || error.message;
      reject(new RsError('E_SYSTEM', `${program} failed: ${why}`, { program, args: args.join(' ') }, error));
    });
    // A program may end before it has read its input.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input ?? '');
  });

/** Does `work` while no other command changes the appliance. Throws E_BUSY. */
export async function exclusively<T>({ root }: Pick<ApplianceMachine, 'root'>, work: () => Promise<T>): Promise<T> {
  const { lock } = appliancePaths(root);
  mkdirSync(dirname(lock), { recursive: true });
  const descriptor = claimed(lock);
  try {
    return await work();
  } finally {
    closeSync(descriptor);
    rmSync(lock, { force: true });
  }
}

function claimed(lock: string): number {
  for (let attempt = 0; ; attempt++) {
    try {
      const descriptor = openSync(lock, 'wx', 0o600);
      writeSync(descriptor, String(process.pid));
      return descriptor;
    } catch (thrown) {
      if (errnoName(thrown) !== 'EEXIST') throw thrown;
      const owner = readFileSync(lock, 'utf8');
      if (attempt > 0 || owner === '' || existsSync(`/proc/${owner}`))
        throw new RsError(
          'E_BUSY',
          `Another command changes the appliance (process ${owner || 'unknown'}): wait for its end, and try again`,
        );
      rmSync(lock, { force: true });
    }
  }
}
