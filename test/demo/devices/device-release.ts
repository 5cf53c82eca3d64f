// At the end of the demo, unmounts file systems on its devices, and removes devices that a daemon has left behind. The order matters: file
// systems are unmounted while a daemon still answers I/O of their devices, and a loop device is detached while its file still has its path.
// Invariants: only mounts and devices below the demo's root are touched. Every command has a time limit, and the next command runs even if
// one fails.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { loopDevices } from '@rsio/rsiod/frontends/devices/loop-device';
import { MachineDevices, mountsOn, stackOn } from '@rsio/base/daemon/block-stack';
import { mountTable } from '@rsio/base/daemon/mount-table';
import { isRawMount } from '@rsio/rsiod/frontends/fuse/raw-device';
import { findTool } from '../machine/machine-tools.ts';
import type { Screen } from '../machine/screen.ts';
import type { Shell } from '../machine/shell.ts';

/**
 * Unmounts all file systems that are on the demo's devices or below its root. A busy file system is unmounted lazily, and the processes
 * that use it are named.
 */
export async function releaseMounts(root: string, shell: Shell, screen: Screen): Promise<void> {
  for (const mountPoint of await mountPointsOf(root)) await attempt(shell, 'umount', mountPoint);
  for (const mountPoint of await mountPointsOf(root)) {
    const users = usersBelow(mountPoint);
    if (users.length > 0) screen.bad(`In use by ${users.join(', ')}: what that has there gives errors from now on, until it ends`);
    await attempt(shell, 'umount', '-l', mountPoint);
  }
}

/** Removes loop devices and raw devices that no daemon has removed. Returns their names. */
export async function releaseDevices(root: string, shell: Shell): Promise<string[]> {
  const loops = await loopsBelow(root);
  for (const loop of loops) await attempt(shell, 'losetup', '-d', loop);
  const raws = await rawsBelow(root);
  for (const raw of raws) await attempt(shell, 'umount', '-i', '-l', raw);
  return [...loops, ...raws];
}

/** Returns the mount points that are left. A folder that contains a mount point must not be removed. */
export async function stillMounted(root: string): Promise<string[]> {
  return [...(await mountPointsOf(root)), ...(await rawsBelow(root))];
}

/** Returns the mount points on the devices of the demo or below its root, the latest mount first. */
async function mountPointsOf(root: string): Promise<string[]> {
  const facts = new MachineDevices();
  const devices = (await loopsBelow(root)).flatMap((loop) => facts.numberOf(loop) ?? []);
  const numbers = new Set(devices.flatMap((device) => [...stackOn(device, facts).numbers]));
  const others = (await mountTable()).filter((entry) => !isRawMount(entry));
  const ours = new Set([...mountsOn(numbers, others, facts), ...others.filter(({ mountPoint }) => isBelow(root, mountPoint))]);
  return others.flatMap((entry) => (ours.has(entry) ? [entry.mountPoint] : [])).reverse();
}

async function rawsBelow(root: string): Promise<string[]> {
  const mounts = (await mountTable()).filter((entry) => isRawMount(entry) && isBelow(root, entry.mountPoint));
  return mounts.map(({ mountPoint }) => mountPoint);
}

async function loopsBelow(root: string): Promise<string[]> {
  return (await loopDevices()).flatMap(([file, device]) => (isBelow(root, file) ? [device] : []));
}

/**
 * Returns the processes that have a working directory or an open file below the mount point. Reads only links in /proc, so that no mounted
 * file system is touched.
 */
function usersBelow(mountPoint: string): string[] {
  const isThere = (link: string): boolean => {
    const target = orElse('', () => readlinkSync(link));
    return target === mountPoint || isBelow(mountPoint, target);
  };
  return numbersIn('/proc').flatMap((pid) => {
    const links = ['cwd', 'root', ...numbersIn(`/proc/${pid}/fd`).map((fd) => `fd/${fd}`)];
    if (!links.some((link) => isThere(`/proc/${pid}/${link}`))) return [];
    return [`process ${pid} (${orElse('?', () => readFileSync(`/proc/${pid}/comm`, 'utf8').trim())})`];
  });
}

function numbersIn(folder: string): string[] {
  return orElse([], () => readdirSync(folder)).filter((name) => /^\d+$/.test(name));
}

/** Returns the result of `look`. If `look` throws, returns `otherwise`, because a process may end while `look` examines it. */
function orElse<T>(otherwise: T, look: () => T): T {
  try {
    return look();
  } catch {
    return otherwise;
  }
}

function isBelow(root: string, file: string): boolean {
  return file.startsWith(`${root}/`);
}

async function attempt(shell: Shell, name: string, ...args: readonly string[]): Promise<void> {
  const path = findTool(name);
  // Ignores an error, because the screen shows the output of the command, and the demo lists the remaining devices afterwards.
  if (path !== null) await shell.tool(path, ...args).catch(() => undefined);
}
