// Backups of a volume under writes: a full backup, and incremental backups that are based on the full one. Each backup is restored and
// compared with the content that the volume had at the moment of its snapshot. Further tests check the number of bytes that an incremental
// backup reads and writes, and refusals. Needs XFS and root; otherwise skipped with a reason. Invariant: a backup has the bytes of its
// snapshot, even under writes. Rules: G29.

import { copyFileSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Backup } from '@rsio/rsconfig/backup/backup';
import { expect, it } from 'vitest';
import { BLOCK, contentOf, MIB, qemuContent, TEST_MS, useBackupScene } from '../support/scenes/backup-scene.ts';

const SIZE_MIB = 8;
/** Number of backups: a full one and several incremental ones, so that some backups are neither the first nor the last. */
const GENERATIONS = 5;
const RESTORED = GENERATIONS - 2;
/**
 * Pause between writes during a backup. With such a pause, hundreds of writes still overlap with the backup, and the backup gets enough
 * processor time.
 */
const PAUSE_MS = 2;

const scene = useBackupScene();
const backups = (): string => path.join(scene.client.root, 'backups');
const fileOf = (name: string): string => path.join(backups(), `${name}.qcow2`);

it('an incremental backup reads and writes what has changed, and refuses what it could not make right', {
  timeout: TEST_MS,
}, async () => {
  const nbd = await scene.volume('db', SIZE_MIB);
  for (let at = 0; at < SIZE_MIB * MIB; at += MIB) await nbd.write(at, Buffer.alloc(MIB, `first ${at} `));
  await scene.server.rsadmWell('volume', 'snapshot', 'db@monday');
  await scene.client.rsconfigWell('backup', 'db@monday', backups());
  // One block in a hundred is changed.
  const changed = Math.floor((SIZE_MIB * MIB) / BLOCK / 100);
  for (let block = 0; block < changed; block++) await nbd.write(block * 100 * BLOCK, Buffer.alloc(BLOCK, `second ${block} `));
  await scene.server.rsadmWell('volume', 'snapshot', 'db@tuesday');
  expect((await scene.client.call('backups', {})).backups).toMatchObject([
    { namespace: 'osl', name: 'db', universe: 0, snapshot: 'monday' },
  ]);
  const tuesday = await scene.client.rsconfigWell('backup', 'db@tuesday', backups(), '--since', 'monday', '--json');
  expect((JSON.parse(tuesday) as Backup).readBytes).toBe(changed * BLOCK);
  // Besides the changed blocks, the file contains tables of qcow2.
  expect(statSync(fileOf('db@tuesday')).blocks * 512).toBeLessThan(2 * changed * BLOCK + MIB);
  const refused = (...args: readonly string[]): Promise<string> => scene.refused('backup', ...args);
  expect(await refused('db@tuesday', backups(), '--since', 'monday')).toMatch(/exists/);
  expect(await refused('db@tuesday', path.join(scene.client.root, 'other'), '--since', 'monday')).toMatch(/There is no backup/);
  expect(await refused('db@nosuch', backups())).toMatch(/has no snapshot nosuch/);
  // A later snapshot with the same name as the base must not be accepted as the base.
  await scene.server.rsadmWell('volume', 'remove', 'db@monday', '--yes');
  await scene.server.rsadmWell('volume', 'snapshot', 'db@monday');
  await scene.server.rsadmWell('volume', 'snapshot', 'db@wednesday');
  expect(await refused('db@wednesday', backups(), '--since', 'monday')).toMatch(/the older snapshot is not there any more/);
  // A damaged base is refused, and the attempt leaves no file.
  const described = readFileSync(`${fileOf('db@tuesday')}.json`);
  writeFileSync(`${fileOf('db@tuesday')}.json`, '{');
  expect(await refused('db@wednesday', backups(), '--since', 'tuesday')).toMatch(/does not describe a backup/);
  renameSync(fileOf('db@monday'), `${fileOf('db@monday')}.away`);
  // If the base is missing and another file has the name of the base, backups that need the base must be refused.
  writeFileSync(`${fileOf('db@tuesday')}.json`, described);
  expect(await refused('db@monday', backups())).toMatch(/tuesday.qcow2 stands on the former db@monday.qcow2/);
  const elsewhere = path.join(scene.client.root, 'elsewhere');
  await scene.client.rsconfigWell('backup', 'db@monday', elsewhere);
  for (const end of ['', '.json']) copyFileSync(path.join(elsewhere, `db@monday.qcow2${end}`), `${fileOf('db@monday')}${end}`);
  const mixed = await scene.client.rsconfig('restore', fileOf('db@tuesday'), 'copy', '--yes', '--verify');
  expect([mixed.code, mixed.stderr]).toEqual([2, expect.stringMatching(/monday.qcow2 is not the backup on which .*tuesday.qcow2 stands/)]);
  expect(await refused('db@wednesday', backups(), '--since', 'tuesday')).toMatch(/monday.qcow2 is not the backup on which/);
  expect(readdirSync(backups()).filter((name) => name.includes('.part') || name.includes('wednesday'))).toEqual([]);
  expect(await scene.client.rsconfigWell('-l')).not.toMatch(/@monday|@tuesday|@wednesday/);
  const made = await scene.client.rsconfigWell('backup', 'db', backups());
  expect(made).toMatch(new RegExp(`^osl:db@0@backup-\\d{8}-\\d{6} is backed up as .*db@backup-\\d{8}-\\d{6}\\.qcow2: ${SIZE_MIB}`));
});

