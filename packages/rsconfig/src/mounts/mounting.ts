// Mounts a snapshot, a volume or a backup read-only, and undoes that. Invariants: each step is in the record before it is done; `undo` does
// whatever is left to do of a record, in the reverse order, and never unmounts anything else; a step that fails ends with an error that
// names it.

import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { deviceOfMount, MachineDevices } from '@rsio/base/daemon/block-stack';
import { type MountEntry, mountTable } from '@rsio/base/daemon/mount-table';
import { namedUsers, usersOf } from '@rsio/base/daemon/mount-users';
import { errnoName, RsError, toRsError } from '@rsio/base/lib/errors';
import { isSnapshot, volumeLabel } from '@rsio/base/lib/volume-name';
import { sleep } from '@rsio/base/lib/waiting';
import { programRunner, type RunProgram } from '@rsio/common/triggers/run-program';
import { chainNode, readChain } from '../backup/backup-chain.ts';
import { noteUncompared } from '../backup/backup.ts';
import { LinkCheck } from '../backup/link-check.ts';
import { type CommandContext, usageError } from '../cli/context.ts';
import { checkOutcome } from '../commands/server-volumes/while-attached.ts';
import { whileKept } from '../commands/backups/restore.ts';
import {
  HIDDEN_NAMED_MAX,
  MOUNT_LEAVES_MS,
  MOUNT_PROGRAM_MS,
  MOUNTS_LOOK_MS,
  PARTITIONS_MAX,
  BLKID_MS,
  PROGRAM_TEXT_MAX_CHARS,
} from '../limits.ts';
import {
  canSkip,
  choosePartition,
  type Content,
  contentOf,
  mountOptions,
  type Opening,
  type Partition,
  partitionsIn,
  typeOf,
} from './found-content.ts';
import { endImage, hideImage, isRunning, serveImage } from './image-server.ts';
import { imageIn, isOfRecord, type MountRecord, type MountRecords } from './mount-records.ts';

/** What mount and the kernel say if a journal must be replayed on a device that cannot be written. */
const NEEDS_REPLAY = /read-only|write access/;

export interface MountWish {
  /** Name of a volume or snapshot, or the path of a backup. */
  readonly source: string;
  readonly directory: string;
  readonly partition: number | null;
  readonly isUnproven: boolean;
}

/** What is mounted: a block device, or an image. */
interface Place {
  readonly file: string;
  readonly isImage: boolean;
}

export class Mounting {
  private readonly context: CommandContext;
  private readonly records: MountRecords;
  private readonly run: RunProgram;

  constructor(context: CommandContext, records: MountRecords) {
    [this.context, this.records] = [context, records];
    this.run = programRunner(context.clock, PROGRAM_TEXT_MAX_CHARS * PARTITIONS_MAX);
  }

  async mount(wish: MountWish): Promise<MountRecord> {
    const { source, partition } = wish;
    const directory = await this.freeDirectory(wish.directory);
    const isBackup = isBackupFile(source);
    const folder = isBackup ? this.newFolder() : null;
    const begun = {
      source: isBackup ? path.resolve(source) : source,
      volumeId: isBackup ? null : '',
      type: '',
      journal: '',
      partition: null,
    };
    let record: MountRecord = { ...begun, directory, folder, server: null, device: null, backingFile: null };
    const put = async (changed: Partial<MountRecord>): Promise<void> => await this.records.put((record = { ...record, ...changed }));
    await put({});
    try {
      const place = isBackup ? await this.served(record, wish, put) : await this.attached(record, put);
      const found = await this.fileSystemOn(place, source, partition);
      await put({ type: found.type, partition: found.partition?.number ?? null });
      if (place.isImage) await this.mountImage(record, place.file, found, put);
      else await this.mountDevice(() => record, place.file, found, put);
      return record;
    } catch (thrown) {
      await this.undo(record).catch((left: unknown) => {
        this.context.note(`Not everything was undone (${toRsError(left).message}): then repeat rsconfig umount ${directory}`);
      });
      throw thrown;
    }
  }

