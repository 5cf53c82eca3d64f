// Tests the log lines of failing storage, with a fake clock: the first error with its remedy, and the count of further errors.
// test/bad-input/storage.test.ts has real storage that fails.

import { expect, test } from 'vitest';
import { type Log, quietLog } from '@rsio/base/log/log';
import { STORAGE_ERRORS_LOG_MS } from '@rsio/base/log/limits';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { StorageErrorLog } from './storage-error-log.ts';
import { servedVolume } from '../testing/backend-scene.ts';

function scene(): { clock: FakeClock; errors: StorageErrorLog; lines: string[] } {
  const lines: string[] = [];
  const log: Log = { ...quietLog, error: (line) => void lines.push(line) };
  const clock = new FakeClock();
  return { clock, lines, errors: new StorageErrorLog(servedVolume({ name: 'oracle', path: '/vol/oracle' }), clock, log) };
}

test.each([
  ['ENOSPC', 'Volume oracle: write of /vol/oracle failed (ENOSPC): free space there'],
  ['EIO', "Volume oracle: write of /vol/oracle failed (EIO): find the cause in the system's log (dmesg)"],
  [
    'SHORT_READ',
    'Volume oracle: write of /vol/oracle failed (it is shorter than the volume): it was truncated while rssrv served it; restore it',
  ],
])('%s is told with volume, file and remedy', (errno, line) => {
  const { errors, lines } = scene();
  errors.note('write', errno);
  expect(lines).toEqual([line]);
});

test('a hundred thousand errors make two lines, and another kind is logged at once', () => {
  const { clock, errors, lines } = scene();
  for (let time = 0; time < 100_000; time++) errors.note('write', 'ENOSPC');
  expect(lines).toHaveLength(1);
  errors.note('flush', 'ENOSPC');
  expect(lines).toHaveLength(2);
  clock.advance(STORAGE_ERRORS_LOG_MS);
  expect(lines.slice(2)).toEqual(['Volume oracle: write failed 99999 times more in 10 s (ENOSPC)']);
});

test('after a time without errors the next one is logged in full, and no timer is left', () => {
  const { clock, errors, lines } = scene();
  errors.note('read', 'EIO');
  errors.note('read', 'EIO');
  clock.advance(2 * STORAGE_ERRORS_LOG_MS);
  expect(clock.timersPending).toBe(0);
  expect(lines).toHaveLength(2);
  errors.note('read', 'EIO');
  expect(lines[2]).toBe(lines[0]);
});
