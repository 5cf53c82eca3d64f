// Scheduled backups: runs that make full backups and increments, remove old chains and snapshots, and verify. Each backup that is left is
// restored and compared with what the volume had at that moment. Further tests cut a run with SIGKILL, fill the disk for backups, and mix
// runs with backups by hand. Needs XFS and root; otherwise skipped with a reason. Rules: G29, G49.

import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { misfit } from '@rsio/base/lib/shape';
import { BACKUP_RUN, type Done as Ran } from '@rsio/rsconfig/commands/backups/run';
import { BACKUP_VERIFY } from '@rsio/rsconfig/commands/backups/verify';
import { expect, it } from 'vitest';
import { reflinkDisk } from '../support/devices/reflink-disk.ts';
import type { Host } from '../support/hosts/host.ts';
import type { NbdIo } from '../support/io/nbd-io.ts';
import { BLOCK, contentOf, MIB, qemuContent, TEST_MS, useBackupScene } from '../support/scenes/backup-scene.ts';
import { loopbackMirrorPlaces, MirrorSite } from '../support/scenes/mirror-site.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const SIZE_MIB = 4;
const BEGIN_MS = 30_000;
const DAILY = ['--full-every', '7d', '--keep', '2'];

const scene = useBackupScene();

/** Creates and attaches a volume, and returns its NBD export and an empty directory for its backups. */
async function volumeOf(name: string): Promise<{ readonly nbd: NbdIo; readonly backups: string }> {
  const nbd = await scene.volume(name, SIZE_MIB);
  return { nbd, backups: path.dirname(scene.client.file(`backups-${name}/x`)) };
}

async function ran(name: string, backups: string, ...args: readonly string[]): Promise<Ran> {
  const { code, stdout, stderr } = await scene.client.rsconfig('backup-run', name, backups, ...args, '--json');
  const said: unknown = JSON.parse(stdout);
  // A run that reports a problem has made its backup, and ends with status 1.
  expect([code, stderr]).toEqual((said as Ran).problems.length === 0 ? [0, expect.anything()] : [1, expect.anything()]);
  expect(misfit(BACKUP_RUN.json!, said, 'exactly')).toBeNull();
  return said as Ran;
}

const refused = (...args: readonly string[]): Promise<string> => scene.refused(...args);

async function snapshotsOf(name: string, host = scene.server): Promise<string[]> {
  const { snapshots } = JSON.parse(await host.rsadmWell('volume', 'show', name, '--json')) as { snapshots: { snapshot: string }[] };
  return snapshots.map(({ snapshot }) => snapshot);
}

/** Changes the time in the description of a backup, as if it had been made so many days earlier. */
function makeOlder({ file }: Ran, days: number): void {
  const record = JSON.parse(readFileSync(`${file}.json`, 'utf8')) as { run: { madeMs: number } };
  record.run.madeMs -= days * 86_400_000;
  writeFileSync(`${file}.json`, JSON.stringify(record));
}

/** Changes one bit of a file, at the first place of the text. */
function flip(file: string, text: string): void {
  const bytes = readFileSync(file);
  const at = bytes.indexOf(text);
  bytes[at] = bytes[at]! ^ 1;
  writeFileSync(file, bytes);
}

const filesIn = (folder: string): string[] => readdirSync(folder).toSorted();
const nameOf = (one: Ran): string => path.basename(one.file);
const filesOf = (...runs: readonly Ran[]): string[] => runs.flatMap((one) => [nameOf(one), `${nameOf(one)}.json`]).toSorted();

/** Writes one block at each MiB, and returns the whole content. */
async function change(nbd: NbdIo, text: string, sizeMib = SIZE_MIB): Promise<Buffer> {
  for (let at = 0; at < sizeMib; at++) await nbd.write(at * MIB + BLOCK, Buffer.alloc(BLOCK, `${text} ${at} `));
  await nbd.flush();
  return contentOf(nbd, sizeMib);
}

