// Ends a daemon of the demo by the pid in its pid file, as an administrator would, then makes sure that the daemon and all its children
// have ended. Invariants: only the daemon and its descendants get signals. Every wait is bounded.

import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as after } from 'node:timers/promises';

/**
 * A daemon is killed if it has not ended within this time. The time is long, because a daemon answers open requests and flushes before it
 * ends.
 */
const END_TIMEOUT_MS = 25_000;
const KILLED_TIMEOUT_MS = 5_000;
const POLL_MS = 20;

interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
  /** Start time of the process. Together with the pid, the start time distinguishes the process from a later one with the same pid. */
  readonly startTicks: string;
}

/** The daemon's pid, or null when it is not running. */
export function pidOf(pidFile: string): number | null {
  let text: string;
  try {
    text = readFileSync(pidFile, 'utf8');
  } catch {
    return null;
  }
  const pid = Number(text.split('\n', 1)[0]);
  return entryOf(pid) === undefined ? null : pid;
}

/** Ends the process and its descendants. Returns the pids that had to be killed. */
export async function endTree(pid: number): Promise<number[]> {
  const family = familyOf(pid);
  signal(pid, 'SIGTERM');
  const late = await remainder(family, END_TIMEOUT_MS);
  for (const { pid: one } of late) signal(one, 'SIGKILL');
  await remainder(late, KILLED_TIMEOUT_MS);
  return late.map((one) => one.pid);
}

async function remainder(family: readonly ProcessEntry[], timeoutMs: number): Promise<ProcessEntry[]> {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    const alive = family.filter(isAlive);
    if (alive.length === 0 || performance.now() > deadlineMs) return alive;
    await after(POLL_MS);
  }
}

function isAlive({ pid, startTicks }: ProcessEntry): boolean {
  return entryOf(pid)?.startTicks === startTicks;
}

function familyOf(pid: number): ProcessEntry[] {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => entryOf(Number(name)) ?? []);
  const family = all.filter((one) => one.pid === pid);
  // The list grows during the iteration. The children of children are therefore appended after all children.
  for (const member of family) family.push(...all.filter((one) => one.parent === member.pid));
  return family;
}

/** Returns the entry of a process; undefined: the process does not exist or is a zombie. */
function entryOf(pid: number): ProcessEntry | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // The fields are read after the last bracket, because the name of the program, in brackets, may contain brackets and blanks.
  const [state, parent, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (state === 'Z' || state === 'X') return undefined;
  return { pid, parent: Number(parent), startTicks: rest[17] ?? '' };
}

function signal(pid: number, name: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(pid, name);
  } catch {
    // Ignores the error: the process has ended already.
  }
}
