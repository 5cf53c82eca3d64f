// Looks at the machine for the users of volumes' devices. Users are what device-use.ts finds in the tables of the kernel, and processes that
// have a device open. One walk through /proc and /sys finds the users of all devices. Requests that arrive before a walk begins share the
// result of that walk. A claim of the kernel that no table shows also counts, because the kernel knows every claim. A process that only
// inspects a device (losetup, blkid, a udev worker) does not count as a user: it has the device open for a moment, often right after an
// umount. Invariants: a walk reads only files that the kernel keeps in memory, and therefore causes no I/O on rsiod's own devices; a process
// counts as a user only if each of several walks finds it.

import { sleep } from '@rsio/base/lib/waiting';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { MachineDevices, mountHolding } from '@rsio/base/daemon/block-stack';
import { mountTable, unescaped } from '@rsio/base/daemon/mount-table';
import type { Clock } from '@rsio/base/lib/clock';
import { Claims } from './loop-commands.ts';
import { devicePathsOn, type KernelTables, type SeenMount, unwrittenOn, usesOf } from './device-use.ts';
import { loopDevices } from './loop-device.ts';
import { runCommand } from '../system/device-commands.ts';
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
  const users = [...lasting, ...someOf(processes)];
  const isClaimed = users.length === 0 && device.loop !== null && (await claimsWith(clock).has(device.loop));
  return isClaimed ? [`a user in the kernel that has claimed ${device.loop}`] : users;
}

/**
 * Writes back the file systems on a loop device and on the devices above it, also those of other mount namespaces, and then the devices. A
 * device that cannot be written back does not keep the others from it.
 */
export async function writeBack(loop: string, clock: Clock): Promise<void> {
  const tables = await kernelTables();
  const number = tables.facts.numberOf(loop);
  if (number === null) return;
  const { folders, devices } = unwrittenOn(number, tables);
  for (const folder of folders) await runCommand(clock, 'sync', ['--file-system', folder]).catch(() => undefined);
  for (const device of devices) await runCommand(clock, 'blockdev', ['--flushbufs', device]).catch(() => undefined);
}

export async function lastingUsers(look: () => Promise<Users>, clock: Clock): Promise<Users> {
  let users = await look();
  for (let looks = 1; looks < DEVICE_USERS_LOOKS_MAX && users.lasting.length === 0 && users.processes.length > 0; looks++) {
    await sleep(clock, DEVICE_USERS_AGAIN_MS);
    const { lasting, processes } = await look();
    users = { lasting, processes: processes.filter((process) => users.processes.includes(process)) };
  }
  return users;
}

async function usersNow({ rawFile, loop }: UsedDevices): Promise<Users> {
  const { tables, loops, openFiles } = await looks.ask();
  const { facts } = tables;
  const others = (loops.get(rawFile) ?? []).filter((device) => device !== loop);
  const all = [...(loop === null ? [] : [loop]), ...others].flatMap((device) => facts.numberOf(device) ?? []);
  const onDevices = all.flatMap((number) => devicePathsOn(number, facts)).flatMap((file) => openFiles.get(file) ?? []);
  const onRawFile = (openFiles.get(rawFile) ?? []).filter((opened) => isSameFile(rawFile, opened, tables));
  const processes = [...new Set([...onRawFile, ...onDevices].map(({ name }) => name))];
  return { lasting: usesOf(all, new Set(loop === null ? [] : [facts.numberOf(loop) ?? '']), tables), processes };
}

function someOf(processes: readonly string[]): string[] {
  const more = processes.length - DEVICE_USERS_NAMED_MAX;
  return more > 0 ? [...processes.slice(0, DEVICE_USERS_NAMED_MAX), `${more} more processes`] : [...processes];
}

const claims = new WeakMap<Clock, Claims>();

function claimsWith(clock: Clock): Claims {
  const made = claims.get(clock) ?? Claims.ofMachine(clock);
  claims.set(clock, made);
  return made;
}

interface Opened {
  readonly pid: string;
  /** A descriptor of the file. */
  readonly descriptor: string;
  /** For example `process 4711 (dd)`. */
  readonly name: string;
}

