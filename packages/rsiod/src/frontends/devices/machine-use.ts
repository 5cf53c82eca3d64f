// Who has what open on this machine, what is mounted where, and which loop device stands on which file: one walk through /proc and /sys, which
// all who ask before it begins share, since many volumes may be taken away at a time. Only what the kernel answers from memory is read, so that
// no device of ours is touched. Leaves what is said of it to device-users.ts. Invariant: whoever asks is never told of a time before.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { DEVICE_USERS_LOOKED_MAX } from './limits.ts';
import { loopDevices } from '../loop/loop-device.ts';
import { type MountEntry, mountTable } from '../system/mount-table.ts';
import { Shared } from '../system/shared.ts';

export interface MachineUse {
  /** Path of a file -> processes that have it open: `process 4711 (dd)`. */
  readonly openFiles: ReadonlyMap<string, readonly string[]>;
  /** `7:3` -> where it is mounted, here and for every process that has other mounts. */
  readonly mounts: ReadonlyMap<string, readonly string[]>;
  /** Path of a file -> loop devices on it. */
  readonly loops: ReadonlyMap<string, readonly string[]>;
}

const looks = new Shared(look);

export function machineUse(): Promise<MachineUse> {
  return looks.ask();
}

async function look(): Promise<MachineUse> {
  const openFiles = new Lists();
  const mounts = new Lists();
  const loops = new Lists();
  for (const [file, device] of await loopDevices()) loops.add(file, device);
  await addMounts(mounts, 'self', '');
  const seen = new Set([setOfMounts('self')]);
  let looked = 0;
  for (const pid of numbersIn('/proc')) {
    const set = setOfMounts(pid);
    if (set !== '' && !seen.has(set)) {
      seen.add(set);
      await addMounts(mounts, pid, ` of ${processName(pid)}`);
    }
    // This process never opens a device of its own.
    if (looked > DEVICE_USERS_LOOKED_MAX || pid === String(process.pid)) continue;
    // One process at a time: asking for each file apart, without waiting here, costs ten times as much.
    const descriptors = numbersIn(`/proc/${pid}/fd`);
    looked += descriptors.length;
    const files = new Set(descriptors.map((fd) => linkOf(`/proc/${pid}/fd/${fd}`)).filter((target) => target.startsWith('/')));
    const name = files.size === 0 ? '' : processName(pid);
    for (const file of files) openFiles.add(file, name);
    await nextTurn();
  }
  return { openFiles: openFiles.all, mounts: mounts.all, loops: loops.all };
}

class Lists {
  readonly all = new Map<string, string[]>();

  add(key: string, value: string): void {
    const list = this.all.get(key);
    if (list === undefined) this.all.set(key, [value]);
    else if (!list.includes(value)) list.push(value);
  }
}

async function addMounts(mounts: Lists, process: string, whose: string): Promise<void> {
  const table = await mountTable(process).catch((): MountEntry[] => []);
  for (const { device, mountPoint } of table) mounts.add(device, `mount point ${mountPoint}${whose}`);
}

/** Which set of mounts a process has; '': it is none of ours to see, or gone. */
function setOfMounts(pid: string): string {
  return linkOf(`/proc/${pid}/ns/mnt`);
}

function processName(pid: string): string {
  const name = orEmpty(() => readFileSync(`/proc/${pid}/comm`, 'utf8').trim(), '');
  return `process ${pid}${name === '' ? '' : ` (${name})`}`;
}

function linkOf(file: string): string {
  return orEmpty(() => readlinkSync(file), '');
}

function numbersIn(folder: string): string[] {
  return orEmpty(() => readdirSync(folder), []).filter((name) => /^\d+$/.test(name));
}

function orEmpty<T>(read: () => T, empty: T): T {
  try {
    return read();
  } catch {
    return empty;
  }
}
