// Mounts and unmounts the file systems of an application. Invariants: a file system is checked before it is mounted; an unmount that finds
// users kills them, tries again, and at the end names them; a mount that rsapp did not make is never touched. A file below /run, which does not
// outlive a reboot, lists the mounts that rsapp has made.

import { sleep, within } from '@rsio/base/lib/waiting';
import { mkdirSync, readFileSync } from 'node:fs';
import type { Clock } from '@rsio/base/lib/clock';
import { mountTable } from '@rsio/base/daemon/mount-table';
import { type MountUser, namedUsers, usersOf } from '@rsio/base/daemon/mount-users';
import { replaceFile } from '@rsio/base/files/durable-write';
import { RsError } from '@rsio/base/lib/errors';
import { KILL_LOOK_MS, SYSTEM_CALL_MS, UMOUNT_MAX_MS, APPLICATION_UNMOUNT_TRIES_MAX } from '../limits.ts';
import { type Outcome, type RunProgram, runWell } from './programs.ts';

/** fsck ends with 1 if it has repaired the file system. */
const FSCK_GOOD_MAX = 1;
/** systemd unmounts such file systems after rsapp has ended, and before it stops rsiod. */
const BEFORE_RSIOD_ENDS = '_netdev';

export interface MountOrder {
  readonly device: string;
  readonly path: string;
  readonly options: string | null;
}

/** The file that keeps the mounts of an application. */
export function mountsFile(runDir: string, application: string): string {
  return `${runDir}/mounts-${application}`;
}

export class Mounts {
  private readonly run: RunProgram;
  private readonly clock: Clock;
  private readonly ownFile: string;
  private readonly running = new Map<string, Promise<Outcome>>();

  /** `ownFile`: keeps the mounts of this application. */
  constructor(run: RunProgram, clock: Clock, ownFile: string) {
    this.run = run;
    this.clock = clock;
    this.ownFile = ownFile;
  }

  get nowMs(): number {
    return this.clock.monotonicMs();
  }

  pause(): Promise<void> {
    return sleep(this.clock, KILL_LOOK_MS);
  }

  /** True if a mount that rsapp has made is there, on top of all others. */
  async isMounted(path: string): Promise<boolean> {
    const device = await this.deviceAt(path);
    return device !== null && this.own[path] === device;
  }

  /** Records that the present mount at this path is rsapp's. */
  async adopt(path: string): Promise<void> {
    const device = await this.deviceAt(path);
    if (device !== null && this.own[path] !== device) await replaceFile(this.ownFile, JSON.stringify({ ...this.own, [path]: device }));
  }

  /** The number of the device whose file system is mounted there, such as `7:3`; null if none is. */
  async deviceAt(path: string): Promise<string | null> {
    return (await mountTable()).findLast(({ mountPoint }) => mountPoint === path)?.device ?? null;
  }

  async mount({ device, path, options }: MountOrder, timeoutMs: number): Promise<void> {
    if ((await this.deviceAt(path)) !== null) throw new RsError('E_IN_USE', `Something is mounted at ${path} already: umount ${path}`);
    mkdirSync(path, { recursive: true });
    const checked = await this.run('fsck', ['-a', '-T', device], timeoutMs);
    if (checked.code > FSCK_GOOD_MAX)
      throw new RsError(
        'E_SYSTEM',
        `The file system on ${device} has errors that fsck -a does not repair (${checked.code}): run fsck ${device}`,
      );
    await runWell(
      this.run,
      `The mount of ${device} at ${path}`,
      'mount',
      ['-o', [...(options === null ? [] : [options]), BEFORE_RSIOD_ENDS].join(), device, path],
      timeoutMs,
    );
    await this.adopt(path);
  }

  /** Throws E_IN_USE with the names of the users if they cannot be killed, and E_TIMEOUT while an umount waits for I/O. */
  async unmount(path: string): Promise<void> {
    let said = '';
    const device = (await this.deviceAt(path)) ?? '';
    for (let tries = 0; tries < APPLICATION_UNMOUNT_TRIES_MAX && (await this.isMounted(path)); tries++) {
      const { code, stderr } = await this.umount(path);
      if (code === 0) continue;
      said = stderr.trim().split('\n').at(-1) ?? '';
      for (const { pid } of usersOf(path, device)) kill(pid);
      await this.pause();
    }
    if (await this.isMounted(path)) throw busy(path, usersOf(path, device), said);
    await this.forget(path);
  }

  /** Removes the record, because a person may mount the same volume here later, often with the same device number. */
  private async forget(path: string): Promise<void> {
    const { [path]: gone, ...others } = this.own;
    if (gone !== undefined) await replaceFile(this.ownFile, JSON.stringify(others));
  }

  /** The device numbers of rsapp's mounts, by folder. An unreadable file counts as an empty list. */
  private get own(): Readonly<Record<string, unknown>> {
    try {
      const own: unknown = JSON.parse(readFileSync(this.ownFile, 'utf8'));
      return typeof own === 'object' && own !== null ? (own as Readonly<Record<string, unknown>>) : {};
    } catch {
      return {};
    }
  }

  /** An umount that waits for I/O cannot be killed. It is not started a second time while it waits. */
  private umount(path: string): Promise<Outcome> {
    const running = this.running.get(path) ?? this.run('umount', [path], UMOUNT_MAX_MS).finally(() => this.running.delete(path));
    this.running.set(path, running);
    return within(this.clock, SYSTEM_CALL_MS, running, () => {
      throw new RsError('E_TIMEOUT', `umount ${path} waits for the I/O of its volume`);
    });
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

function busy(path: string, users: readonly MountUser[], said: string): RsError {
  const who = users.length === 0 ? said : `it is used by ${namedUsers(users)}`;
  return new RsError('E_IN_USE', `${path} cannot be unmounted: ${who}`);
}