  /** Ends the mount of the record. Returns false if it was not mounted any more. */
  async undo(record: MountRecord): Promise<boolean> {
    const { directory, volumeId, folder } = record;
    const top = await topAt(directory);
    const isOurs = await this.isMounted(record, top);
    if (isOurs) await this.unmount(directory, top?.device ?? '');
    else if (top !== undefined) this.context.note(`Something else is mounted at ${directory} now (${top.source}), and stays`);
    await endImage({ folder, server: record.server }, this.run, this.context.clock);
    if (volumeId !== null) await this.detach(record);
    await this.records.remove(directory);
    return isOurs;
  }

  /** True if what the record is about is still mounted. */
  async isMounted(record: MountRecord, top?: MountEntry): Promise<boolean> {
    const there = top ?? (await topAt(record.directory));
    if (there === undefined) return false;
    const facts = new MachineDevices();
    const blockDevice = record.folder === null ? await this.deviceOf(record) : null;
    const { backingFile } = await mountedOn(record.directory);
    return isOfRecord(record, { top: there, blockDevice, isServed: isRunning(record.server), backingFile }, facts);
  }

  private async deviceOf({ volumeId, source, directory }: MountRecord): Promise<string | null> {
    if (volumeId === null || volumeId === '') return null;
    const { attachments, awaited } = await this.context.call('local', {});
    if (awaited.some(({ id }) => id === volumeId))
      throw new RsError('E_BUSY', `${source} at ${directory} is being attached again: repeat this when rsconfig -l shows it`);
    return attachments.find(({ id }) => id === volumeId)?.blockDevice ?? null;
  }

  /** Returns the path without symbolic links. Throws if nothing can be mounted there. */
  private async freeDirectory(given: string): Promise<string> {
    const directory = await realpath(given).catch((thrown: unknown) => {
      throw usageError(`There is no directory ${given} (${errnoName(thrown) ?? '?'}): mkdir ${given}`);
    });
    if (!statSync(directory).isDirectory()) throw usageError(`${directory} is no directory: give a directory`);
    if (this.records.of(directory) !== undefined)
      throw new RsError('E_IN_USE', `${directory} has a mount of rsconfig, or the rest of one: end it with rsconfig umount ${directory}`);
    const top = await topAt(directory);
    if (top !== undefined) throw new RsError('E_IN_USE', `${top.source} is mounted at ${directory}: give another directory`);
    const names = readdirSync(directory);
    if (names.length === 0) return directory;
    const more = names.length > HIDDEN_NAMED_MAX ? ', ...' : '';
    throw usageError(
      `${directory} is not empty, and the mount would hide ${names.slice(0, HIDDEN_NAMED_MAX).join(', ')}${more}: give an empty directory`,
    );
  }

  private newFolder(): string {
    return path.join(this.context.paths.runDir, 'images', randomUUID());
  }

  /** Attaches the volume for the directory, which is an owner of its own. */
  private async attached({ source, directory }: MountRecord, put: (changed: Partial<MountRecord>) => Promise<void>): Promise<Place> {
    const { call, note } = this.context;
    const { outcomes } = await call('attach', { names: [source], readOnly: true, server: null, take: 'no', owner: ownerOf(directory) });
    const [outcome] = outcomes;
    if (outcome === undefined) throw new RsError('E_VOLUME', `rsiod did not attach ${source} and gave no reason: see its log (rsclogcat)`);
    // A detach would wait for what others do with the volume.
    if (outcome.error !== null) await put({ volumeId: null });
    checkOutcome(outcome);
    const { attachments } = await call('local', {});
    const view = attachments.find((one) => volumeLabel(one) === outcome.volume);
    if (view === undefined) throw new RsError('E_VOLUME', `${outcome.volume} was detached meanwhile: try again`);
    await put({ source: outcome.volume, volumeId: view.id });
    if (!view.blockDevice.startsWith('/'))
      throw new RsError('E_USAGE', `${outcome.volume} has no block device here: set device = block in rscltcfg`);
    if (!isSnapshot(view.name)) note(`${outcome.volume} is no snapshot: if a client writes to it now, what is read here may be wrong`);
    return { file: view.blockDevice, isImage: false };
  }

