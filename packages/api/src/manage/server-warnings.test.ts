// Tests which states cause a warning, and that a healthy state causes none. program.test.ts shows how `status` prints warnings, and that
// warnings change the exit code of `status`.

import { expect, test } from 'vitest';
import { pool, volume } from '../testing/server-views.ts';
import { changeWarnings, driftWarnings, warningsOf } from './server-warnings.ts';

const GIB = 1024 ** 3;

test('a healthy server has no warning', () => {
  expect(warningsOf([pool()], [volume()])).toEqual([]);
  expect(warningsOf([], [])).toEqual([]);
});

test('a pool is said to be full from the percentage on that the server reports', () => {
  const warnings = warningsOf([pool({ fullPercent: 90, freeBytes: 9 * GIB })], []);
  expect(warnings).toEqual(['Pool fast is more than 90% full, 9.0G are free: enlarge its file system, or remove volumes']);
});

test('a pool with less than its reserve free says that writes wait, and not that it is full', () => {
  const text =
    'Pool fast has less than its reserve free (4.0G), and writes that need new space wait: enlarge its file system, or remove volumes';
  expect(warningsOf([pool({ isShort: true, fullPercent: 95, freeBytes: 4 * GIB })], [])).toEqual([text]);
});

test('a volume whose writes wait is a warning', () => {
  const text = 'Writes to volume oracle@0 wait for space in pool fast: enlarge its file system, or remove volumes';
  expect(warningsOf([], [volume({ waitsForSpace: true })])).toEqual([text]);
  const several = volume({ waitsForSpace: true, fullPool: 'b' });
  expect(warningsOf([], [several])).toEqual([text.replace('fast', 'b')]);
});

test('a volume for which an image answers is a warning', () => {
  expect(warningsOf([], [volume({ bridged: { reads: 1, lastMs: 5 } })])).toEqual([
    "The storage of volume oracle@0 failed at 1 READ, which an image answered: find the cause in the system's log (dmesg), keep the image, and copy the volume on a client before pool fast fails",
  ]);
});

test('a shared pool that another server serves needs no action', () => {
  expect(warningsOf([pool({ state: 'elsewhere', reason: 'served by big-8', freeBytes: null, totalBytes: null })], [])).toEqual([]);
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

test('a pool that is full within a week at its pace is a warning, unless it is short of space already', () => {
  const pace = (days: number) => ({ week: { bytesPerDay: GIB, fullInMs: days * 86_400_000 }, month: null });
  expect(warningsOf([pool({ pace: pace(7) })], [])).toEqual([]);
  expect(warningsOf([pool({ pace: pace(5.5) })], [])).toEqual([
    'Pool fast is full in 5 days if it grows as in the last 7 days, 60.0G are free: enlarge its file system, or remove volumes',
  ]);
  expect(warningsOf([pool({ pace: pace(0), isShort: true })], [])).toHaveLength(1);
});

test('a change that lasts is a warning that names it, who asked, and how many wait', () => {
  const change = { what: 'volume db, which is being created by client venus', sinceMs: 1_000, waiting: 2 };
  expect(changeWarnings(null, 99_000)).toEqual([]);
  expect(changeWarnings(change, 5_900)).toEqual([]);
  expect(changeWarnings(change, 31_500)).toEqual([
    'The server has been busy for 30s with volume db, which is being created by client venus, and 2 other changes wait for it: ' +
      'if it hangs, check the file systems of the pools',
  ]);
});

test('a schedule of snapshots that fails is a warning; an old snapshot in use is none', () => {
  const schedule = { text: 'hourly keep 2', lastMs: null, failedMs: 5, failure: 'the pool is full', skipped: null };
  const remedy = 'correct this, and the server makes one within 10 minutes';
  expect(warningsOf([], [volume({ schedule })])).toEqual([
    `Volume oracle@0 gets no snapshots by its schedule, there is none yet: the pool is full; ${remedy}`,
  ]);
  expect(warningsOf([], [volume({ schedule: { ...schedule, failure: null, skipped: 'in use' } })])).toEqual([]);
});

test('what apply changes, and what only apply --prune removes, are different warnings', () => {
  const shown = { server: 'b1', namespaceid: 200, applied: null, drift: [], extra: [], secondKeys: [] };
  expect([driftWarnings(null), driftWarnings(shown)]).toEqual([[], []]);
  expect(driftWarnings({ ...shown, extra: ['client peer-a1', 'peer a1'] })).toEqual([
    'Server b1 has what the file of its namespace does not name (client peer-a1, and 1 other; rsadm drift has all): ' +
      'write them into the file (rsio-namespace(5) says how), or apply --prune removes them, which ends the copies from a peer',
  ]);
  expect(driftWarnings({ ...shown, drift: ['client c: the right use -> admin'], extra: ['client d'] })).toEqual([
    'Server b1 differs from the file of its namespace (client c: the right use -> admin; rsadm drift has all): rsadm apply FILE makes it as the file says',
    'Server b1 has what the file of its namespace does not name (client d; rsadm drift has all): ' +
      'write it into the file (rsio-namespace(5) says how), or apply --prune removes it',
  ]);
});