it('full, increments, a new full: old chains and snapshots go, and all that is left can be restored', { timeout: TEST_MS }, async () => {
  const { nbd, backups } = await volumeOf('db');
  expect(await refused('backup-run', 'db', backups, ...DAILY)).toMatch(/has no backup of osl:db@0 by backup-run: mount the disk.*--begin/);
  expect(await refused('backup-run', 'db', `${backups}-not`, ...DAILY, '--begin')).toMatch(/There is no directory .*: mount the disk/);
  expect(filesIn(backups)).toEqual([]);
  await scene.server.rsadmWell('volume', 'snapshot', 'db@monday');
  const runs: Ran[] = [];
  const contents: Buffer[] = [];
  const next = async (...args: readonly string[]): Promise<Ran> => {
    contents.push(await change(nbd, `run ${runs.length}`));
    runs.push(await ran('db', backups, ...args));
    return runs.at(-1)!;
  };
  expect(await next(...DAILY, '--begin')).toMatchObject({ full: 'there is none yet', readBytes: null, removedSnapshots: [] });
  expect(await refused('backup-run', 'db', backups, ...DAILY, '--begin')).toMatch(/has backups of osl:db@0: leave out --begin/);
  const [first] = runs;
  // Two runs may begin in one second.
  expect(await next(...DAILY, '--verify')).toMatchObject({ full: null, readBytes: SIZE_MIB * BLOCK, base: nameOf(first!) });
  expect(await next(...DAILY)).toMatchObject({ full: null, removedBackups: [], removedSnapshots: [runs[1]!.snapshot.split('@')[2]] });
  expect(await snapshotsOf('db')).toEqual(['monday', runs[2]!.snapshot.split('@')[2]]);
  // A file that no description names, and backups of another volume, stay.
  writeFileSync(path.join(backups, 'db@other.qcow2'), 'other');
  makeOlder(first!, 8);
  expect(await next(...DAILY)).toMatchObject({ full: 'the newest full backup is 8 days old', removedBackups: [] });
  expect(await next(...DAILY)).toMatchObject({ full: null, removedBackups: [] });
  makeOlder(runs[3]!, 8);
  const last = await next(...DAILY);
  // The first chain is gone, and the second one with its increment is left.
  expect(last.removedBackups).toEqual(runs.slice(0, 3).map(nameOf).toReversed());
  expect(filesIn(backups)).toEqual([...filesOf(...runs.slice(3)), 'db@other.qcow2'].toSorted());
  expect(await snapshotsOf('db')).toEqual(['monday', last.snapshot.split('@')[2]]);
  await scene.server.rsadmWell('volume', 'create', 'copy', '--size', `${SIZE_MIB}m`);
  for (const [index, run] of runs.entries()) {
    if (index < 3) continue;
    await scene.client.rsconfigWell('restore', run.file, 'copy', '--yes', '--verify');
    await scene.client.rsconfigWell('-a', 'copy');
    const restored = await qemuContent(scene.client, '-f', 'raw', scene.client.nbdUri('osl/copy'));
    await scene.client.rsconfigWell('-d', 'copy');
    expect(restored.equals(contents[index]!), `run ${index}`).toBe(true);
  }
  // What looks like a backup, and is none, is not passed over.
  expect(await refused('backup-verify', 'db', backups)).toMatch(/db@other.qcow2 is not a qcow2 file/);
  rmSync(path.join(backups, 'db@other.qcow2'));
  const said = await scene.client.rsconfigWell('backup-verify', 'db', backups);
  expect(said.match(/is whole: it has the content of its snapshot/g)).toHaveLength(1);
  expect(said.match(/is whole: its files have their checksums, and its snapshot is gone/g)).toHaveLength(2);
  const verified: unknown = JSON.parse(await scene.client.rsconfigWell('backup-verify', 'db', backups, '--json'));
  expect(misfit(BACKUP_VERIFY.json!, verified, 'exactly')).toBeNull();
  // One changed byte in the middle of a file is found, although the tables of the file are right.
  flip(runs[3]!.file, 'run 3 2 ');
  for (const index of [3, 4])
    expect(await refused('backup-verify', runs[index]!.file)).toMatch(/has another content than when it was made/);
  expect(await refused('backup-verify', 'db', backups)).toMatch(
    new RegExp(`${nameOf(runs[4]!)}: .*${nameOf(runs[3]!)} has another content`),
  );
  expect(await scene.client.rsconfigWell('backup-verify', last.file)).toMatch(/has the content of its snapshot/);
  flip(last.file, 'run 5 2 ');
  expect(await refused('backup-verify', last.file)).toMatch(/has another content than when it was made/);
  // The content is compared with the snapshot, too, and not only with what the description says.
  const record = JSON.parse(readFileSync(`${last.file}.json`, 'utf8')) as object;
  writeFileSync(`${last.file}.json`, JSON.stringify({ ...record, sha256: null }));
  expect(await refused('backup-verify', last.file)).toMatch(/Content mismatch at offset \d+/);
});

