// Makes arrays with a file system and a pool, replaces disks of arrays, and erases disks. Invariants: if a step of a new pool fails, the earlier
// steps are undone, so that the disks are free again; nothing is erased before all disks were found to be unused, large enough, and those of
// the question.

import { constants, existsSync, mkdirSync, readFileSync, realpathSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename } from 'node:path';
import { errnoName, RsError, toRsError } from '@rsio/base/lib/errors';
import { shownSize } from '@rsio/base/lib/units';
import { changeLockedSettings } from './apply.ts';
import { arrayDisks, arrayIn, assertShown, type Disk, diskText, LSBLK, type NewArray, type Replacement } from './disks.ts';
import { replacementIn, type Storage, storageOf, usableDisk } from './disks.ts';
import { APPLIANCE_LONG_MAX_MS } from './limits.ts';
import { type ApplianceMachine, appliancePaths, exclusively, ownPartitions } from './machine.ts';
import { isPoolName, readSettings } from './settings.ts';
import { mountUnitOf, poolFolderOf } from './system-files.ts';

const LONG = { timeoutMs: APPLIANCE_LONG_MAX_MS };
const pathOf = (name: string): string => `/dev/${name}`;

export async function storageNow({ root, run }: ApplianceMachine): Promise<Storage> {
  const mdstat = `${root}/proc/mdstat`;
  // The file is missing until the kernel has loaded its module for arrays.
  const used = { served: servedDevices(root), own: new Set(Object.values(ownPartitions(root))) };
  return storageOf(await run('lsblk', LSBLK), existsSync(mdstat) ? readFileSync(mdstat, 'utf8') : '', used);
}

