// Allocates space for thick volumes with fallocate(1) of util-linux, because Node has no fallocate. Invariant: the content of the file does
// not change.

import { spawn } from 'node:child_process';
import { killChild } from '@rsio/base/lib/kill-child';
import { systemClock } from '@rsio/base/lib/clock';
import { errnoName, RsError } from '@rsio/base/lib/errors';
import { ALLOCATE_MAX_MS, ALLOCATE_MIN_MS, ALLOCATE_MS_PER_GIB } from '../limits.ts';

const GIB = 1024 ** 3;
const MESSAGE_MAX_CHARS = 300;

/** Allocates the bytes from `fromBytes` to `toBytes`. Throws an error with an errno in `code`, or E_POOL if the program is missing. */
export function allocateSpace(file: string, fromBytes: number, toBytes: number, command = 'fallocate'): Promise<void> {
  return new Promise((resolve, reject) => {
    const lengthBytes = toBytes - fromBytes;
    let message = '';
    const child = spawn(command, ['--keep-size', '--offset', String(fromBytes), '--length', String(lengthBytes), file], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, LC_ALL: 'C' },
    });
    const timer = systemClock.after(allocateLimitMs(lengthBytes), () => killChild(child));
    child.stderr.setEncoding('utf8');
    child.stderr.on('data', (piece: string) => {
      message = (message + piece).slice(0, MESSAGE_MAX_CHARS);
    });
    child.on('error', (error) => {
      timer.cancel();
      const what = `Program ${command} cannot be started (${errnoName(error) ?? error.message})`;
      reject(new RsError('E_POOL', `${what}: install util-linux, or create the volume without --thick`, { command }, error));
    });
    child.on('close', (code) => {
      timer.cancel();
      if (code === 0) resolve();
      else reject(Object.assign(new Error(`fallocate ended with code ${code}: ${message.trim()}`), { code: errnoOf(message) }));
    });
  });
}

/** Returns the longest time for the allocation of this many bytes. */
export function allocateLimitMs(bytes: number): number {
  return Math.min(ALLOCATE_MAX_MS, ALLOCATE_MIN_MS + (bytes / GIB) * ALLOCATE_MS_PER_GIB);
}

function errnoOf(message: string): string {
  if (/No space left/.test(message)) return 'ENOSPC';
  if (/not supported/.test(message)) return 'EOPNOTSUPP';
  if (/File too large/.test(message)) return 'EFBIG';
  return 'EIO';
}
