// Finds the processes that use a mounted file system, by the files that they have open, their folders, and their programs. Invariant: only
// /proc is read, and never the file system itself, which may not answer.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface MountUser {
  readonly pid: number;
  readonly name: string;
}

export function usersOf(mountPoint: string): MountUser[] {
  const isBelow = (target: string): boolean => target === mountPoint || target.startsWith(`${mountPoint}/`);
  return pids().flatMap((pid) => (placesOf(pid).some(isBelow) ? [{ pid, name: nameOf(pid) }] : []));
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
