// Functions of the C library that Node.js does not offer, each with its signature. The functions are called through koffi, an optional
// package with binaries for the usual platforms. The signatures, structures and numbers in this file are those of Linux on x86-64 and
// arm64. Invariants: koffi is loaded once, at its first use; if koffi or a function is missing, only the calls that need the missing part
// are null.

import { createRequire } from 'node:module';
import util from 'node:util';
import type * as Koffi from 'koffi';

type NativeFunction = ReturnType<Koffi.LibraryHandle['func']>;
export type Libc = ReturnType<typeof load>;

const ARCHITECTURES: readonly string[] = ['x64', 'arm64'];

let loaded: Libc | undefined;

/**
 * Returns a function that calls `bind` once, with the C library, and returns the result of `bind`. The returned function returns null if
 * koffi is not installed, the C library lacks a function, or the machine is not supported. A process must call the returned function before
 * it gives up its rights, because koffi reads files.
 */
export function throughLibc<T>(bind: (libc: Libc) => T): () => T | null {
  let bound: T | null | undefined;
  return () => {
    if (bound === undefined) {
      try {
        bound = process.platform === 'linux' && ARCHITECTURES.includes(process.arch) ? bind((loaded ??= load())) : null;
      } catch {
        bound = null;
      }
    }
    return bound;
  };
}

function load() {
  // An optional package cannot be imported statically, and no bundle can contain its binaries.
  const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
  const library = koffi.load(null);
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
    /** Calls a function in a thread. Resolves with 0 if the function returns 0, and otherwise with the errno. */
    inThread: (called: NativeFunction, ...values: readonly unknown[]): Promise<number> =>
      new Promise((resolve, reject) => {
        called.async(...values, (error: Error | null, result: number) => {
          if (error === null) resolve(result === 0 ? 0 : errno());
          else reject(error);
        });
      }),
    /** Calls a function in a thread. Resolves with its result, or with the negative errno if the result is negative. */
    resultInThread: (called: NativeFunction, ...values: readonly unknown[]): Promise<number> =>
      new Promise((resolve, reject) => {
        called.async(...values, (error: Error | null, result: number) => {
          if (error === null) resolve(result >= 0 ? result : -errno());
          else reject(error);
        });
      }),

    // Each of the following functions is bound when it is needed, because some C libraries lack some of these functions.
    fallocate: () => library.func('int fallocate(int file, int mode, int64_t offset, int64_t length)'),
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
