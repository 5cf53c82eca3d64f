// Tests calls of the C library through koffi. Invariants: if a function cannot be bound, the calls that need this function are null, and
// other functions still work. A failed call gets its own errno, even in a thread. On a machine with unknown structures, no function is
// called.

import os from 'node:os';
import { afterEach, expect, it, type TestContext, vi } from 'vitest';
import { type Libc, throughLibc } from './libc.ts';

const { EBADF, EINVAL } = os.constants.errno;
const CLOSED = 1_000_000;

afterEach(() => vi.unstubAllGlobals());

function need(context: TestContext): Libc {
  const libc = throughLibc((whole) => whole)();
  context.skip(libc === null, 'needs koffi: npm run build installs it on the usual platforms');
  return libc as Libc;
}

it('what cannot be bound is null and is not tried again, and other calls are there', (context) => {
  const libc = need(context);
  const bind = vi.fn((): number => {
    throw new Error('Cannot find function');
  });
  const without = throughLibc(bind);
  expect([without(), without()]).toEqual([null, null]);
  expect(bind).toHaveBeenCalledTimes(1);
  const bindSame = vi.fn((same: Libc) => same);
  const same = throughLibc(bindSame);
  expect([same(), same()]).toEqual([libc, libc]);
  expect(bindSame).toHaveBeenCalledTimes(1);
});

it('each function of the table is there', (context) => {
  const { errno: _, address: __, check: ___, inThread: ____, resultInThread: _____, ...functions } = need(context);
  for (const [name, bind] of Object.entries(functions)) expect(bind(), name).toBeTypeOf('function');
});

it('a failed call names its errno', (context) => {
  const { check, errno, fallocate } = need(context);
  const result = fallocate()(CLOSED, 0, 0, 1);
  expect(errno()).toBe(EBADF);
  expect(() => check(result, 'fallocate')).toThrow(expect.objectContaining({ message: 'fallocate failed with EBADF', code: 'EBADF' }));
  expect(() => check(0, 'fallocate')).not.toThrow();
});

it('a call in a thread has an errno of its own', async (context) => {
  const { inThread, fallocate, prctl } = need(context);
  const [allocate, control] = [fallocate(), prctl()];
  const calls = Array.from({ length: 40 }, (_, index) =>
    index % 2 === 0 ? inThread(allocate, CLOSED, 0, 0, 1) : inThread(control, -1, 0, 0, 0, 0),
  );
  // This call, in the main thread, fails while the calls in other threads are running.
  expect(control(-1, 0, 0, 0, 0)).toBe(-1);
  const found = await Promise.all(calls);
  expect(found).toEqual(calls.map((_, index) => (index % 2 === 0 ? EBADF : EINVAL)));
});

it.each([
  ['linux', 'arm'],
  ['linux', 's390x'],
  ['freebsd', 'x64'],
])('nothing is called on %s with %s', (platform, arch) => {
  vi.stubGlobal('process', { ...process, platform, arch });
  const bind = vi.fn();
  expect(throughLibc(bind)()).toBeNull();
  expect(bind).not.toHaveBeenCalled();
});
