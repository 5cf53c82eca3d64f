// Finds the processes that use a mounted file system, by the files that they have open, their folders, and their programs. Invariants: only
// /proc is read, and never the file system itself, which may not answer; a process in a container, where another file system has the same path,
// does not count as a user.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { MOUNT_USERS_NAMED_MAX } from './limits.ts';
import { parseMountTable } from './mount-table.ts';

export interface MountUser {
  readonly pid: number;
  readonly name: string;
}

/** `device`: number of the mounted device, as in mountinfo. */
export function usersOf(mountPoint: string, device: string): MountUser[] {
  const isBelow = (target: string): boolean => target === mountPoint || target.startsWith(`${mountPoint}/`);
  return pids().flatMap((pid) => (placesOf(pid).some(isBelow) && sees(pid, mountPoint, device) ? [{ pid, name: nameOf(pid) }] : []));
}

/** Returns the names of the first users, such as `bash (4711)`; empty if there are none. */
export function namedUsers(users: readonly MountUser[]): string {
  const named = users.slice(0, MOUNT_USERS_NAMED_MAX).map(({ pid, name }) => `${name} (${pid})`);
  return named.join(', ');
}

/** True if the mount is there in the namespace of the process, too. */
function sees(pid: number, mountPoint: string, device: string): boolean {
  try {
    const mounts = parseMountTable(readFileSync(`/proc/${pid}/mountinfo`, 'utf8'));
    return mounts.findLast((mount) => mount.mountPoint === mountPoint)?.device === device;
  } catch {
    return false;
  }
}

function pids(): number[] {
  return readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) && Number(name) !== process.pid ? [Number(name)] : []));
}

function placesOf(pid: number): string[] {
  const links = ['cwd', 'root', 'exe', ...entries(`/proc/${pid}/fd`).map((fd) => `fd/${fd}`)];
  return [...links.flatMap((link) => target(`/proc/${pid}/${link}`) ?? []), ...mapped(pid)];
}

/** Files that are mapped, such as libraries. */
function mapped(pid: number): string[] {
  try {
    return [...readFileSync(`/proc/${pid}/maps`, 'utf8').matchAll(/ (\/.*)$/gm)].map(([, file = '']) => file);
  } catch {
    return [];
  }
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function target(link: string): string | null {
  try {
    return readlinkSync(link);
  } catch {
    return null;
  }
}

function nameOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return '?';
  }
}