it('a run that is killed leaves nothing that the next run does not remove, and the next run goes on', { timeout: TEST_MS }, async () => {
  const { nbd, backups } = await volumeOf('cut');
  await change(nbd, 'first');
  const first = await ran('cut', backups, ...DAILY, '--begin');
  await change(nbd, 'second');
  const running = scene.client.beside('rsconfig', ['backup-run', 'cut', backups, ...DAILY]);
  const begins = (): boolean => filesIn(backups).some((name) => name.endsWith('.json') && !name.startsWith(nameOf(first)));
  await waitFor(begins, BEGIN_MS, 'The run has begun');
  // The process is stopped, so that it cannot end before it is killed.
  process.kill(running.pid, 'SIGSTOP');
  expect(await refused('backup', 'cut', backups)).toMatch(/Another backup, restore or verification uses these backups \(process \d+/);
  process.kill(running.pid, 'SIGKILL');
  await running.ended;
  expect(filesIn(backups).filter((name) => name.endsWith('.qcow2'))).toEqual([nameOf(first)]);
  // The description is there before the snapshot, so that the run may have been stopped before or after it.
  expect([1, 2]).toContain((await snapshotsOf('cut')).length);
  const content = await change(nbd, 'third');
  const { code, stdout, stderr } = await scene.client.rsconfig('backup-run', 'cut', backups, ...DAILY, '--json');
  expect([code, stderr]).toEqual([0, expect.stringMatching(/An interrupted run has left cut@backup-.*: it is removed/)]);
  const next = JSON.parse(stdout) as Ran;
  expect(next).toMatchObject({ full: null, readBytes: SIZE_MIB * BLOCK, problems: [] });
  expect(filesIn(backups)).toEqual(filesOf(first, next));
  expect(await snapshotsOf('cut')).toEqual([next.snapshot.split('@')[2]]);
  expect(await scene.client.rsconfigWell('-l')).not.toMatch(/cut@0@/);
  expect((await qemuContent(scene.client, next.file)).equals(content)).toBe(true);
});

it('a full disk, a grown volume, backups by hand and another snapshot of a name', { timeout: TEST_MS }, async (context) => {
  const { nbd, backups } = await volumeOf('mixed');
  await change(nbd, 'first');
  context.skip(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=700k', 'none', backups]).status !== 0, 'needs the right to mount a tmpfs');
  scene.hosts.onClean(() => spawnSync('umount', ['--lazy', backups], { stdio: 'ignore' }));
  await nbd.write(0, Buffer.alloc(MIB, 'much '));
  expect(await refused('backup-run', 'mixed', backups, ...DAILY, '--begin')).toMatch(/No space left/);
  expect([filesIn(backups), await snapshotsOf('mixed')]).toEqual([[], []]);
  spawnSync('mount', ['-o', 'remount,size=64m', backups]);
  const first = await ran('mixed', backups, ...DAILY, '--begin');
  // A backup by hand stands on the chain, and its snapshot is the administrator's.
  await scene.client.rsconfigWell('volume', 'snapshot', 'mixed@hand');
  await scene.client.rsconfigWell('backup', 'mixed@hand', backups, '--since', first.snapshot.split('@')[2]!);
  await scene.client.rsconfigWell('volume', 'grow', 'mixed', `${SIZE_MIB + 2}m`);
  const content = await change(await scene.open('mixed'), 'grown', SIZE_MIB + 2);
  const second = await ran('mixed', backups, ...DAILY, '--verify');
  expect(second).toMatchObject({ full: null, sizeBytes: (SIZE_MIB + 2) * MIB });
  expect((await qemuContent(scene.client, second.file)).equals(content)).toBe(true);
  // The snapshot of the newest backup is replaced by another one of that name, which must stay.
  const name = second.snapshot.split('@')[2]!;
  await scene.server.rsadmWell('volume', 'remove', `mixed@${name}`, '--yes');
  await scene.server.rsadmWell('volume', 'snapshot', `mixed@${name}`);
  const third = await scene.client.rsconfigWell('backup-run', 'mixed', backups, '--full-every', '7d', '--keep', '1');
  expect(third).toMatch(new RegExp(`a full backup: snapshot ${name} of the newest backup was replaced by another one of that name`));
  expect(third).not.toContain('Removed');
  expect((await snapshotsOf('mixed')).slice(0, 2)).toEqual(['hand', name]);
  // Without its file, the backup by hand no longer protects the chain.
  rmSync(path.join(backups, 'mixed@hand.qcow2'));
  const fourth = await ran('mixed', backups, '--full-every', '7d', '--keep', '1');
  expect(fourth.removedBackups).toEqual([nameOf(second), nameOf(first)]);
  // A damaged chain is not continued.
  truncateSync(fourth.file, 100);
  appendFileSync(fourth.file, 'x');
  const fifth = await ran('mixed', backups, ...DAILY);
  expect(fifth.full).toMatch(/the newest backup cannot be restored: .* is not a qcow2 file/);
  expect(fifth.problems).toEqual([expect.stringMatching(/The chain of mixed@.* cannot be restored, and stays: .* is not a qcow2 file/)]);
});

it('a mirror has one snapshot on both servers for its newest backup', { timeout: TEST_MS }, async (context) => {
  const places = await loopbackMirrorPlaces(scene.hosts);
  const [first, second] = places.servers as [Host, Host];
  const parent = path.join(reflinkDisk(scene.hosts, first, context), 'pools');
  mkdirSync(parent);
  const site = await MirrorSite.start(places, { poolParent: parent, defaults: { stall: 'forever' } }, (action) =>
    scene.hosts.onClean(action),
  );
  await site.addMirror('twin', SIZE_MIB * MIB);
  const nbd = await scene.open('twin', site.client);
  const backups = path.dirname(site.client.file('backups/x'));
  const next = async (...args: readonly string[]): Promise<Ran & { readonly content: Buffer }> => {
    const content = await change(nbd, `${args.length} `);
    const said = await site.client.rsconfigWell('backup-run', 'twin', backups, ...DAILY, '--verify', '--json', ...args);
    return { ...(JSON.parse(said) as Ran), content };
  };
  expect(await next('--begin')).toMatchObject({ problems: [] });
  const both = await next();
  expect(both).toMatchObject({ full: null, problems: [], readBytes: SIZE_MIB * BLOCK });
  expect(both.removedSnapshots).toHaveLength(1);
  for (const host of [first, second]) expect(await snapshotsOf('twin', host)).toEqual([both.snapshot.split('@')[2]]);
  expect((await qemuContent(site.client, both.file)).equals(both.content)).toBe(true);
});
