// What the functions of the appliance need of the machine: programs, and paths below a root. Invariants: every program has a bounded time and
// output, also one that hangs in the kernel; a program that fails becomes an error with its name and its own words; two commands never use the
// same part of the appliance at the same time.

import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { acquireCommandLock } from '@rsio/base/daemon/pid-file';
import { RsError } from '@rsio/base/lib/errors';
import { APPLIANCE_OUTPUT_MAX_BYTES, APPLIANCE_PROGRAM_MAX_MS } from './limits.ts';

/** Runs a program, and returns its output. Throws E_SYSTEM. */
export type RunOnMachine = (program: string, args: readonly string[], given?: { input?: string; timeoutMs?: number }) => Promise<string>;

export interface ApplianceMachine {
  /** Prefix of all paths; '' for the real root. */
  readonly root: string;
  readonly run: RunOnMachine;
}

export function appliancePaths(root: string) {
  return {
    /** The file that only an appliance has. */
    release: `${root}/usr/lib/rsio-appliance/release.json`,
    settings: `${root}/config/appliance.json`,
    dvsc: `${root}/config/dvsc`,
    hostKey: `${root}/config/ssh/ssh_host_ed25519_key`,
    /** A configuration that has been accepted, and replaces the present one at the next boot. */
    restored: `${root}/config/restore.json`,
    /** A configuration that was accepted, and could not be used at the boot. */
    refused: `${root}/config/restore.json.refused`,
    /** The program that hashes passwords. */
    hashPassword: `${root}/usr/lib/rsio-appliance/hash-password`,
    /** Folder of what lives until the next boot, such as locks. */
    volatile: `${root}/run/rsio-appliance`,
    /** Ids of the partitions from which the appliance was started; packaging/appliance/initramfs-boot writes it. */
    partitions: `${root}/run/rsio-appliance/partitions`,
    media: `${root}/run/rsio-appliance/media`,
    boot: `${root}/run/rsio-appliance/boot`,
  };
}

const OWN_PARTITIONS = ['boot', 'a', 'b', 'config'] as const;
type OwnPartition = (typeof OWN_PARTITIONS)[number];

/** Returns the ids (PARTUUID) of the appliance's partitions. Those that the boot has not found are missing. */
export function ownPartitions(root: string): Readonly<Partial<Record<OwnPartition, string>>> {
  const { partitions } = appliancePaths(root);
  const text = existsSync(partitions) ? readFileSync(partitions, 'utf8') : '';
  const found = OWN_PARTITIONS.map((name) => [name, new RegExp(`^${name}=([0-9a-f-]{36})$`, 'm').exec(text)?.[1]] as const);
  return Object.fromEntries(found.filter(([, id]) => id !== undefined));
}

/** Returns the path of a partition of the appliance. Throws E_SYSTEM if the boot has not found it. */
export function ownPartition(root: string, name: OwnPartition): string {
  const id = ownPartitions(root)[name];
  if (id !== undefined) return `${root}/dev/disk/by-partuuid/${id}`;
  throw new RsError(
    'E_SYSTEM',
    `The boot has not found partition ${name} of the appliance: restart it, and look at the messages of the boot`,
  );
}

export function isAppliance(root: string): boolean {
  return existsSync(appliancePaths(root).release);
}

export const runOnMachine: RunOnMachine = (program, args, { input, timeoutMs = APPLIANCE_PROGRAM_MAX_MS } = {}) =>
  new Promise((resolve, reject) => {
    // With `timeout` instead of the signal, Node would wait for the end of a program that hangs in the kernel, and cannot be killed.
    const signal = AbortSignal.timeout(timeoutMs);
    const child = execFile(program, args, { signal, maxBuffer: APPLIANCE_OUTPUT_MAX_BYTES }, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      child.kill('SIGKILL');
      child.unref();
      const said = stderr.trim().split('\n').slice(-2).join('; ');
      const why = signal.aborted ? `it did not end within ${timeoutMs / 1000} s` : said || error.message;
      reject(new RsError('E_SYSTEM', `${program} failed: ${why}`, { program, args: args.join(' ') }, error));
    });
    // A program may end before it has read its input.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input ?? '');
  });

/** What one command uses at a time: the settings and the disks, the slots with the variables of the boot loader, or a removable disk. */
type Part = 'settings' | 'slots' | 'media';

/** Does `work` while no other command uses the same part of the appliance. Throws E_BUSY. */
export async function exclusively<T>({ root }: ApplianceMachine, part: Part, work: () => Promise<T>): Promise<T> {
  const busy = (pid: string): string => `Another command changes the appliance (process ${pid}): wait for its end, and try again`;
  const lock = acquireCommandLock(`${appliancePaths(root).volatile}/${part}.pid`, busy);
  try {
    return await work();
  } finally {
    lock.release();
  }
}

/** Unmounts what a command that was killed has left at `folder`. */
export async function unmountLeft({ root, run }: ApplianceMachine, folder: string): Promise<void> {
  if (readFileSync(`${root}/proc/mounts`, 'utf8').includes(` ${folder} `)) await run('umount', [folder]);
}

/** Does `work` while a device is mounted at `folder`. `args`: those of mount(8), without the folder. */
export async function whileMounted<T>(
  machine: ApplianceMachine,
  args: readonly string[],
  folder: string,
  work: () => Promise<T>,
): Promise<T> {
  const { run } = machine;
  mkdirSync(folder, { recursive: true });
  await unmountLeft(machine, folder);
  await run('mount', [...args, folder]);
  const done = await work().catch(async (thrown: unknown) => {
    // The first error is the one that counts.
    await run('umount', [folder]).catch(() => undefined);
    throw thrown;
  });
  await run('umount', [folder]);
  return done;
}
