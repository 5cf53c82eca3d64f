// Lists the users of a volume's devices as readable texts. Users are mount points (also in other mount namespaces), stacked devices, swap
// and processes. One walk through /proc and /sys finds the users of all devices. Requests that arrive before a walk begins share the result
// of that walk. The list may be incomplete, but the kernel refuses to remove a device that is in use. A process that only inspects a device
// (losetup, blkid, a udev worker) does not count as a user: it has the device open for a moment, often right after an umount. Invariants: a
// walk reads only files that the kernel keeps in memory, and therefore causes no I/O on rsiod's own devices; a process counts as a user
// only if each of several walks finds it.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { baseName, loopDevices, ofBlock } from './loop-device.ts';
import { type MountEntry, mountTable } from '@rsio/common/daemon/mount-table';
import type { Clock } from '@rsio/common/lib/clock';
import { SharedLook } from '../system/shared-look.ts';
import { DEVICE_USERS_AGAIN_MS, DEVICE_USERS_LOOKED_MAX, DEVICE_USERS_LOOKS_MAX, DEVICE_USERS_NAMED_MAX } from '../limits.ts';

export interface UsedDevices {
  readonly rawFile: string;
  /** Path of the loop device, such as `/dev/loop3`; null if there is no block device. */
  readonly loop: string | null;
}

interface Users {
  /** Mount points, stacked devices and swap. One walk is enough to report these users. */
  readonly lasting: readonly string[];
  readonly processes: readonly string[];
}

/** If only processes use the device, the call takes up to DEVICE_USERS_LOOKS_MAX times DEVICE_USERS_AGAIN_MS. */
export async function deviceUsers(device: UsedDevices, clock: Clock): Promise<string[]> {
  const { lasting, processes } = await lastingUsers(() => usersNow(device), clock);
  return [...lasting, ...someOf(processes)];
}

export async function lastingUsers(look: () => Promise<Users>, clock: Clock): Promise<Users> {
  let users = await look();
  for (let looks = 1; looks < DEVICE_USERS_LOOKS_MAX && users.lasting.length === 0 && users.processes.length > 0; looks++) {
    await new Promise<void>((resolve) => void clock.after(DEVICE_USERS_AGAIN_MS, resolve));
    const { lasting, processes } = await look();
    users = { lasting, processes: processes.filter((process) => users.processes.includes(process)) };
  }
  return users;
}

async function usersNow({ rawFile, loop }: UsedDevices): Promise<Users> {
  const use = await machineUse();
  const others = (use.loops.get(rawFile) ?? []).filter((device) => device !== loop);
  const ofLoop = loop === null ? [] : await loopUsers(use, loop);
  const files = [rawFile, ...(loop === null ? [] : [loop])];
  const processes = [...new Set(files.flatMap((file) => use.openFiles.get(file) ?? []))];
  return { lasting: [...ofLoop, ...others.map((device) => `loop device ${device}`)], processes };
}

async function loopUsers({ mounts }: MachineUse, loop: string): Promise<string[]> {
  const number = await ofBlock(loop, 'dev');
  const holders = await readdir(`/sys/block/${baseName(loop)}/holders`).catch(() => []);
  const swaps = await readFile('/proc/swaps', 'utf8').catch(() => '');
  const isSwap = swaps.split('\n').some((line) => line.split(/\s/)[0] === loop);
  return [...(mounts.get(number ?? '') ?? []), ...holders.map((name) => `device ${name}`), ...(isSwap ? ['swap'] : [])];
}

function someOf(processes: readonly string[]): string[] {
  const more = processes.length - DEVICE_USERS_NAMED_MAX;
  return more > 0 ? [...processes.slice(0, DEVICE_USERS_NAMED_MAX), `${more} more processes`] : [...processes];
}

export interface MachineUse {
  /** Key: path of a file. Value: the processes that have the file open, for example `process 4711 (dd)`. */
  readonly openFiles: ReadonlyMap<string, readonly string[]>;
  /** Key: device number, such as `7:3`. Value: the mount points of the device in the mount namespaces of all processes. */
  readonly mounts: ReadonlyMap<string, readonly string[]>;
  /** Key: path of a file. Value: the loop devices that use the file as their backing file. */
  readonly loops: ReadonlyMap<string, readonly string[]>;
}

const looks = new SharedLook(look);

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
    // The search skips rsiod's own process, because rsiod never opens its own devices.
    if (looked > DEVICE_USERS_LOOKED_MAX || pid === String(process.pid)) continue;
    // Each event-loop turn examines one process with synchronous calls, because asynchronous calls would cost ten times as much.
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

/** Identifies the mount namespace of a process. Empty if rsiod cannot see the namespace or the process has exited. */
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
