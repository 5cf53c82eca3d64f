// Keeps what `rsconfig mount` has mounted, and decides whether what is mounted at a directory now is that. Invariants: a record exists from
// before the first step of a mount until after the last step of its end, so that a command that was killed leaves nothing unknown; only
// one command changes mounts at a time; a directory or a device number alone identifies no mount, because both are used again.

import { sleep } from '@rsio/base/lib/waiting';
import { type DeviceFacts, deviceOfMount, stackOn } from '@rsio/base/daemon/block-stack';
import type { MountEntry } from '@rsio/base/daemon/mount-table';
import { acquireCommandLock, type PidFile } from '@rsio/base/daemon/pid-file';
import { StateFile } from '@rsio/base/files/state-file';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { count, list, object, type Of, orNull, text, whole } from '@rsio/base/lib/shape';
import type { CommandContext } from '../cli/context.ts';
import { MOUNTS_BUSY_MS, MOUNTS_LOOK_MS, MOUNTS_MAX } from '../limits.ts';

const RECORD = object({
  directory: text(),
  /** The label of the volume or snapshot, or the name as it was given until the label is known; or the path of the backup. */
  source: text(),
  /** The id of the attached volume or snapshot; empty until it is known; null for a backup. */
  volumeId: orNull(text()),
  /** The folder of the image server; null without one. */
  folder: orNull(text()),
  /** The image server; null until it runs. */
  server: orNull(object({ pid: count(), startTicks: text() })),
  /** The number of the device, such as `7:3`, and the backing file if it is a loop device; null until it is mounted. */
  device: orNull(text()),
  backingFile: orNull(text()),
  type: text(),
  partition: orNull(whole(1, null)),
  journal: text(),
});
export type MountRecord = Of<typeof RECORD>;

const FORM = { version: 1, shape: list(RECORD), remedy: 'unmount what is mounted, detach it with rsconfig -d, and remove this file' };

export class MountRecords {
  private readonly file: StateFile<readonly MountRecord[]>;
  private records: readonly MountRecord[] = [];

  constructor(file: string) {
    this.file = new StateFile(file, FORM, () => this.records);
  }

  async load(): Promise<readonly MountRecord[]> {
    return (this.records = (await this.file.load()) ?? []);
  }

  of(directory: string): MountRecord | undefined {
    return this.records.find((one) => one.directory === directory);
  }

  /** Adds the record, or replaces that of the same directory. */
  async put(record: MountRecord): Promise<void> {
    const others = this.records.filter(({ directory }) => directory !== record.directory);
    if (others.length >= MOUNTS_MAX)
      throw new RsError('E_LIMIT', `rsconfig has mounted ${MOUNTS_MAX} file systems: end some with rsconfig umount`);
    this.records = [...others, record];
    await this.file.save();
  }

  async remove(gone: string): Promise<void> {
    this.records = this.records.filter(({ directory }) => directory !== gone);
    await this.file.save();
  }
}

/** Does `work` while no other command mounts or unmounts. Throws E_BUSY if one does for too long. */
export async function withMounts<T>(
  { paths, clock }: Pick<CommandContext, 'paths' | 'clock'>,
  work: (records: MountRecords) => Promise<T>,
): Promise<T> {
  const lock = await locked(paths.mountsFile, clock);
  try {
    const records = new MountRecords(paths.mountsFile);
    await records.load();
    return await work(records);
  } finally {
    lock.release();
  }
}

async function locked(file: string, clock: CommandContext['clock']): Promise<PidFile> {
  for (const endMs = clock.monotonicMs() + MOUNTS_BUSY_MS; ; await sleep(clock, MOUNTS_LOOK_MS)) {
    try {
      return acquireCommandLock(`${file}.use`, (pid) => `Another command (process ${pid}) mounts or unmounts: try again when it has ended`);
    } catch (thrown) {
      if (toRsError(thrown).code !== 'E_BUSY' || clock.monotonicMs() > endMs) throw thrown;
    }
  }
}

/** What is there now, to be compared with a record. */
export interface Present {
  /** The mount on top at the directory. */
  readonly top: Pick<MountEntry, 'device' | 'source'> | undefined;
  /** The block device of the attached volume that has the id of the record; null if none has. */
  readonly blockDevice: string | null;
  /** True if the image server of the record still runs. */
  readonly isServed: boolean;
  /** The backing file of the loop device that is mounted; null if it has none. */
  readonly backingFile: string | null;
}

/** The file that an image server shows in its folder. */
export function imageIn(folder: string): string {
  return `${folder}/image`;
}

/** True if what is mounted at the directory is what the record is about. */
export function isOfRecord(record: MountRecord, present: Present, facts: Pick<DeviceFacts, 'numberOf' | 'members' | 'above'>): boolean {
  const { top, blockDevice, isServed, backingFile } = present;
  if (top === undefined) return false;
  const device = deviceOfMount(top, facts);
  if (record.folder !== null) {
    // The server runs until its loop device ends, so that no other device gets the number meanwhile.
    if (record.device !== null) return isServed && device === record.device;
    return backingFile === imageIn(record.folder);
  }
  // If rsiod was killed, the volume has a new device. The mount keeps the old loop device, so that no other device has its number.
  if (backingFile !== null && record.device === device && record.backingFile === backingFile) return true;
  const first = blockDevice === null ? null : facts.numberOf(blockDevice);
  return first !== null && stackOn(first, facts).numbers.has(device);
}
