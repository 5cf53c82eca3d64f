// Damaged backups: a link of a chain that was cut, changed, made longer or swapped is found before a volume is overwritten, an increment is
// made, or an older chain is removed. A restore that is cut leaves a volume that no program mistakes for a whole one. Needs XFS and root;
// otherwise skipped with a reason. Rules: G29, G49.

import { appendFileSync, copyFileSync, existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { hasRestoreMark, RESTORE_MARK_BYTES, restoreMark } from '@rsio/base/lib/restore-mark';
import { misfit } from '@rsio/base/lib/shape';
import { BACKUP_RUN, type Done as Ran } from '@rsio/rsconfig/commands/backups/run';
import { RESTORE } from '@rsio/rsconfig/commands/backups/restore';
import { expect, it } from 'vitest';
import type { NbdIo } from '../support/io/nbd-io.ts';
import { BLOCK, contentOf, MIB, qemuContent, TEST_MS, useBackupScene } from '../support/scenes/backup-scene.ts';
import { type Running, runWell } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const SIZE_MIB = 4;
const CLUSTER_BYTES = 64 * 1024;
const DAILY = ['--full-every', '7d', '--keep', '2'];

const scene = useBackupScene();
const folderOf = (name: string): string => path.dirname(scene.client.file(`${name}/x`));

/** Writes one block at each MiB, and returns the whole content. */
async function change(nbd: NbdIo, text: string): Promise<Buffer> {
  for (let at = 0; at < SIZE_MIB; at++) await nbd.write(at * MIB + BLOCK, Buffer.alloc(BLOCK, `${text} ${at} `));
  await nbd.flush();
  return contentOf(nbd, SIZE_MIB);
}

/** Changes one bit of a file, at the first place of the text. */
function flip(file: string, text: string): void {
  const bytes = readFileSync(file);
  const at = bytes.indexOf(text);
  expect(at).toBeGreaterThan(0);
  bytes[at] = bytes[at]! ^ 1;
  writeFileSync(file, bytes);
}

async function exportOf(name: string): Promise<Buffer> {
  await scene.client.rsconfigWell('-a', name);
  const content = await qemuContent(scene.client, '-f', 'raw', scene.client.nbdUri(`osl/${name}`));
  await scene.client.rsconfigWell('-d', name);
  return content;
}

it('a restore finds each damaged link before it overwrites the volume', { timeout: TEST_MS }, async () => {
  const nbd = await scene.volume('db', SIZE_MIB);
  const folder = folderOf('links');
  const contents: Buffer[] = [];
  for (const [index, name] of ['one', 'two', 'three'].entries()) {
    contents.push(await change(nbd, name));
    await scene.server.rsadmWell('volume', 'snapshot', `db@${name}`);
    await scene.client.rsconfigWell('backup', `db@${name}`, folder, ...(index === 0 ? [] : ['--since', ['one', 'two'][index - 1]!]));
  }
  const [full, , last] = ['one', 'two', 'three'].map((name) => path.join(folder, `db@${name}.qcow2`)) as [string, string, string];
  const old = await scene.volume('old', SIZE_MIB);
  const before = await change(old, 'old');
  old.close();
  await scene.client.rsconfigWell('-d', 'old');
  const whole = readFileSync(full);
  // The last cluster of a full backup is data. A cut in the middle of it is one that qemu-img check does not see.
  const damages: readonly (readonly [string, () => void])[] = [
    ['cut', () => truncateSync(full, whole.length - CLUSTER_BYTES)],
    ['cut by a few bytes', () => truncateSync(full, whole.length - BLOCK)],
    ['changed', () => flip(full, 'one 2 ')],
    ['made longer', () => appendFileSync(full, Buffer.alloc(CLUSTER_BYTES))],
    ['emptied', () => truncateSync(full, 0)],
    ['swapped', () => copyFileSync(path.join(folder, 'db@again.qcow2'), full)],
  ];
  // Another full backup of the same size: that of an earlier moment.
  await scene.server.rsadmWell('volume', 'snapshot', 'db@again');
  await scene.client.rsconfigWell('backup', 'db@again', folder);
  await scene.server.rsadmWell('volume', 'snapshot', 'db@next');
  for (const [what, damage] of damages) {
    damage();
    for (const verify of [[], ['--verify']]) expect(await scene.refused('restore', last, 'old', '--yes', ...verify), what).toContain(full);
    expect(await scene.refused('backup-verify', last), what).toContain('db@one.qcow2');
    expect(await scene.refused('backup', 'db@next', folder, '--since', 'three'), what).toContain(full);
    writeFileSync(full, whole);
    expect((await exportOf('old')).equals(before), what).toBe(true);
  }
  const said: unknown = JSON.parse(await scene.client.rsconfigWell('restore', last, 'old', '--yes', '--verify', '--json'));
  expect(misfit(RESTORE.json!, said, 'exactly')).toBeNull();
  expect(said).toMatchObject({ uncompared: [] });
  expect((await exportOf('old')).equals(contents[2]!)).toBe(true);
  // The descriptions of an older rsconfig have no checksums: the backup is restored, and the command says what it could not compare.
  for (const file of [full, last]) {
    const { sha256: _, fileBytes: __, stamp: ___, ...older } = JSON.parse(readFileSync(`${file}.json`, 'utf8')) as Record<string, unknown>;
    writeFileSync(`${file}.json`, JSON.stringify(older));
  }
  const { code, stderr } = await scene.client.rsconfig('restore', last, 'old', '--yes', '--verify');
  expect([code, stderr]).toEqual([0, expect.stringMatching(/db@three.qcow2, db@one.qcow2 could not be compared/)]);
  truncateSync(full, whole.length - CLUSTER_BYTES);
  expect(await scene.refused('restore', last, 'old', '--yes')).toMatch(/qemu-img check failed/);
});

it('no increment is made on a damaged link, and no good chain goes in favour of a damaged one', { timeout: TEST_MS }, async () => {
  const nbd = await scene.volume('runs', SIZE_MIB);
  const folder = folderOf('runs-backups');
  const runs: Ran[] = [];
  const next = async (code: number, ...args: readonly string[]): Promise<string> => {
    await change(nbd, `run ${runs.length}`);
    const done = await scene.client.rsconfig('backup-run', 'runs', folder, ...DAILY, '--json', ...args);
    expect(done.code, done.stderr).toBe(code);
    runs.push(JSON.parse(done.stdout) as Ran);
    expect(misfit(BACKUP_RUN.json!, runs.at(-1), 'exactly')).toBeNull();
    return done.stderr;
  };
  const older = (days: number): void => {
    for (const { file } of runs.filter((one) => existsSync(one.file))) {
      const record = JSON.parse(readFileSync(`${file}.json`, 'utf8')) as { run: { madeMs: number } };
      record.run.madeMs -= days * 86_400_000;
      writeFileSync(`${file}.json`, JSON.stringify(record));
    }
  };
  await next(0, '--begin');
  expect(runs[0]!.full).toBe('there is none yet');
  flip(runs[0]!.file, 'run 0 2 ');
  expect(await next(1)).toMatch(/The chain of runs@.* cannot be restored, and stays: .*has another content than when it was made/);
  expect(runs[1]!.full).toMatch(/the newest backup cannot be restored: .*has another content than when it was made/);
  expect(runs[1]!.problems).toHaveLength(1);
  // The damaged chain counts for nothing: it goes when two good ones are there.
  older(8);
  await next(0);
  expect(runs[2]!.removedBackups).toEqual([path.basename(runs[0]!.file)]);
  // A run with --verify finds bits that have rotted without a trace in the file system, and makes a full backup.
  const rotten = runs[2]!.file;
  const times = scene.client.file('times');
  await runWell('touch', ['-r', rotten, times]);
  flip(rotten, 'run 2 2 ');
  await runWell('touch', ['-r', times, rotten]);
  await next(1, '--verify');
  expect(runs[3]!.full).toMatch(/has another content than when it was made/);
  expect(runs[3]!.removedBackups).toEqual([]);
  expect(readdirSync(folder)).toContain(path.basename(runs[1]!.file));
  // A run that would remove the oldest chain reads the others first, and finds the damage of the disk without --verify.
  const newest = runs[3]!.file;
  await runWell('touch', ['-r', newest, times]);
  flip(newest, 'run 3 2 ');
  await runWell('touch', ['-r', times, newest]);
  older(8);
  expect(await next(1)).toMatch(/has another content than when it was made/);
  expect(runs[4]!.removedBackups).toEqual([]);
  expect(await scene.refused('restore', rotten, 'old', '--yes')).toContain('has another content');
  await scene.server.rsadmWell('volume', 'create', 'back', '--size', `${SIZE_MIB}m`);
  await scene.client.rsconfigWell('restore', runs[1]!.file, 'back', '--yes', '--verify');
});

it('a restore that is cut leaves a volume that begins with a mark, which no program takes for a file system', {
  timeout: TEST_MS,
}, async () => {
  const nbd = await scene.volume('big', 64);
  for (let at = 0; at < 64; at++) await nbd.write(at * MIB, Buffer.alloc(MIB, `big ${at} `));
  await nbd.flush();
  const folder = folderOf('big-backups');
  await scene.server.rsadmWell('volume', 'snapshot', 'big@s');
  await scene.client.rsconfigWell('backup', 'big@s', folder);
  const target = await scene.volume('target', 64);
  await target.write(0, Buffer.alloc(MIB, 'old'));
  await target.flush();
  target.close();
  await scene.client.rsconfigWell('-d', 'target');
  const file = path.join(folder, 'big@s.qcow2');
  const before = process.env['PATH'] ?? '';
  const held = folderOf('held');
  // The rest of the first MiB is copied last but one, before the mark is replaced: there, this program waits, or fails if `fail` exists.
  const program = `case "$*" in *convert*offset=4096,*) [ -e ${held}/fail ] && exit 1; : > ${held}/begun; exec sleep 60 ;; esac`;
  writeFileSync(path.join(held, 'qemu-img'), `#!/bin/sh\n${program}\nPATH=${before} exec qemu-img "$@"\n`, { mode: 0o700 });
  const begin = (): Running => {
    process.env['PATH'] = `${held}:${before}`;
    try {
      return scene.client.beside('rsconfig', ['restore', file, 'target', '--yes']);
    } finally {
      process.env['PATH'] = before;
    }
  };
  const content = (): Promise<Buffer> => qemuContent(scene.client, '-f', 'raw', scene.client.nbdUri('osl/target'));
  const restoring = begin();
  await waitFor(() => existsSync(path.join(held, 'begun')), TEST_MS / 4, 'The restore has copied all but the first MiB');
  restoring.kill();
  await restoring.ended;
  // The order of the killed command gives the volume back by itself.
  const attached = async (): Promise<boolean> => (await scene.client.rsconfig('-a', 'target')).code === 0;
  await waitFor(attached, TEST_MS / 4, 'The volume is free after the end of the restore');
  const cut = await content();
  expect(hasRestoreMark(cut)).toBe(true);
  expect(cut.subarray(0, MIB).equals(Buffer.concat([restoreMark(), Buffer.alloc(MIB - RESTORE_MARK_BYTES)]))).toBe(true);
  expect(cut.subarray(MIB, MIB + 6).toString()).toBe('big 1 ');
  await scene.client.rsconfigWell('-d', 'target', '--force');
  writeFileSync(path.join(held, 'fail'), '');
  const { code, stderr } = await begin().ended;
  expect([code, stderr]).toEqual([1, expect.stringMatching(/osl:target@0 has only a part of the backup: restore it again/)]);
  await scene.client.rsconfigWell('restore', file, 'target', '--yes', '--verify');
  await scene.client.rsconfigWell('-a', 'target');
  expect((await content()).subarray(0, 6).toString()).toBe('big 0 ');
});
