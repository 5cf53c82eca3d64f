// The state of the node: one file for each staged volume, which says where the volume is staged and how. It is a hint for later calls: the
// kernel knows the attached and mounted volumes, and the device says whether its file system is complete. Invariants: a record exists before a
// volume is mounted, and until it is detached. A file that cannot be used counts as missing, and is kept under another name.

import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { StateFile, type StateForm } from '@rsio/base/files/state-file';
import { assert } from '@rsio/base/lib/assert';
import { errnoName, toRsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import { flag, object, type Of, text, word } from '@rsio/base/lib/shape';
import { parseVolumeId } from '../product/ids.ts';

const RECORD = object({
  volumeId: text(),
  label: text('Name of the volume for rsiod when it was attached'),
  kind: word(['block', 'mount']),
  fsType: word(['ext4', 'xfs']),
  isReadonly: flag(),
  mode: text('Access mode of the staged capability'),
  stagingPath: text(),
});

export type StageRecord = Of<typeof RECORD>;

const FORM: StateForm<StageRecord> = {
  version: 1,
  shape: RECORD,
  remedy: 'it counts as missing',
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
  private readonly log: Pick<Log, 'warn'>;

  constructor(folder: string, log: Pick<Log, 'warn'>) {
    this.folder = folder;
    this.log = log;
  }

  async load(volumeId: string): Promise<StageRecord | null> {
    const file = this.fileOf(volumeId);
    if (file === null) return null;
    const loading = new StateFile(file, FORM, () => {
      throw new Error('A record is loaded, and not saved');
    });
    return loading.load().catch(async (thrown: unknown) => {
      await rename(file, `${file}.unusable`);
      this.log.warn(`${toRsError(thrown).message}; it is kept as ${file}.unusable`);
      return null;
    });
  }

  async save(record: StageRecord): Promise<void> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    const file = this.fileOf(record.volumeId);
    assert(file !== null, 'Only a volume that was attached is recorded');
    await new StateFile(file, FORM, () => record).save();
  }

  async remove(volumeId: string): Promise<void> {
    const file = this.fileOf(volumeId);
    if (file !== null) await rm(file, { force: true });
  }

  async count(): Promise<number> {
    try {
      return (await readdir(this.folder)).filter((name) => name.endsWith('.json')).length;
    } catch (error) {
      if (errnoName(error) === 'ENOENT') return 0;
      throw error;
    }
  }

  /** Returns null for a text that is not the id of a volume, because such a text could lead out of the folder. */
  private fileOf(volumeId: string): string | null {
    return parseVolumeId(volumeId) === null ? null : join(this.folder, `${volumeId}.json`);
  }
}