  /** Shows the backup as an image. */
  private async served(
    { folder }: MountRecord,
    { source, isUnproven }: MountWish,
    put: (changed: Partial<MountRecord>) => Promise<void>,
  ): Promise<Place> {
    return await whileKept(source, async () => {
      const chain = await readChain(source, isUnproven);
      await put({ server: await serveImage(folder!, chainNode(chain), chain.folder, this.context.clock) });
      return { file: imageIn(folder!), isImage: true };
    });
  }

  private async fileSystemOn(
    { file }: Place,
    source: string,
    wanted: number | null,
  ): Promise<{ type: string; partition: Partition | null }> {
    const whole = await this.contentOn(file, null);
    if (whole.kind !== 'table') {
      if (wanted !== null) throw usageError(`${source} has no partitions, but ${whole.text}: leave --partition out`);
      return { type: typeOf(source, whole), partition: null };
    }
    const { failure, output } = await this.run('partx', '', BLKID_MS, ['--pairs', '--output', 'NR,START,SECTORS,TYPE', file]);
    if (failure !== null) throw new RsError('E_SYSTEM', `partx cannot read the partitions of ${source}: ${output.trim() || failure}`);
    const found = [];
    for (const one of partitionsIn(output)) found.push({ ...one, content: await this.contentOn(file, one) });
    return choosePartition(source, found, wanted);
  }

  private async contentOn(file: string, part: Partition | null): Promise<Content> {
    const range = part === null ? [] : ['--offset', String(part.offsetBytes), '--size', String(part.sizeBytes)];
    return contentOf(file, await this.run('blkid', '', BLKID_MS, ['-p', '-o', 'export', ...range, file]));
  }

  /**
   * Mounts a device that cannot be written. If the journal must be replayed, mounts an image of the device instead. Without the programs for
   * an image, mounts the device without its journal, and says so.
   */
  private async mountDevice(
    now: () => MountRecord,
    file: string,
    found: { readonly type: string; readonly partition: Partition | null },
    put: (changed: Partial<MountRecord>) => Promise<void>,
  ): Promise<void> {
    const { clock, note } = this.context;
    const { directory, source } = now();
    const why = await this.tryMount(file, directory, found, 'plain', false);
    if (why === null) return await put({ journal: 'clean', ...(await mountedOn(directory)) });
    if (!NEEDS_REPLAY.test(why) || !canSkip(found.type)) throw mountFailed(source, directory, why);
    try {
      await put({ folder: this.newFolder() });
      const node = { driver: 'raw', file: { driver: 'host_device', filename: await realpath(file) } };
      await put({ server: await serveImage(now().folder!, node, '/', clock) });
      return await this.mountImage(now(), imageIn(now().folder!), found, put);
    } catch (thrown) {
      await endImage(now(), this.run, clock);
      await put({ folder: null, server: null, device: null });
      note(`The journal of ${source} is not replayed, so that what was written last may be old or missing: ${toRsError(thrown).message}`);
    }
    const again = await this.tryMount(file, directory, found, 'skips', false);
    if (again !== null) throw mountFailed(source, directory, again);
    await put({ journal: 'skipped', ...(await mountedOn(directory)) });
  }

