// Tests which states cause a warning, and that a healthy state causes none. program.test.ts shows how `status` prints them and that they
// change its exit code.

import { expect, test } from 'vitest';
import { pool, volume } from '../testing/server-views.ts';
import { warningsOf } from './server-warnings.ts';

const GIB = 1024 ** 3;

test('a healthy server has no warning', () => {
  expect(warningsOf([pool()], [volume()])).toEqual([]);
  expect(warningsOf([], [])).toEqual([]);
});

test.each<[number, string | null]>([
  [20.1, null],
  [20, '80%'],
  [10.1, '80%'],
  [10, '90%'],
  [5, '95%'],
  [0, '95%'],
])('a pool with %d of 100 GiB free is said to be full from %s on', (freeGib, percent) => {
  const warnings = warningsOf([pool({ freeBytes: freeGib * GIB })], []);
  const free = freeGib === 0 ? '0' : `${freeGib.toFixed(1)}G`;
  const text = `Pool fast is more than ${percent} full, ${free} are free: enlarge its file system, or remove volumes`;
  expect(warnings).toEqual(percent === null ? [] : [text]);
});

test('a pool of unknown size is not said to be full', () => {
  expect(warningsOf([pool({ totalBytes: null, freeBytes: null })], [])).toEqual([]);
  expect(warningsOf([pool({ totalBytes: 0, freeBytes: 0 })], [])).toEqual([]);
});

test('a pool that cannot be used has that warning only', () => {
  const lost = pool({ state: 'unavailable', reason: 'it is not mounted: mount it', freeBytes: 0, findings: ['x'] });
  expect(warningsOf([lost], [])).toEqual(['Pool fast cannot be used: it is not mounted: mount it']);
});

test('findings and volumes that are not served are warnings with a remedy', () => {
  const volumes = [
    volume({ state: 'unavailable', reason: 'its file is locked' }),
    volume({ name: 'x', state: 'unavailable', reason: null }),
  ];
  expect(warningsOf([pool({ findings: ['/srv/fast/x does not belong to the pool'] })], volumes)).toEqual([
    'Pool fast contains what its volumes do not explain: rsadm pool check fast shows it',
    'Volume oracle@0 is not served: its file is locked',
    'Volume x@0 is not served: see rsslogcat',
  ]);
});
