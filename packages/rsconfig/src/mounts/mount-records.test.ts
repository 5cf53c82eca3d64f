// Tests that only the mount of a record counts as that mount, whatever uses its directory and its device number later, and that the file of
// the records survives.

import { mkdtempSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { rsiodPaths } from '@rsio/common/config/root-paths';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isOfRecord, type MountRecord, type Present, withMounts } from './mount-records.ts';

const RECORD: MountRecord = {
  ...{ directory: '/mnt', source: 'osl:db@0@monday', volumeId: 'v1', folder: null, server: null, device: null, backingFile: null },
  ...{ type: 'xfs', partition: null, journal: 'clean' },
};
const IMAGE: MountRecord = { ...RECORD, folder: '/run/i', server: { pid: 7, startTicks: '1' } };
const DEAD: MountRecord = { ...RECORD, device: '7:3', backingFile: '/dev/av0/r' };
const NUMBERS: Readonly<Record<string, string>> = { '/dev/av0/db@monday': '7:3', '/dev/loop3': '7:3', '/dev/loop5': '7:5' };
const facts = {
  numberOf: (file: string) => NUMBERS[file] ?? null,
  members: (number: string) => [number],
  // 7:5 is a loop device for a partition.
  above: (number: string) => (number === '7:3' ? ['7:5'] : []),
};
const NOW: Present = {
  ...{ top: { device: '7:3', source: '/dev/loop3' }, blockDevice: '/dev/av0/db@monday' },
  ...{ isServed: false, backingFile: null },
};
const SERVED: Present = { ...NOW, top: { device: '7:8', source: '/dev/loop8' }, blockDevice: null, isServed: true };

describe('isOfRecord', () => {
  it.each<[string, MountRecord, Present, boolean]>([
    ['the device', RECORD, NOW, true],
    ['a partition of the device', RECORD, { ...NOW, top: { device: '7:5', source: '/dev/loop5' } }, true],
    ['btrfs on the device', RECORD, { ...NOW, top: { device: '0:44', source: '/dev/loop3' } }, true],
    ['nothing', RECORD, { ...NOW, top: undefined }, false],
    ['another device', RECORD, { ...NOW, top: { device: '8:1', source: '/dev/sda1' } }, false],
    ['a tmpfs', RECORD, { ...NOW, top: { device: '0:44', source: 'none' } }, false],
    ['the same number after the volume was detached', RECORD, { ...NOW, blockDevice: null }, false],
    ['the device has no number', RECORD, { ...NOW, blockDevice: '/dev/av0/gone' }, false],
    ['the loop device that a killed rsiod has left', DEAD, { ...NOW, blockDevice: '/dev/gone', backingFile: '/dev/av0/r' }, true],
    ['its number, with another backing file', DEAD, { ...NOW, blockDevice: '/dev/gone', backingFile: '/tmp/x' }, false],
    ['its number, without a backing file', { ...DEAD, backingFile: null }, { ...NOW, blockDevice: null }, false],
    ['the image', { ...IMAGE, device: '7:8' }, SERVED, true],
    ['another device than that of the image', { ...IMAGE, device: '7:9' }, SERVED, false],
    ['the same number after the image server has ended', { ...IMAGE, device: '7:8' }, { ...SERVED, isServed: false }, false],
    ['an image whose mount was not recorded', IMAGE, { ...SERVED, backingFile: '/run/i/image' }, true],
    ['another image', IMAGE, { ...SERVED, backingFile: '/run/other/image' }, false],
    ['the volume itself instead of its image', IMAGE, NOW, false],
  ])('%s', (_, record, present, is) => {
    expect(isOfRecord(record, present, facts)).toBe(is);
  });
});

describe('the records', () => {
  let root = '';
  beforeEach(() => {
    root = mkdtempSync(path.join(tmpdir(), 'rsio-mounts-'));
  });
  afterEach(() => removeFolder(root));

  it('are found by the next command, each directory once', async () => {
    const context = { paths: rsiodPaths(root), clock: new FakeClock() };
    await withMounts(context, async (records) => {
      await records.put(RECORD);
      await records.put({ ...RECORD, directory: '/other' });
      await records.put({ ...RECORD, journal: 'skipped' });
    });
    expect(statSync(context.paths.mountsFile).mode & 0o777).toBe(0o600);
    const left = await withMounts(context, async (records) => {
      expect(records.of('/mnt')?.journal).toBe('skipped');
      await records.remove('/mnt');
      return await records.load();
    });
    expect(left.map(({ directory }) => directory)).toEqual(['/other']);
  });

  it('have a bound', async () => {
    const context = { paths: rsiodPaths(root), clock: new FakeClock() };
    await withMounts(context, async (records) => {
      for (let at = 0; at < 256; at++) await records.put({ ...RECORD, directory: `/${at}` });
      await expect(records.put(RECORD)).rejects.toThrow('rsconfig has mounted 256 file systems');
      await records.put({ ...RECORD, directory: '/0' });
    });
  });
});
