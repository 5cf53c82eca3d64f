// The state of the node: one file for each staged volume. It says which volume is staged where, and whether a file system was being made.
// Invariant: a record exists before a file system is begun, and until the volume is detached.

import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { StateFile, type StateForm } from '@rsio/common/files/state-file';
import { errnoName } from '@rsio/common/lib/errors';
import { flag, object, type Of, text, word } from '@rsio/common/lib/shape';

const RECORD = object({
  volumeId: text(),
  label: text('Name of the volume for rsiod when it was attached'),
  kind: word(['block', 'mount']),
  fsType: word(['ext4', 'xfs']),
  phase: word(['formatting', 'ready'], 'formatting: mkfs was begun, and its end is not known'),
  isReadonly: flag(),
  mode: text('Access mode of the staged capability'),
  stagingPath: text(),
});

export type StageRecord = Of<typeof RECORD>;

const FORM: StateForm<StageRecord> = {
  version: 1,
  shape: RECORD,
  remedy: 'unmount and detach the volume by hand (umount, rsconfig -d), then remove the file',
};

export interface Records {
  load(volumeId: string): Promise<StageRecord | null>;
  save(record: StageRecord): Promise<void>;
  remove(volumeId: string): Promise<void>;
  /** Number of staged volumes. */
  count(): Promise<number>;
}

/** The records in a folder. */
export class RecordFiles implements Records {
  private readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  load(volumeId: string): Promise<StageRecord | null> {
    const loading = new StateFile(this.fileOf(volumeId), FORM, () => {
      throw new Error('A record is loaded, and not saved');
    });
    return loading.load();
  }

  async save(record: StageRecord): Promise<void> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    await new StateFile(this.fileOf(record.volumeId), FORM, () => record).save();
  }

  async remove(volumeId: string): Promise<void> {
    await rm(this.fileOf(volumeId), { force: true });
  }

  async count(): Promise<number> {
    try {
      return (await readdir(this.folder)).filter((name) => name.endsWith('.json')).length;
    } catch (error) {
      if (errnoName(error) === 'ENOENT') return 0;
      throw error;
    }
  }

  /** The id of a volume has only letters, digits, dots and dashes. */
  private fileOf(volumeId: string): string {
    return join(this.folder, `${volumeId}.json`);
  }
}