it('five generations of a volume under writes, each restored and compared', { timeout: TEST_MS }, async () => {
  const nbd = await scene.volume('live', SIZE_MIB);
  for (let at = 0; at < SIZE_MIB * MIB; at += 2 * MIB) await nbd.write(at, Buffer.alloc(MIB, `first ${at} `));
  const contents: Buffer[] = [];
  for (let generation = 0; generation < GENERATIONS; generation++) {
    // Writes continue during the snapshot and the backup, in their own part of the volume.
    let goesOn = true;
    const writing = (async () => {
      for (let write = 0; goesOn; write++) {
        await nbd.write(SIZE_MIB * MIB - (1 + (write % 64)) * BLOCK, Buffer.alloc(BLOCK, `${generation} ${write} `));
        await sleep(PAUSE_MS);
      }
    })();
    const name = `g${generation}`;
    await scene.server.rsadmWell('volume', 'snapshot', `live@${name}`);
    await scene.client.call('attach', { names: [`live@${name}`], readOnly: true, server: null, take: 'no' });
    const snapshot = await scene.open(`live@${name}`);
    contents.push(await contentOf(snapshot, SIZE_MIB));
    snapshot.close();
    const since = generation === 0 ? [] : ['--since', `g${generation - 1}`];
    const said = JSON.parse(await scene.client.rsconfigWell('backup', `live@${name}`, backups(), ...since, '--json')) as Backup;
    expect(said.base).toBe(generation === 0 ? null : `live@g${generation - 1}.qcow2`);
    if (said.readBytes !== null) expect(said.readBytes).toBeLessThan(MIB);
    goesOn = false;
    await writing;
    for (let write = 0; write < 20; write++)
      await nbd.write(((write * 7_919 + generation * 131) % 1_000) * BLOCK, Buffer.alloc(BLOCK, `${generation} ${write} `));
    await nbd.trim(generation * MIB, 64 * 1024);
    await nbd.flush();
  }
  for (const [generation, content] of contents.entries()) {
    const backup = await qemuContent(scene.client, fileOf(`live@g${generation}`));
    expect(backup.equals(content), `generation ${generation}`).toBe(true);
  }
  const chain = fileOf(`live@g${RESTORED}`);
  // Restores to a volume that already has other content.
  const copy = await scene.volume('copy', SIZE_MIB);
  await copy.write(0, Buffer.alloc((SIZE_MIB / 2) * MIB, 'old'));
  await copy.flush();
  copy.close();
  expect((await scene.client.rsconfig('restore', chain, 'copy', '--yes')).stderr).toMatch(/copy@0 is attached here.*: detach it first/);
  await scene.client.rsconfigWell('-d', 'copy');
  expect(await scene.client.rsconfigWell('restore', chain, 'copy', '--yes', '--verify')).toMatch(
    new RegExp(`osl:copy@0 is restored from .*: ${SIZE_MIB}`),
  );
  await scene.client.rsconfigWell('-a', 'copy');
  expect((await contentOf(await scene.open('copy'), SIZE_MIB)).equals(contents[RESTORED]!)).toBe(true);
});
