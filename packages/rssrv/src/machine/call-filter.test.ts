// Tests the filter of system calls in a small interpreter: which calls the filter refuses, and with which errno.
// test/integration/confined-workers.test.ts shows that the kernel accepts the filter. Rules: G24.

import { expect, it } from 'vitest';
import { callFilter } from './call-filter.ts';

interface Call {
  readonly audit: number;
  readonly number: number;
  readonly argument?: number;
}

const X64 = 0xc000003e;
const ARM64 = 0xc00000b7;

/** Returns the verdict of the filter program about a call: `allow`, or the errno with which the call fails. */
function verdict(program: Buffer, { audit, number, argument = 0 }: Call): string {
  const data = new Map([
    [0, number],
    [4, audit],
    [16, argument],
  ]);
  let accumulator = 0;
  for (let at = 0; at * 8 < program.length; at++) {
    const code = program.readUInt16LE(at * 8);
    const [then, otherwise] = [program.readUInt8(at * 8 + 2), program.readUInt8(at * 8 + 3)];
    const value = program.readUInt32LE(at * 8 + 4);
    if (code === 0x20) accumulator = data.get(value) ?? Number.NaN;
    else if (code === 0x06) return value === 0x7fff0000 ? 'allow' : `errno ${value - 0x00050000}`;
    else {
      const isTrue = code === 0x15 ? accumulator === value : code === 0x35 ? accumulator >= value : (accumulator & value) !== 0;
      at += isTrue ? then : otherwise;
    }
  }
  return 'ran off its end';
}

it.each([
  [
    'x64',
    X64,
    {
      connect: 42,
      execve: 59,
      execveat: 322,
      socket: 41,
      ptrace: 101,
      mount: 165,
      io_uring_setup: 425,
      pidfd_getfd: 438,
      userfaultfd: 323,
    },
  ],
  [
    'arm64',
    ARM64,
    {
      connect: 203,
      execve: 221,
      execveat: 281,
      socket: 198,
      ptrace: 117,
      mount: 40,
      io_uring_setup: 425,
      pidfd_getfd: 438,
      userfaultfd: 282,
    },
  ],
])('on %s, calls that a server process does not need fail with EPERM', (architecture, audit, calls) => {
  const program = callFilter(architecture, false) ?? Buffer.alloc(0);
  for (const [name, number] of Object.entries(calls)) expect([name, verdict(program, { audit, number })]).toEqual([name, 'errno 1']);
});

it.each([
  ['x64', X64, [0, 1, 17, 18, 45, 47, 53, 57, 75, 257, 285, 434], 56],
  ['arm64', ARM64, [63, 64, 67, 68, 207, 212, 199, 83, 56, 47, 434], 220],
])('on %s, reads, writes, syncs, passed descriptors, pairs of sockets and threads are allowed', (architecture, audit, calls, clone) => {
  const program = callFilter(architecture, false) ?? Buffer.alloc(0);
  for (const number of calls) expect([number, verdict(program, { audit, number })]).toEqual([number, 'allow']);
  // The filter allows fork, vfork and the start of threads. The filter refuses a new user namespace, and clone3, whose flags are in memory
  // that a filter cannot read.
  for (const argument of [0x11, 0x4111, 0x3d0f00]) expect(verdict(program, { audit, number: clone, argument })).toBe('allow');
  expect(verdict(program, { audit, number: clone, argument: 0x10000011 })).toBe('errno 1');
  expect(verdict(program, { audit, number: 435 })).toBe('errno 38');
});

it('a process whose event loop has an io_uring may enter it, and may not set up another one', () => {
  const program = callFilter('x64', true) ?? Buffer.alloc(0);
  expect([425, 426, 427].map((number) => verdict(program, { audit: X64, number }))).toEqual(['errno 1', 'allow', 'errno 1']);
  const without = callFilter('x64', false) ?? Buffer.alloc(0);
  expect(verdict(without, { audit: X64, number: 426 })).toBe('errno 1');
});

it('another architecture and the table of x32 get no call', () => {
  const program = callFilter('x64', false) ?? Buffer.alloc(0);
  expect(verdict(program, { audit: 0x40000003, number: 3 })).toBe('errno 1');
  expect(verdict(program, { audit: X64, number: 0x40000000 })).toBe('errno 1');
  expect(callFilter('riscv64', false)).toBeNull();
});
