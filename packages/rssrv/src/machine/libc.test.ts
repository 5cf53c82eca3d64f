// Tests calls of the C library through koffi. Invariants: a function that cannot be bound is an error of its calls alone. A failed call gets
// its own errno, even in a thread, and even if many calls wait for one. On a machine with unknown structures, no function is called.

import os from 'node:os';
import { afterEach, expect, it, vi } from 'vitest';
import { libc, type Libc, throughLibc } from './libc.ts';
import { CALLS_IN_THREADS_MAX } from './limits.ts';

const { EBADF, EINVAL } = os.constants.errno;
const CLOSED = 1_000_000;

afterEach(() => vi.unstubAllGlobals());

it('calls are bound once, and what cannot be bound throws while other calls are there', () => {
  const failing = throughLibc((): number => {
    throw new Error('Cannot find function');
  });
  expect(failing).toThrow('Cannot find function');
  const bindSame = vi.fn((same: Libc) => same);
  const same = throughLibc(bindSame);
  expect([same(), same()]).toEqual([libc(), libc()]);
  expect(bindSame).toHaveBeenCalledTimes(1);
});

it('each function of the table is there', () => {
  const { errno: _, address: __, check: ___, start: ____, inThread: _____, resultInThread: ______, ...functions } = libc();
  for (const [name, bind] of Object.entries(functions)) expect(bind(), name).toBeTypeOf('function');
});

it('a failed call names its errno', () => {
  const { check, errno, fallocate } = libc();
  const result = fallocate()(CLOSED, 0, 0, 1);
  expect(errno()).toBe(EBADF);
  expect(() => check(result, 'fallocate')).toThrow(expect.objectContaining({ message: 'fallocate failed with EBADF', code: 'EBADF' }));
  expect(() => check(0, 'fallocate')).not.toThrow();
});

it('a call in a thread has an errno of its own, and more calls than koffi accepts wait for their turn', async () => {
  const { inThread, resultInThread, fallocate, prctl } = libc();
  const [allocate, control] = [fallocate(), prctl()];
  const calls = Array.from({ length: 5 * CALLS_IN_THREADS_MAX }, (_, index) =>
    index % 2 === 0 ? inThread(allocate, CLOSED, 0, 0, 1) : resultInThread(control, -1, 0, 0, 0, 0),
  );
  // This call, in the main thread, fails while the calls in other threads are running.
  expect(control(-1, 0, 0, 0, 0)).toBe(-1);
  expect(await Promise.all(calls)).toEqual(calls.map((_, index) => (index % 2 === 0 ? EBADF : -EINVAL)));
});

it.each([
  ['linux', 'arm'],
  ['linux', 's390x'],
  ['freebsd', 'x64'],
])('nothing is called on %s with %s, and the error names the machines that can be used', (platform, arch) => {
  vi.stubGlobal('process', { ...process, platform, arch });
  const bind = vi.fn();
  expect(throughLibc(bind)).toThrow(`rssrv cannot run on ${platform}-${arch}: use a machine with Linux on x86-64 or arm64`);
  expect(bind).not.toHaveBeenCalled();
});
