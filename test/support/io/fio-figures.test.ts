// Tests that the figures are read correctly from outputs of fio. The outputs here are shortened to the relevant part. The test does not run
// fio, because every measurement runs it.

import { expect, test } from 'vitest';
import { fioJob, medianUs, onlySide } from './fio-figures.ts';

const NONE = { iops: 0, bw_bytes: 0, io_bytes: 0, clat_ns: { mean: 0, max: 0 }, lat_ns: { mean: 0 } };
const SOME = { ...NONE, iops: 250, bw_bytes: 1e6, io_bytes: 4e6, lat_ns: { mean: 90_000, percentile: { '50.000000': 71_000 } } };

function answer(job: object): string {
  return JSON.stringify({ jobs: [job] });
}

test('the job is found behind the messages that fio prints first', () => {
  const job = fioJob(`fio: this and that\n${answer({ error: 0, read: SOME, write: NONE })}`);
  expect(onlySide(job)).toEqual(SOME);
  expect(medianUs(onlySide(job))).toBe(71);
});

test('a write-only run gives figures of writes; without percentiles the mean is used', () => {
  const written = { ...SOME, lat_ns: { mean: 90_000 } };
  const job = fioJob(answer({ error: 0, read: NONE, write: written }));
  expect(onlySide(job)).toEqual(written);
  expect(medianUs(written)).toBe(90);
});

test.each([answer({ error: 5, read: SOME, write: NONE }), '{"jobs":[]}', 'fio: no such engine'])('%s gives no figures', (stdout) => {
  expect(() => fioJob(stdout)).toThrow('fio failed');
});
