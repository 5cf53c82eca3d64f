// Ensures that only one daemon runs per root directory. The pid file contains only the pid, so that `kill $(cat pid)` is safe. The lock
// file next to the pid file contains pid, start time (in clock ticks, from /proc/PID/stat) and boot id. These values identify the owner
// even after a crash, a reboot or the reuse of the pid. Invariant: at most one live process holds the lock of a pid file. Each lock is
// created as a hard link to a complete file, so a lock is never incomplete. Before replacing a stale lock, a process creates a claim file,
// so that no other process replaces the same lock.

import { createHash } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { errnoName, errnoRemedy, RsError, toRsError } from '../lib/errors.ts';
import { bootId, startTicksOf } from './process-facts.ts';

/**
 * An attempt to take a lock fails only if another process changes the lock at the same time. Claims can be nested: replacing a stale claim
 * requires a claim for that claim.
 */
const ATTEMPTS_MAX = 16;
const CLAIM_DEPTH_MAX = 4;

interface Owner {
  readonly pid: number;
  readonly startTicks: string;
  readonly bootId: string;
}

export interface PidFile {
  /** Pid of the previous owner if that process has died since the last reboot without releasing the file; else null. */
  readonly leftBy: number | null;
  /** Removes the pid file and the lock if the owner still holds them. May be called twice. */
  release(): void;
}

/**
 * Takes the pid file `path` for the process `pid`, which is this process or its parent. Creates the folder. A call for the parent succeeds
 * even if the parent already holds `path`. Throws E_ALREADY_RUNNING with pid and file if another live process holds `path`, E_RIGHTS if
 * this user may not write to the folder, or E_SYSTEM.
 */
export function acquirePidFile(path: string, program: string, pid: number): PidFile {
  const own = describe(pid);
  if (own === undefined) throw new RsError('E_SYSTEM', `No /proc/${pid}/stat: mount /proc`);
  const lock = lockOf(path);
  let holder: Owner | undefined;
  let before: Owner | undefined;
  try {
    mkdirSync(dirname(path), { recursive: true });
    before = parse(readIfThere(lock) ?? '');
    holder = take(lock, own, 0);
    if (holder === undefined) writeNumber(path, own);
  } catch (thrown) {
    throw fileError(path, thrown);
  }
  if (holder !== undefined) {
    const { pid } = holder;
    throw new RsError(
      'E_ALREADY_RUNNING',
      `${program} is already running as pid ${pid} (${path}): stop it first, or choose another --root`,
      {
        pid,
        path,
      },
    );
  }
  const isLeft = before !== undefined && before.bootId === own.bootId && serialize(before) !== serialize(own);
  return { leftBy: isLeft ? (before?.pid ?? null) : null, release: () => release(path, own) };
}

/**
 * Takes `path` for a command of this process. `busy` returns the message of E_BUSY, which is thrown if the live process `pid` holds `path`.
 * Throws the other errors of acquirePidFile().
 */
export function acquireCommandLock(path: string, busy: (pid: string) => string): PidFile {
  try {
    return acquirePidFile(path, 'The command', process.pid);
  } catch (thrown) {
    const { code, context } = toRsError(thrown);
    throw code === 'E_ALREADY_RUNNING' ? new RsError('E_BUSY', busy(String(context['pid']))) : thrown;
  }
}

/** Returns the pid of the live process that holds `path`; null if no live process holds `path` or the lock is unreadable. */
export function pidFileHolder(path: string): number | null {
  try {
    const owner = parse(readFileSync(lockOf(path), 'utf8'));
    return owner !== undefined && isAlive(owner) ? owner.pid : null;
  } catch {
    return null;
  }
}

function lockOf(path: string): string {
  return `${path}.lock`;
}

/** The caller must hold the lock. Atomically replaces a pid file that a crash left behind. */
function writeNumber(path: string, own: Owner): void {
  const finished = `${path}.${own.pid}`;
  try {
    writeFileSync(finished, `${own.pid}\n`, { mode: 0o644 });
    renameSync(finished, path);
  } catch (thrown) {
    rmSync(finished, { force: true });
    rmSync(lockOf(path), { force: true });
    throw thrown;
  }
}

