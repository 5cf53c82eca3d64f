// One daemon per root: a file that holds the process number and nothing else (`kill $(cat pid)` must be safe), and beside it a lock,
// sound against crashes, reboots and re-used process numbers: pid, start time of that process (clock ticks, /proc/PID/stat), boot id.
// Invariant: at most one live process holds a path. The lock appears complete (link of a finished one, exclusive) and a stale one is
// replaced only under a claim to exactly that stale content, itself taken the same way; so two starters never both replace it.

import { createHash } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { errnoName, errnoRemedy, RsError } from '../lib/errors.ts';
import { bootId, startTicksOf } from './process-facts.ts';

/** Each attempt lost means that another process made progress; a claim left by a crash adds one level. */
const ATTEMPTS_MAX = 16;
const CLAIM_DEPTH_MAX = 4;

interface Owner {
  readonly pid: number;
  readonly startTicks: string;
  readonly bootId: string;
}

export interface PidFile {
  /** Number of the process that held it before, in this boot, and has ended without giving it back; null: there was none. */
  readonly leftBy: number | null;
  /** Removes both files if they still are this process's own; may be called twice. */
  release(): void;
}

/**
 * Takes `path` for a process (this one, or another that stands for it and outlives it), making its folder; what that process has already
 * stays its own. Throws E_ALREADY_RUNNING (naming pid and file) when a live process holds it,
 * E_RIGHTS when this user may not write there, E_SYSTEM for other trouble.
 */
export function acquirePidFile(path: string, program: string, pid: number = process.pid): PidFile {
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

/** Number of the live process that holds `path`; null: none does, or it cannot be read. */
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

/** Under the lock. What a crash left is replaced whole. */
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

/** Undefined: `path` is ours now; else the live owner. */
function take(path: string, own: Owner, depth: number): Owner | undefined {
  if (depth > CLAIM_DEPTH_MAX) throw new RsError('E_SYSTEM', `Too many stale claims beside ${path}: remove them`);
  const finished = `${path}.${own.pid}`;
  writeFileSync(finished, serialize(own), { mode: 0o644 });
  try {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      if (linkExclusively(finished, path)) return undefined;
      const found = readIfThere(path);
      if (found === undefined) continue;
      // For another process: an earlier child of it took the path.
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
  throw new RsError('E_SYSTEM', `Pid file ${path} changes all the time: another program writes it`);
}

/** Under the claim nobody else may replace `stale`; a slow starter finds other content here and begins anew. */
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
    // At exit there is nobody to tell, and a file that stays is taken for what it is: stale.
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

/** /proc may be mounted so that other users' processes cannot be seen in it; those are not called dead. */
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
