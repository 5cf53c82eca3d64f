// Tests the table of statuses: each number occurs once, at its own index, with its own errno and sentence. An unknown status keeps its
// number. nbd-errno.test.ts tests the numbers of NBD.

import { expect, test } from 'vitest';
import { STATUS, STATUSES, statusEntry, statusOfErrno } from './status.ts';

test('every status is at its index, with its name', () => {
  expect(STATUSES.map(({ status }) => status)).toEqual(STATUSES.map((_entry, index) => index));
  expect(Object.fromEntries(STATUSES.map(({ name, status }) => [name, status]))).toEqual(STATUS);
});

test('errno and sentence are one to one', () => {
  for (const key of ['errno', 'sentence'] as const) expect(new Set(STATUSES.map((entry) => entry[key])).size).toBe(STATUSES.length);
  for (const { sentence } of STATUSES) expect(sentence).toMatch(/^[A-Z].*[^.]$/);
});

test('an unknown status is an I/O error and keeps its number', () => {
  expect(statusEntry(999)).toMatchObject({ status: 999, name: 'STATUS_999', errno: 'EIO' });
  expect(statusEntry(STATUS.STALE).name).toBe('STALE');
});

test('storage errors map to distinct statuses', () => {
  const expected: readonly (readonly [string | undefined, number])[] = [
    ['ENOSPC', STATUS.NO_SPACE],
    ['EDQUOT', STATUS.NO_SPACE],
    ['EFBIG', STATUS.NO_SPACE],
    ['EROFS', STATUS.READ_ONLY],
    ['EBADF', STATUS.READ_ONLY],
    ['ENOMEM', STATUS.OUT_OF_MEMORY],
    ['EOPNOTSUPP', STATUS.UNSUPPORTED],
    ['EIO', STATUS.IO_ERROR],
    ['EUNHEARDOF', STATUS.IO_ERROR],
    [undefined, STATUS.IO_ERROR],
  ];
  for (const [errno, status] of expected) expect([errno, statusOfErrno(errno)]).toEqual([errno, status]);
});
