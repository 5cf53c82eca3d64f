// ioctl(2) for devices and file systems; loop-device.ts knows the requests. Invariant: calls that can wait for storage run in a thread, so
// that they do not block the event loop.

import { RsError } from '@rsio/common/lib/errors';
import { callFailure, throughLibc } from '../../machine/libc.ts';

export interface DeviceCalls {
  /** Runs in a thread, changes `structure` in place. Throws an error with the errno in `code`. */
  call(descriptor: number, request: number, structure: Buffer | null, what: string): Promise<void>;
  /** Returns the result, which is at least 0. For calls that do not wait. Throws an error with the errno in `code`. */
  callNow(descriptor: number, request: number, what: string): number;
}

const bound = throughLibc(({ errno, inThread, ...libc }): DeviceCalls => {
  const called = libc.ioctl();
  return {
    call: async (descriptor, request, structure, what) => {
      const failed = await inThread(called, descriptor, request, structure);
      if (failed !== 0) throw callFailure(what, failed);
    },
    callNow: (descriptor, request, what) => {
      const result = Number(called(descriptor, request, null));
      if (result < 0) throw callFailure(what, errno());
      return result;
    },
  };
});

/** Throws E_SYSTEM if koffi is not installed. */
export function deviceCalls(): DeviceCalls {
  const calls = bound();
  if (calls === null) throw new RsError('E_SYSTEM', "A shared disk cannot be used: install koffi, which comes with RSIO's packages");
  return calls;
}
