// ioctl(2) for devices and file systems; loop-device.ts knows the requests. Invariant: calls that can wait for storage run in a thread, so
// that they do not block the event loop.

import { callFailure, throughLibc } from '../../machine/libc.ts';

export interface DeviceCalls {
  /** Runs in a thread, changes `structure` in place. Throws an error with the errno in `code`. */
  call(descriptor: number, request: number, structure: Buffer | null, what: string): Promise<void>;
  /** Runs in a thread, changes `structure` in place. Resolves with the result, or with the negative errno. */
  result(descriptor: number, request: number, structure: Buffer): Promise<number>;
  /** Returns the result, which is at least 0. For calls that do not wait. Throws an error with the errno in `code`. */
  callNow(descriptor: number, request: number, what: string): number;
  /** Returns the address of the bytes, for a structure that points to them. The caller keeps the bytes until the call has ended. */
  address(bytes: Uint8Array): number;
}

/** Throws E_SYSTEM if the machine is not supported. */
export const deviceCalls = throughLibc(({ errno, inThread, resultInThread, address, ...libc }): DeviceCalls => {
  const called = libc.ioctl();
  return {
    call: async (descriptor, request, structure, what) => {
      const failed = await inThread(called, descriptor, request, structure);
      if (failed !== 0) throw callFailure(what, failed);
    },
    result: (descriptor, request, structure) => resultInThread(called, descriptor, request, structure),
    address,
    callNow: (descriptor, request, what) => {
      const result = Number(called(descriptor, request, null));
      if (result < 0) throw callFailure(what, errno());
      return result;
    },
  };
});