/**
 * Returns false if the process has opened another file: one with the same path in a mount namespace of its own, where another rsiod may run.
 * What cannot be found out counts as the same file. The file itself is not looked at, because rsiod would wait for itself.
 */
function isSameFile(file: string, { pid, descriptor }: Opened, { mounts }: KernelTables): boolean {
  const theirs = setOfMounts(pid);
  const own = mountHolding(
    file,
    mounts.filter(({ whose }) => whose === ''),
  );
  if (theirs === '' || theirs === setOfMounts('self') || own === undefined) return true;
  const text = orEmpty(() => readFileSync(`/proc/${pid}/fdinfo/${descriptor}`, 'utf8'), '');
  const mount = /^mnt_id:\s*(\d+)/m.exec(text)?.[1];
  const line = orEmpty(() => readFileSync(`/proc/${pid}/mountinfo`, 'utf8'), '')
    .split('\n')
    .find((one) => one.startsWith(`${mount} `));
  const device = line?.split(' ')[2];
  return device === undefined || device === own.device;
}

interface MachineUse {
  /** Key: path of a file. Value: the processes that have the file open. */
  readonly openFiles: ReadonlyMap<string, readonly Opened[]>;
  /** Key: path of a file. Value: the loop devices that use the file as their backing file. */
  readonly loops: ReadonlyMap<string, readonly string[]>;
  readonly tables: KernelTables;
}

const looks = new SharedLook(look);

async function look(): Promise<MachineUse> {
  const openFiles = new Map<string, Opened[]>();
  const loops = new Lists();
  for (const [file, device] of await loopDevices()) loops.add(file, device);
  let looked = 0;
  for (const pid of numbersIn('/proc')) {
    // The search skips rsiod's own process, because rsiod never opens its own devices.
    if (looked > DEVICE_USERS_LOOKED_MAX || pid === String(process.pid)) continue;
    // Each event-loop turn examines one process with synchronous calls, because asynchronous calls would cost ten times as much.
    const descriptors = numbersIn(`/proc/${pid}/fd`);
    looked += descriptors.length;
    const files = new Map<string, string>();
    for (const descriptor of descriptors) {
      const target = linkOf(`/proc/${pid}/fd/${descriptor}`);
      if (target.startsWith('/')) files.set(target, descriptor);
    }
    const name = files.size === 0 ? '' : processName(pid);
    for (const [file, descriptor] of files) {
      const known = openFiles.get(file);
      if (known === undefined) openFiles.set(file, [{ pid, descriptor, name }]);
      else known.push({ pid, descriptor, name });
    }
    await nextTurn();
  }
  return { openFiles, loops: loops.all, tables: await kernelTables() };
}

/** Reads the mounts of all mount namespaces that a process has, the swap space, and the block devices. */
async function kernelTables(): Promise<KernelTables> {
  const { mounts, swaps, facts } = await ownTables();
  const seen = new Set([setOfMounts('self')]);
  for (const pid of numbersIn('/proc')) {
    const set = setOfMounts(pid);
    if (set === '' || seen.has(set)) continue;
    seen.add(set);
    mounts.push(...(await mountsOf(pid, ` of ${processName(pid)}`, `/proc/${pid}/root`)));
  }
  return { mounts, swaps, facts };
}

/** As `kernelTables`, but only with the mounts that rsiod sees. */
export async function ownTables(): Promise<KernelTables & { readonly mounts: SeenMount[] }> {
  const text = await readFile('/proc/swaps', 'utf8').catch(() => '');
  const lines = text.split('\n').filter((line) => line.startsWith('/'));
  // The kernel appends the mark to the path of a device or file whose name was removed.
  const swaps = lines.map((line) => unescaped(line.split(/\s/)[0] ?? '').replace(/ \(deleted\)$/, ''));
  return { mounts: await mountsOf('self', '', ''), swaps, facts: new MachineDevices() };
}

async function mountsOf(process: string, whose: string, root: string): Promise<SeenMount[]> {
  const table = await mountTable(process).catch(() => []);
  return table.map((mount) => ({ ...mount, whose, root }));
}

class Lists {
  readonly all = new Map<string, string[]>();

  add(key: string, value: string): void {
    const list = this.all.get(key);
    if (list === undefined) this.all.set(key, [value]);
    else if (!list.includes(value)) list.push(value);
  }
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