  private async mountImage(
    { directory, source, folder }: MountRecord,
    image: string,
    found: { readonly type: string; readonly partition: Partition | null },
    put: (changed: Partial<MountRecord>) => Promise<void>,
  ): Promise<void> {
    const why = await this.tryMount(image, directory, found, 'replays', true);
    if (why !== null) throw mountFailed(source, directory, why);
    // With the device, mount does not add the options that fstab may have for the directory.
    const device = (await topAt(directory))?.source ?? '';
    const { failure, output } = await this.run('mount', '', MOUNT_PROGRAM_MS, ['-o', 'remount,ro,nosuid,nodev', device, directory]);
    if (failure !== null) {
      await this.run('umount', '', MOUNT_PROGRAM_MS, [directory]);
      throw mountFailed(source, directory, output.trim() || failure);
    }
    await put({ journal: 'replayed', ...(await mountedOn(directory)) });
    await hideImage(folder!, this.run);
  }

  /** Returns the reason of a failure; null if it is mounted. */
  private async tryMount(
    file: string,
    directory: string,
    { type, partition }: { readonly type: string; readonly partition: Partition | null },
    opening: Opening,
    isImage: boolean,
  ): Promise<string | null> {
    const args = ['-t', type, '-o', mountOptions(type, opening, partition, isImage), file, directory];
    const { failure, output } = await this.run('mount', '', MOUNT_PROGRAM_MS, args);
    return failure === null ? null : output.trim().replaceAll(/\s*\n\s*/g, '; ') || failure;
  }

  private async unmount(directory: string, device: string): Promise<void> {
    const { failure, output } = await this.run('umount', '', MOUNT_PROGRAM_MS, [directory]);
    if (failure === null) return;
    const users = usersOf(directory, device);
    const why = users.length === 0 ? output.trim() || failure : `it is used by ${namedUsers(users)}`;
    throw new RsError('E_IN_USE', `${directory} cannot be unmounted, because ${why}: end that, and repeat rsconfig umount ${directory}`);
  }

  /** Detaches the volume unless it has another owner. The device may be in use for a moment after the unmount. */
  private async detach({ source, directory, volumeId }: MountRecord): Promise<void> {
    const { call, clock } = this.context;
    // What is not attached is not detached: the configuration may want it attached later.
    const { attachments, awaited } = await call('local', {});
    if (volumeId !== '' && ![...attachments, ...awaited].some(({ id }) => id === volumeId)) return;
    for (const endMs = clock.monotonicMs() + MOUNT_LEAVES_MS; ; await sleep(clock, MOUNTS_LOOK_MS)) {
      const { outcomes } = await call('detach', { names: [source], force: false, owner: ownerOf(directory) });
      const [outcome] = outcomes;
      if (outcome === undefined || outcome.error?.code === 'E_UNKNOWN_VOLUME') return;
      if (outcome.error?.code !== 'E_IN_USE' || clock.monotonicMs() > endMs) return checkOutcome(outcome);
    }
  }
}

export function isBackupFile(source: string): boolean {
  return source.includes('/') || source.endsWith('.qcow2');
}

/** Checks the chain of a backup as before a restore, but a file that was not written to since it was made is not read again. */
export async function checkBackup({ note }: CommandContext, { source, isUnproven }: MountWish): Promise<void> {
  await whileKept(source, async () => {
    const chain = await readChain(source, isUnproven);
    await new LinkCheck(true).check(chain);
    noteUncompared(note, chain);
  });
}

function ownerOf(directory: string): string {
  return `rsconfig mount ${directory}`;
}

async function topAt(directory: string): Promise<MountEntry | undefined> {
  return (await mountTable()).findLast(({ mountPoint }) => mountPoint === directory);
}

/** The device of the mount at the directory, and the backing file if that is a loop device. */
async function mountedOn(directory: string): Promise<Pick<MountRecord, 'device' | 'backingFile'>> {
  const [facts, top] = [new MachineDevices(), await topAt(directory)];
  const device = top === undefined ? null : deviceOfMount(top, facts);
  const file = device === null ? '' : `/sys/dev/block/${device}/loop/backing_file`;
  return { device, backingFile: existsSync(file) ? readFileSync(file, 'utf8').trim() : null };
}

function mountFailed(source: string, directory: string, why: string): RsError {
  return new RsError('E_SYSTEM', `${source} cannot be mounted at ${directory} (${why}): see dmesg`);
}
