// Makes arrays with a file system and a pool, replaces disks of arrays, and erases disks. Invariant: if a step of a new pool fails, the earlier
// steps are undone, so that the disks are free again.

import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { RsError, toRsError } from '../lib/errors.ts';
import { changeLockedSettings } from './apply.ts';
import { arrayDisks, arrayIn, LSBLK, type NewArray, type Storage, storageOf, usableDisk } from './disks.ts';
import { APPLIANCE_LONG_MAX_MS } from './limits.ts';
import { type ApplianceMachine, exclusively } from './machine.ts';
import { isPoolName, readSettings } from './settings.ts';
import { mountUnitOf, poolFolderOf } from './system-files.ts';

const LONG = { timeoutMs: APPLIANCE_LONG_MAX_MS };
const device = (name: string): string => `/dev/${name}`;

export async function storageNow({ root, run }: ApplianceMachine): Promise<Storage> {
  const mdstat = `${root}/proc/mdstat`;
  // The file is missing until the kernel has loaded its module for arrays.
  return storageOf(await run('lsblk', LSBLK), existsSync(mdstat) ? readFileSync(mdstat, 'utf8') : '');
}

/** Makes a folder a pool of rssrv. Throws the reason why rssrv cannot use it. */
export type AddPool = (name: string, folder: string) => Promise<void>;
type Undo = (() => Promise<unknown>)[];

/** Does the steps of `work`. If one fails, undoes those before it, and throws its error. */
function undoable(machine: ApplianceMachine, work: (undo: Undo) => Promise<void>): Promise<void> {
  return exclusively(machine, 'settings', async () => {
    const undo: Undo = [];
    try {
      await work(undo);
    } catch (thrown) {
      // The first error is the one that counts, so later ones are not reported.
      for (const one of undo.toReversed()) await one().catch(() => undefined);
      throw thrown;
    }
  });
}

export function makePool(machine: ApplianceMachine, wanted: NewArray, addPool: AddPool): Promise<void> {
  return undoable(machine, async (undo) => {
    const { root, run } = machine;
    const { name, level } = wanted;
    const disks = arrayDisks(await storageNow(machine), await readSettings(root), wanted);
    const paths = disks.map((disk) => device(disk.name));
    for (const disk of disks) if (disk.use.kind === 'content') await erase(machine, disk.name);
    const array = `/dev/md/${name}`;
    undo.push(() => run('mdadm', ['--zero-superblock', ...paths]));
    const options = ['--run', '--metadata=1.2', '--homehost=any', `--name=${name}`, '--bitmap=internal'];
    await run('mdadm', ['--create', array, ...options, `--level=${level}`, `--raid-devices=${paths.length}`, ...paths], LONG);
    undo.push(() => run('mdadm', ['--stop', array]));
    await run('udevadm', ['settle']);
    await run('mkfs.xfs', ['-q', '-f', '-m', 'reflink=1', array], LONG);
    await servePool(machine, name, array, addPool, undo);
  });
}

/** Makes an array with a file system, which another appliance or an earlier configuration has left, a pool again. */
export function adoptArray(machine: ApplianceMachine, name: string, addPool: AddPool): Promise<void> {
  return undoable(machine, async (undo) => {
    const { device: md, fileSystem, name: found } = arrayIn(await storageNow(machine), name);
    if (fileSystem === null || !isPoolName(found))
      throw new RsError('E_USAGE', `Array ${found} has no file system of a pool: erase its disks, and make a new pool`);
    const { pools } = await readSettings(machine.root);
    if (pools.some((pool) => pool.name === found)) throw new RsError('E_EXISTS', `Array ${found} is a pool of this appliance already`);
    await servePool(machine, found, device(md), addPool, undo);
  });
}

async function servePool(machine: ApplianceMachine, name: string, array: string, addPool: AddPool, undo: Undo): Promise<void> {
  const { root, run } = machine;
  const fileSystem = (await run('blkid', ['-p', '-o', 'value', '-s', 'UUID', array])).trim();
  // The link below /dev/disk/by-uuid, by which the unit mounts the file system, exists after this event.
  await run('udevadm', ['trigger', '--settle', '--name-match', array]);
  undo.push(() => changeLockedSettings(machine, (now) => ({ ...now, pools: now.pools.filter((pool) => pool.name !== name) })));
  await changeLockedSettings(machine, (now) => ({ ...now, pools: [...now.pools, { name, fileSystem }] }));
  undo.push(() => run('systemctl', ['stop', '--', mountUnitOf(name)]));
  await run('systemctl', ['start', '--', mountUnitOf(name)]);
  mkdirSync(root + poolFolderOf(name), { recursive: true, mode: 0o700 });
  await addPool(name, poolFolderOf(name));
}

