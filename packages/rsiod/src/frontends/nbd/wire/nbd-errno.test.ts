// Every status gives an error number that the NBD protocol document allows. The test repeats the list of allowed numbers. The position of
// the number in a reply is tested in nbd-codec.test.ts.

import { describe, expect, it } from 'vitest';
import { STATUS, STATUSES, type Status } from '@rsio/protocol/wire/status';
import { NBD_ERRNO, nbdErrno } from './nbd-errno.ts';

describe('nbdErrno', () => {
  it('gives every status a number that NBD knows, and success only to OK', () => {
    const known: number[] = Object.values(NBD_ERRNO);
    for (const entry of STATUSES) {
      const errno = nbdErrno(entry.status as Status, false);
      expect(known).toContain(errno);
      expect(errno === 0).toBe(entry.status === STATUS.OK);
    }
  });

  it('distinguishes requests beyond the end that need space from those that do not', () => {
    expect(nbdErrno(STATUS.PAST_END, true)).toBe(28);
    expect(nbdErrno(STATUS.PAST_END, false)).toBe(22);
  });

  it('distinguishes the other errors as far as NBD can', () => {
    expect(nbdErrno(STATUS.READ_ONLY, true)).toBe(1);
    expect(nbdErrno(STATUS.NO_SPACE, true)).toBe(28);
    expect(nbdErrno(STATUS.MISALIGNED, true)).toBe(22);
    expect(nbdErrno(STATUS.OUT_OF_MEMORY, false)).toBe(12);
    expect(nbdErrno(STATUS.UNSUPPORTED, true)).toBe(95);
    expect(nbdErrno(STATUS.SHUTTING_DOWN, false)).toBe(108);
    expect(nbdErrno(STATUS.TAKEN, true)).toBe(5);
    expect(nbdErrno(99 as Status, true)).toBe(5);
  });
});