/** Names of the devices that rssrvcfg names: the device of a volume is free for lsblk while no client uses the volume. */
function servedDevices(root: string): ReadonlySet<string> {
  const file = `${appliancePaths(root).dvsc}/rssrvcfg`;
  const lines = (existsSync(file) ? readFileSync(file, 'utf8') : '').split('\n').filter((line) => !/^\s*[#;]/.test(line));
  const paths = lines.flatMap((line) => line.match(/\/dev\/[^\s,;"']+/g) ?? []);
  return new Set(paths.map((path) => basename(existsSync(root + path) ? realpathSync(root + path) : path)));
}

/** The pools of rssrv. */
export interface ServedPools {
  /** True if rssrvcfg has the pool, or another one with its folder. */
  has(name: string): boolean;
  /** Makes a folder a pool of rssrv. Throws the reason why rssrv cannot use it. */
  add(name: string, folder: string): Promise<void>;
}
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

/** `shown`: the question about the disks. */
export function makePool(machine: ApplianceMachine, wanted: NewArray, shown: string, served: ServedPools): Promise<void> {
  return undoable(machine, async (undo) => {
    const { run } = machine;
    const { name, level } = wanted;
    assertFree(name, served);
    const storage = await storageNow(machine);
    const disks = arrayDisks(storage, wanted);
    const paths = disks.map((disk) => pathOf(disk.name));
    await emptied(machine, storage, disks, shown);
    const array = `/dev/md/${name}`;
    undo.push(() => run('mdadm', ['--zero-superblock', ...paths]));
    const options = ['--run', '--metadata=1.2', '--homehost=any', `--name=${name}`, '--bitmap=internal'];
    await run('mdadm', ['--create', array, ...options, `--level=${level}`, `--raid-devices=${paths.length}`, ...paths], LONG);
    undo.push(() => run('mdadm', ['--stop', array]));
    await run('udevadm', ['settle']);
    await run('mkfs.xfs', ['-q', '-f', '-m', 'reflink=1', array], LONG);
    await servePool(machine, name, array, served, undo);
  });
}

/** Makes an array with a file system, which another appliance or an earlier configuration has left, a pool again. */
export function adoptArray(machine: ApplianceMachine, array: string, served: ServedPools): Promise<void> {
  return undoable(machine, async (undo) => {
    const { device: md, fileSystem, name: found } = arrayIn(await storageNow(machine), array);
    if (fileSystem === null || !isPoolName(found))
      throw new RsError('E_USAGE', `Array ${found} has no file system of a pool: erase its disks, and make a new pool`);
    assertFree(found, served);
    await servePool(machine, found, pathOf(md), served, undo);
  });
}

/** Throws E_EXISTS if rssrv has the pool. An entry in the settings alone is left from an array that is lost, or from a power cut. */
function assertFree(name: string, served: ServedPools): void {
  if (served.has(name))
    throw new RsError('E_EXISTS', `rssrv has a pool ${name} already: remove it in the server's part first, or choose another name`);
}

async function servePool(machine: ApplianceMachine, name: string, array: string, served: ServedPools, undo: Undo): Promise<void> {
  const { root, run } = machine;
  const fileSystem = (await run('blkid', ['-p', '-o', 'value', '-s', 'UUID', array])).trim();
  // The link below /dev/disk/by-uuid, by which the unit mounts the file system, exists after this event.
  await run('udevadm', ['trigger', '--settle', '--name-match', array]);
  undo.push(() => setPool(machine, name, null));
  await setPool(machine, name, fileSystem);
  undo.push(() => run('systemctl', ['stop', '--', mountUnitOf(name)]));
  // Not start: an array that is lost may still be mounted there.
  await run('systemctl', ['restart', '--', mountUnitOf(name)]);
  mkdirSync(root + poolFolderOf(name), { recursive: true, mode: 0o700 });
  await served.add(name, poolFolderOf(name));
}

/** Replaces the entry of a pool in the settings. `fileSystem`: the UUID; null: the pool has no entry. */
function setPool(machine: ApplianceMachine, name: string, fileSystem: string | null): Promise<void> {
  const entry = fileSystem === null ? [] : [{ name, fileSystem }];
  return changeLockedSettings(machine, (now) => ({ ...now, pools: [...now.pools.filter((pool) => pool.name !== name), ...entry] }));
}

/** Removes an array that is no pool of rssrv any more, with all data. `typed`: the name that the administrator has typed. */
export function removeArray(machine: ApplianceMachine, device: string, typed: string, served: ServedPools): Promise<void> {
  return exclusively(machine, 'settings', async () => {
    const { run } = machine;
    const array = arrayIn(await storageNow(machine), device);
    // An array may have no name, or one that nobody can type.
    if (typed !== array.name && typed !== array.device)
      throw new RsError('E_USAGE', `All data of array ${array.name} (${array.device}) would be lost: type its name to remove it`);
    if (served.has(array.name))
      throw new RsError('E_IN_USE', `Array ${array.name} is a pool of rssrv: remove the pool in the server's part first`);
    if ((await readSettings(machine.root)).pools.some((pool) => pool.name === array.name))
      await run('systemctl', ['stop', '--', mountUnitOf(array.name)]);
    await run('mdadm', ['--stop', pathOf(array.device)]);
    await setPool(machine, array.name, null);
    await run('mdadm', ['--zero-superblock', ...array.members.map(({ disk }) => pathOf(disk))]);
    await run('udevadm', ['settle']);
  });
}

/** Erases the disks. Throws E_CHANGED or E_IN_USE before it erases anything. */
async function emptied(machine: ApplianceMachine, { arrays }: Storage, disks: readonly Disk[], shown: string): Promise<void> {
  const { root, run } = machine;
  assertShown(disks, shown);
  const blocks = new Map<string, string[]>();
  for (const { name } of disks) {
    const listed = await run('lsblk', ['--noheadings', '--list', '--output', 'NAME,TYPE', pathOf(name)]);
    const found = [...listed.matchAll(/^ *(\S+) +(?:disk|part) *$/gm)].map(([, block = '']) => block);
    blocks.set(name, found);
  }
  const all = [...blocks.values()].flat();
  for (const { device, isRunning, members } of arrays)
    if (!isRunning && members.some(({ disk }) => all.includes(disk))) await run('mdadm', ['--stop', pathOf(device)]);
  for (const { name } of disks) await assertUnused(root + pathOf(name));
  for (const { name } of disks) {
    // Without --force, wipefs refuses what is in use.
    for (const block of blocks.get(name)?.toReversed() ?? []) await run('wipefs', ['--all', pathOf(block)]);
    await run('blockdev', ['--rereadpt', pathOf(name)]);
  }
  await run('udevadm', ['settle']);
}

/** Throws E_IN_USE if the kernel, or a program such as rssrv, has claimed the disk or a partition of it. */
async function assertUnused(path: string): Promise<void> {
  try {
    await (await open(path, constants.O_RDONLY | constants.O_EXCL)).close();
  } catch (thrown) {
    if (errnoName(thrown) !== 'EBUSY') throw thrown;
    throw new RsError('E_IN_USE', `Disk ${path} is in use, and nothing was overwritten: end the program that uses it`, {}, thrown);
  }
}

/** Erases a disk whose name was typed. An array that does not run is stopped first. `shown`: the question about the disk. */
export function eraseDisk(machine: ApplianceMachine, name: string, typed: readonly string[], shown: string): Promise<void> {
  return exclusively(machine, 'settings', async () => {
    const storage = await storageNow(machine);
    await emptied(machine, storage, [usableDisk(storage, name, typed)], shown);
  });
}

/** `shown`: the question about the new disk. */
export function replaceDisk(machine: ApplianceMachine, wanted: Replacement, shown: string): Promise<void> {
  return exclusively(machine, 'settings', async () => {
    const { root, run } = machine;
    const storage = await storageNow(machine);
    const { into, disk } = replacementIn(storage, wanted);
    const shownBy = (file: string): number => {
      const path = `${root}/sys/block/${into.device}/md/${file}`;
      return existsSync(path) ? Number(readFileSync(path, 'utf8')) : 0;
    };
    // Each disk has the description of the array, in sectors, before its part of the data, in KiB. A disk of this size is large enough.
    const before = Math.max(...into.members.map((member) => shownBy(`dev-${member.disk}/offset`)));
    const least = shownBy('component_size') * 1024 + before * 512;
    if (disk.sizeBytes < least)
      throw new RsError('E_USAGE', `${diskText(disk)} is too small: array ${into.name} has ${shownSize(least)} on each disk`);
    await emptied(machine, storage, [disk], shown);
    await removeFailed(machine, into.device);
    await run('mdadm', ['--manage', pathOf(into.device), '--add', pathOf(disk.name)]);
    const works = into.members.find((member) => member.disk === wanted.old && !member.isFaulty);
    if (works !== undefined)
      await run('mdadm', ['--manage', pathOf(into.device), '--replace', pathOf(works.disk), '--with', pathOf(disk.name)]);
  });
}

/** Takes the failed and missing disks out of an array. */
export async function removeFailed({ run }: ApplianceMachine, md: string): Promise<void> {
  for (const which of ['failed', 'detached']) {
    try {
      await run('mdadm', ['--manage', pathOf(md), '--remove', which]);
    } catch (thrown) {
      // mdadm fails if there is nothing to remove.
      if (!/No such|not found|no .*device/i.test(toRsError(thrown).message)) throw thrown;
    }
  }
}