/** Removes an array that is no pool of rssrv any more, with all data. `typed`: the name that the administrator has typed. */
export function removeArray(machine: ApplianceMachine, name: string, typed: string, isServed: (folder: string) => boolean): Promise<void> {
  return exclusively(machine, 'settings', async () => {
    const { run } = machine;
    const array = arrayIn(await storageNow(machine), name);
    if (typed !== array.name) throw new RsError('E_USAGE', `All data of array ${array.name} would be lost: type its name to remove it`);
    if (isServed(poolFolderOf(array.name)))
      throw new RsError('E_IN_USE', `Array ${array.name} is a pool of rssrv: remove the pool in the server's part first`);
    if ((await readSettings(machine.root)).pools.some((pool) => pool.name === array.name))
      await run('systemctl', ['stop', '--', mountUnitOf(array.name)]);
    await run('mdadm', ['--stop', device(array.device)]);
    await changeLockedSettings(machine, (now) => ({ ...now, pools: now.pools.filter((pool) => pool.name !== array.name) }));
    await run('mdadm', ['--zero-superblock', ...array.members.map(({ disk }) => device(disk))]);
    await run('udevadm', ['settle']);
  });
}

async function erase({ run }: ApplianceMachine, name: string): Promise<void> {
  const parts = (await run('lsblk', ['--noheadings', '--list', '--paths', '--output', 'NAME,TYPE', device(name)])).trim().split('\n');
  const all = parts.map((line) => line.trim().split(/\s+/)).filter(([, type]) => type === 'disk' || type === 'part');
  for (const [path = ''] of all.toReversed()) await run('wipefs', ['--all', '--force', path]);
  await run('blockdev', ['--rereadpt', device(name)]);
  await run('udevadm', ['settle']);
}

/** Erases a disk with content whose name was typed. An array that does not run is stopped first. */
export function eraseDisk(machine: ApplianceMachine, name: string, typed: readonly string[]): Promise<void> {
  return exclusively(machine, 'settings', async () => {
    const storage = await storageNow(machine);
    usableDisk(storage, name, typed);
    const idle = storage.arrays.find(({ isRunning, members }) => !isRunning && members.some((member) => member.disk === name));
    if (idle !== undefined) await machine.run('mdadm', ['--stop', device(idle.device)]);
    await erase(machine, name);
  });
}

/**
 * Puts the disk `by` into an array. `old`: the disk that it replaces; null: a disk that is missing or has failed. A disk that still works stays
 * in the array until its content is on the new one.
 */
export function replaceDisk(
  machine: ApplianceMachine,
  array: string,
  old: string | null,
  by: string,
  typed: readonly string[],
): Promise<void> {
  return exclusively(machine, 'settings', async () => {
    const { run } = machine;
    const storage = await storageNow(machine);
    const { device: md, members } = arrayIn(storage, array);
    const disk = usableDisk(storage, by, typed);
    await removeFailed(machine, md);
    if (disk.use.kind === 'content') await erase(machine, by);
    await run('mdadm', ['--manage', device(md), '--add', device(by)]);
    const isThere = members.some((member) => member.disk === old && !member.isFaulty);
    if (old !== null && isThere) await run('mdadm', ['--manage', device(md), '--replace', device(old), '--with', device(by)]);
  });
}

/** Takes the failed and missing disks out of an array. */
export async function removeFailed({ run }: ApplianceMachine, md: string): Promise<void> {
  for (const which of ['failed', 'detached']) {
    try {
      await run('mdadm', ['--manage', device(md), '--remove', which]);
    } catch (thrown) {
      // mdadm fails if there is nothing to remove.
      if (!/No such|not found|no .*device/i.test(toRsError(thrown).message)) throw thrown;
    }
  }
}
