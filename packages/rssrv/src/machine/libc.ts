// The door to the kernel: functions of the C library that Node.js does not offer, each with its signature. The functions are called through
// koffi. The signatures, structures and numbers in this file are those of Linux on x86-64 and arm64. A call in a thread occupies a thread of
// libuv's pool, like the calls of node:fs, until the kernel answers; the callers bound how many calls hang. Invariants: koffi is loaded
// once, at its first use; at most CALLS_IN_THREADS_MAX calls are with koffi, which refuses more than 256.

import { createRequire } from 'node:module';
import util from 'node:util';
import { assert } from '@rsio/base/lib/assert';
import { RsError } from '@rsio/base/lib/errors';
import { GrowingQueue } from '@rsio/base/lib/growing-queue';
import { loadNative } from '@rsio/base/lib/native-library';
import type * as Koffi from 'koffi';
import { CALLS_IN_THREADS_MAX } from './limits.ts';

type NativeFunction = ReturnType<Koffi.LibraryHandle['func']>;
export type Libc = ReturnType<typeof load>;

const ARCHITECTURES: readonly string[] = ['x64', 'arm64'];

let loaded: Libc | undefined;

/**
 * Returns a function that calls `bind` once, with the C library, and returns the result of `bind`. The returned function throws E_SYSTEM if
 * koffi cannot be loaded or the machine is not supported. A process must call the returned function before it gives up its rights, because
 * koffi reads files.
 */
export function throughLibc<T>(bind: (libc: Libc) => T): () => T {
  let bound: { readonly calls: T } | undefined;
  return () => (bound ??= { calls: bind(libc()) }).calls;
}

/** Returns the C library. Throws E_SYSTEM if this machine is not supported, so that rssrv calls this function at its start. */
export function libc(): Libc {
  const { platform, arch } = process;
  if (platform !== 'linux' || !ARCHITECTURES.includes(arch))
    throw new RsError('E_SYSTEM', `rssrv cannot run on ${platform}-${arch}: use a machine with Linux on x86-64 or arm64`, {
      platform,
      arch,
    });
  loaded ??= load();
  return loaded;
}

function load() {
  const { koffi, library } = loadNative(() => {
    // koffi cannot be imported statically, because no bundle can contain its binaries.
    const loadedKoffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
    return { koffi: loadedKoffi, library: loadedKoffi.load(null) };
  });
  const { errno } = koffi;
  const pointerTo = (fields: Record<string, string | Koffi.TypeObject>): Koffi.TypeObject => koffi.pointer(koffi.struct(fields));
  const message = pointerTo({
    name: 'void *',
    nameLength: 'uint32_t',
    pieces: pointerTo({ base: 'void *', length: 'size_t' }),
    count: 'size_t',
    control: 'void *',
    controlLength: 'size_t',
    flags: 'int',
  });
  const waiting = new GrowingQueue<() => void>();
  let running = 0;
  const start = (called: NativeFunction, values: readonly unknown[], end: (result: number) => void): void => {
    const begin = (): void => {
      running++;
      called.async(...values, (error: Error | null, result: number) => {
        const failed = errno();
        assert(error === null, 'A function of the C library was called with wrong values');
        running--;
        waiting.shift()?.();
        end(result >= 0 ? result : -failed);
      });
    };
    if (running < CALLS_IN_THREADS_MAX) begin();
    else waiting.push(begin);
  };
  return {
    /**
     * Returns the errno of the call that has just failed. For a call in a thread, the errno is correct only within the callback of this
     * call.
     */
    errno,
    address: (bytes: Uint8Array): number => Number(koffi.address(bytes)),
    /** Throws an error with the errno in `code` if `result`, the result of a call, is not 0. */
    check: (result: number, what: string): void => {
      if (Number(result) !== 0) throw callFailure(what, errno());
    },
    /** Calls a function in a thread. Calls `end` with its result, or with the negative errno if the result is negative. */
    start,
    /** Calls a function in a thread. Resolves with 0 if the function succeeds, and otherwise with the errno. */
    inThread: (called: NativeFunction, ...values: readonly unknown[]): Promise<number> =>
      new Promise((resolve) => start(called, values, (result) => resolve(result < 0 ? -result : 0))),
    /** Calls a function in a thread. Resolves with its result, or with the negative errno if the result is negative. */
    resultInThread: (called: NativeFunction, ...values: readonly unknown[]): Promise<number> =>
      new Promise((resolve) => start(called, values, resolve)),

    // Each of the following functions is bound when it is needed, because some C libraries lack preadv2.
    descriptorCopy: () => library.func('int fcntl(int file, int command, int64_t lowest)'),
    fallocate: () => library.func('int fallocate(int file, int mode, int64_t offset, int64_t length)'),
    fileLock: () => library.func('int fcntl(int file, int command, void *lock)'),
    flock: () => library.func('int flock(int file, int operation)'),
    getsockopt: () => library.func('int getsockopt(int socket, int level, int option, _Out_ void *value, _Inout_ uint32_t *length)'),
    ioctl: () => library.func('int ioctl(int file, uint64_t request, void *structure)'),
    lseek: () => library.func('int64_t lseek(int file, int64_t offset, int whence)'),
    posixFadvise: () => library.func('int posix_fadvise(int file, int64_t offset, int64_t length, int advice)'),
    prctl: () => library.func('int prctl(int option, uint64_t value, uint64_t zero, uint64_t zero, uint64_t zero)'),
    prctlText: () => library.func('int prctl(int option, const char *text, uint64_t zero, uint64_t zero, uint64_t zero)'),
    preadv2: () => library.func('int64_t preadv2(int file, void *pieces, int count, int64_t position, int flags)'),
    recvmsg: () => library.func('recvmsg', 'int64_t', ['int', koffi.inout(message), 'int']),
    sendmsg: () => library.func('sendmsg', 'int64_t', ['int', message, 'int']),
    setgroups: () => library.func('int setgroups(size_t count, void *groups)'),
    setresgid: () => library.func('int setresgid(uint32_t real, uint32_t effective, uint32_t saved)'),
    setresuid: () => library.func('int setresuid(uint32_t real, uint32_t effective, uint32_t saved)'),
    setrlimit: () => library.func('setrlimit', 'int', ['int', pointerTo({ soft: 'uint64_t', hard: 'uint64_t' })]),
    socketpair: () => library.func('int socketpair(int domain, int type, int protocol, _Out_ int *sockets)'),
    /** seccomp is called with syscall(2), because the C library has no function for it. */
    seccomp: () =>
      library.func('syscall', 'int64_t', ['int64_t', 'int64_t', 'int64_t', pointerTo({ length: 'uint16_t', program: 'void *' })]),
  };
}

/** Returns an error that names the failed call, with the name of the errno in `code`. */
export function callFailure(what: string, errno: number): Error {
  const code = util.getSystemErrorName(-errno);
  return Object.assign(new Error(`${what} failed with ${code}`), { code });
}
