// Tests reports about failing storage with a fake clock: the first failure is reported at once, later failures are counted, and the failure
// ends when the same kind of I/O succeeds. The tests of attachments cover the texts in the log and in events.

import { FakeClock } from '@rsio/base/testing/fake-clock';
import { STORAGE_ERRORS_LOG_MS } from '@rsio/base/log/limits';
import { STATUS } from '@rsio/protocol/wire/status';
import { expect, test } from 'vitest';
import { StorageFailures } from './storage-failures.ts';

function scene(): { clock: FakeClock; errors: StorageFailures; said: string[] } {
  const clock = new FakeClock();
  const said: string[] = [];
  const errors: StorageFailures = new StorageFailures(clock, (word) => {
    said.push(`${word} ${errors.reported?.op} ${errors.reported?.status} ${errors.reported?.count}`);
  });
  return { clock, errors, said };
}

test('a hundred thousand failures make two reports, and a failure of another kind is reported at once', () => {
  const { clock, errors, said } = scene();
  for (let time = 0; time < 100_000; time++) errors.failed('write', STATUS.NO_SPACE);
  expect(said).toEqual(['storage-fails write 6 0']);
  errors.failed('flush', STATUS.IO_ERROR);
  expect(said).toHaveLength(2);
  clock.advance(STORAGE_ERRORS_LOG_MS);
  expect(said.slice(2)).toEqual(['storage-fails-on write 6 99999']);
});

test('the report ends when the same kind of I/O succeeds, not by silence alone', () => {
  const { clock, errors, said } = scene();
  errors.failed('write', STATUS.NO_SPACE);
  // Successes are reported to the class only while it fails.
  expect(errors.isFailing).toBe(true);
  clock.advance(10 * STORAGE_ERRORS_LOG_MS);
  errors.worked('read');
  clock.advance(STORAGE_ERRORS_LOG_MS);
  expect([said.length, errors.isFailing]).toEqual([1, true]);
  errors.worked('write');
  clock.advance(STORAGE_ERRORS_LOG_MS);
  expect([said.slice(1), errors.isFailing, clock.timersPending]).toEqual([['storage-works write 6 0'], false, 0]);
});

test('errors of the request or the holder are not reported, and nothing is reported after the end', () => {
  const { clock, errors, said } = scene();
  for (const status of [STATUS.READ_ONLY, STATUS.MISALIGNED, STATUS.TAKEN, STATUS.OUTCOME_UNKNOWN]) errors.failed('write', status);
  expect([said, clock.timersPending]).toEqual([[], 0]);
  errors.failed('read', STATUS.IO_ERROR);
  errors.failed('read', STATUS.IO_ERROR);
  errors.stop();
  clock.advance(10 * STORAGE_ERRORS_LOG_MS);
  expect([said.length, errors.isFailing, clock.timersPending]).toEqual([1, false, 0]);
});
