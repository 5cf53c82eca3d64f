// Tests which files belong to the chain of a backup, and every way in which a qcow2 file can name another file. These tests read only
// headers; complete backups with qemu's programs are tested in test/interop/backup.test.ts. Rules: G29.

import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BACKUP_BYTES, type HeaderParts, qcow2, writeBackup } from '../testing/backup-folder.ts';
import { chainUri, checkFree, readChain } from './backup-chain.ts';

let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rsio-chain-'));
});

afterEach(() => removeFolder(folder));

/**
 * Writes a full backup of the snapshot monday, and incremental backups of tuesday and wednesday. Returns the path of the backup of
 * wednesday.
 */
function week(): string {
  writeBackup(folder, 'db@monday.qcow2', 'm1', null, null);
  writeBackup(folder, 'db@tuesday.qcow2', 't1', 'db@monday.qcow2', 'm1');
  return writeBackup(folder, 'db@wednesday.qcow2', 'w1', 'db@tuesday.qcow2', 't1');
}

describe('the chain of a backup', () => {
  test('has the files that the descriptions name, and qemu is told each of them', async () => {
    const chain = await readChain(week(), false);
    const names = ['db@wednesday.qcow2', 'db@tuesday.qcow2', 'db@monday.qcow2'];
    expect(chain).toMatchObject({ names, sizeBytes: BACKUP_BYTES });
    expect(chain.records.map((record) => record?.snapshotId)).toEqual(['w1', 't1', 'm1']);
    const node = (filename: string, backing: object | null): object => ({ driver: 'qcow2', file: { driver: 'file', filename }, backing });
    expect(JSON.parse(chainUri(chain).slice('json:'.length))).toEqual(node(names[0]!, node(names[1]!, node(names[2]!, null))));
  });

  // Regression: if the base had been replaced by a backup of another snapshot, the restore mixed the blocks of two states. --verify then
  // compared the volume with the same mixture.
  test('with a base that was replaced by a backup of another snapshot is refused', async () => {
    const file = week();
    writeBackup(folder, 'db@tuesday.qcow2', 't2', 'db@monday.qcow2', 'm1');
    for (const isUnproven of [false, true])
      await expect(readChain(file, isUnproven)).rejects.toThrow(/db@tuesday.qcow2 is not the backup on which .*wednesday.qcow2 stands/);
    // A new backup of the same snapshot has the same content, so it is accepted.
    writeBackup(folder, 'db@tuesday.qcow2', 't1', null, null);
    expect((await readChain(file, false)).names).toEqual(['db@wednesday.qcow2', 'db@tuesday.qcow2']);
  });

  test('that does not tell which base it was made on is accepted only without proof', async () => {
    writeBackup(folder, 'db@monday.qcow2', 'm1');
    expect((await readChain(join(folder, 'db@monday.qcow2'), false)).names).toHaveLength(1);
    const file = writeBackup(folder, 'db@tuesday.qcow2', 't1', 'db@monday.qcow2');
    await expect(readChain(file, false)).rejects.toThrow(/does not tell which db@monday.qcow2 it stands on.*restore with --unproven/);
    expect((await readChain(file, true)).names).toEqual(['db@tuesday.qcow2', 'db@monday.qcow2']);
  });

  test('is refused if a file is missing or stands on itself', async () => {
    const file = week();
    rmSync(join(folder, 'db@monday.qcow2'));
    await expect(readChain(file, false)).rejects.toThrow(/There is no backup .*db@monday.qcow2/);
    writeBackup(folder, 'db@monday.qcow2', 'm1', 'db@wednesday.qcow2', 'w1');
    await expect(readChain(file, false)).rejects.toThrow(/stands on itself/);
    await expect(readChain(join(folder, 'none'), true)).rejects.toThrow(/There is no backup .*none \(ENOENT\)/);
  });
});

// Regression: a restore as root read any file or server that the header of a forged qcow2 file named.
describe('a file that names another one than its description', () => {
  const foreign = async (parts: HeaderParts, isUnproven: boolean): Promise<void> => {
    const file = week();
    writeFileSync(file, qcow2(parts));
    if (isUnproven) rmSync(`${file}.json`);
    await readChain(file, isUnproven);
  };
  test.each<[string, HeaderParts, RegExp]>([
    ['a path', { backing: '/etc/shadow' }, /stands on "\/etc\/shadow"/],
    ['a parent', { backing: '../db@tuesday.qcow2' }, /stands on "\.\.\/db/],
    ['a server', { backing: 'nbd://10.0.0.1/db' }, /stands on "nbd:\/\/10\.0\.0\.1\/db"/],
    ['an address in JSON', { backing: 'json:{"driver":"nbd"}' }, /it is not followed/],
    ['data elsewhere', { incompatible: 4, extensions: [[0x44_41_54_41, '/dev/sda']] }, /has its data in another file/],
    ['the name of data alone', { extensions: [[0x44_41_54_41, '/dev/sda']] }, /has its data in another file, "\/dev\/sda"/],
    ['a base of another format', { backing: 'db@tuesday.qcow2', extensions: [[0xe2_79_2a_ca, 'raw']] }, /stands on a file of format "raw"/],
    ['encryption', { crypt: 2 }, /is encrypted/],
  ])('%s is refused', async (_, parts, message) => {
    await expect(foreign(parts, false)).rejects.toThrow(message);
    await expect(foreign(parts, true)).rejects.toThrow(message);
  });

  test('is refused, too, if it is a link, another file, without a description, or with a wrong one', async () => {
    const file = week();
    const alone = join(folder, 'alone.qcow2');
    writeFileSync(alone, qcow2());
    await expect(readChain(alone, false)).rejects.toThrow(
      /has no description alone.qcow2.json: make a full backup; if you trust .*--unproven/,
    );
    expect((await readChain(alone, true)).names).toEqual(['alone.qcow2']);
    writeFileSync(file, qcow2({ backing: 'db@tuesday.qcow2', sizeBytes: 512 }));
    await expect(readChain(file, true)).rejects.toThrow(/has 512 bytes, and its description tells of 1048576/);
    week();
    rmSync(join(folder, 'db@tuesday.qcow2'));
    symlinkSync(alone, join(folder, 'db@tuesday.qcow2'));
    await expect(readChain(file, true)).rejects.toThrow(/There is no backup .*db@tuesday/);
    for (const base of ['../x', 'nbd:x', '/x']) {
      writeBackup(folder, 'db@wednesday.qcow2', 'w1', base, 't1');
      await expect(readChain(file, true)).rejects.toThrow(/wednesday.qcow2.json does not describe a backup/);
    }
    writeFileSync(`${file}.json`, '{');
    await expect(readChain(file, true)).rejects.toThrow(/does not describe a backup/);
    rmSync(`${file}.json`);
    symlinkSync('/dev/zero', `${file}.json`);
    await expect(readChain(file, true)).rejects.toThrow(/does not describe a backup/);
  });
});

test('a new backup replaces none, and does not take the place of the base of another one', async () => {
  week();
  const monday = join(folder, 'db@monday.qcow2');
  await expect(checkFree(monday, 'm1')).rejects.toThrow(/exists, and no backup is ever replaced: choose another directory/);
  rmSync(monday);
  await expect(checkFree(monday, 'm2')).rejects.toThrow(/tuesday.qcow2 stands on the former db@monday.qcow2, which is missing/);
  await checkFree(monday, 'm1');
  await checkFree(join(folder, 'db@thursday.qcow2'), 'h1');
});