/** Takes the lock or claim file `path` for the process `own`. Returns undefined on success, else the live process that owns the file. */
function take(path: string, own: Owner, depth: number): Owner | undefined {
  if (depth > CLAIM_DEPTH_MAX) throw new RsError('E_SYSTEM', `Too many stale claims next to ${path}: remove them`);
  const finished = `${path}.${own.pid}`;
  writeFileSync(finished, serialize(own), { mode: 0o644 });
  try {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      if (linkExclusively(finished, path)) return undefined;
      const found = readIfThere(path);
      if (found === undefined) continue;
      // An earlier child may already have taken `path` for its parent `own`.
      if (own.pid !== process.pid && found === serialize(own)) return undefined;
      const owner = parse(found);
      if (owner !== undefined && isAlive(owner)) return owner;
      const claim = `${path}.stale-${createHash('sha256').update(found).digest('hex').slice(0, 8)}`;
      const rival = take(claim, own, depth + 1);
      if (rival !== undefined) return rival;
      if (replaceStale(path, found, finished, claim)) return undefined;
    }
  } finally {
    rmSync(finished, { force: true });
  }
  throw new RsError('E_SYSTEM', `Pid file ${path} keeps changing: find the other program that writes it`);
}

/**
 * Replaces a stale lock whose content is `stale`. The caller must hold the claim for `stale`. Returns false if another process has already
 * changed the lock; the caller then tries again.
 */
function replaceStale(path: string, stale: string, finished: string, claim: string): boolean {
  try {
    if (readIfThere(path) !== stale) return false;
    renameSync(finished, path);
    return true;
  } finally {
    rmSync(claim, { force: true });
  }
}

function release(path: string, own: Owner): void {
  try {
    const lock = lockOf(path);
    if (readIfThere(lock) !== serialize(own)) return;
    rmSync(path, { force: true });
    rmSync(lock, { force: true });
  } catch (thrown) {
    // If a system error leaves a lock file behind, the next daemon recognizes the file as stale.
    if (errnoName(thrown) === undefined) throw thrown;
  }
}

function linkExclusively(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (thrown) {
    if (errnoName(thrown) === 'EEXIST') return false;
    throw thrown;
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (thrown) {
    if (errnoName(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
}

function serialize(owner: Owner): string {
  return `${owner.pid}\n${owner.startTicks}\n${owner.bootId}\n`;
}

function parse(text: string): Owner | undefined {
  const match = /^([1-9]\d{0,9})\n(\d+)\n([0-9a-f-]+)\n$/.exec(text);
  if (match === null) return undefined;
  const [, pid = '', startTicks = '', bootId = ''] = match;
  return { pid: Number(pid), startTicks, bootId };
}

function isAlive(owner: Owner): boolean {
  const now = describe(owner.pid);
  if (now !== undefined) return now.startTicks === owner.startTicks && now.bootId === owner.bootId;
  return owner.bootId === bootId() && isHidden(owner.pid);
}

/** True if the process exists but belongs to another user. With some mount options, /proc hides the processes of other users. */
function isHidden(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (thrown) {
    return errnoName(thrown) === 'EPERM';
  }
  return false;
}

function describe(pid: number): Owner | undefined {
  const startTicks = startTicksOf(pid);
  return startTicks === undefined ? undefined : { pid, startTicks, bootId: bootId() };
}

function fileError(path: string, thrown: unknown): unknown {
  const errno = errnoName(thrown);
  if (errno === undefined) return thrown;
  const denied = errno === 'EACCES' || errno === 'EPERM' || errno === 'EROFS';
  if (denied)
    return new RsError(
      'E_RIGHTS',
      `Pid file ${path} cannot be written (${errno}): start as root, or choose another --root`,
      { path },
      thrown,
    );
  return new RsError(
    'E_SYSTEM',
    `Pid file ${path} cannot be written (${errno}): ${errnoRemedy(errno) ?? 'check its folder'}`,
    { path, errno },
    thrown,
  );
}
