// RUN/attached.json: what is attached here, so that a daemon that is started anew after a crash or a stop attaches it again; a boot clears
// it with RUN. What comes of it is attached-list.ts's. Invariants: a daemon starts whatever is wrong with the file, and says so; a file
// that cannot be understood is set aside, never written over.

import { rename } from 'node:fs/promises';
import { isListOf, isRecord, isText, isWhole, StateFile, type StateForm } from '@rsio/common/files/state-file';
import { toRsError } from '@rsio/common/lib/errors';
import type { Log } from '@rsio/common/log/log';

/** A volume that is attached, or is to be again. */
export interface KeptVolume {
  readonly namespace: string;
  readonly name: string;
  readonly universe: number;
  readonly id: string;
  /** How it was asked for: a server that shows it read-only for a while does not make it so for good. */
  readonly readonly: boolean;
  /** Through which it was attached: its requests may still be under way there. */
  readonly serverid: number;
  readonly server: string;
}

export interface AttachedContent {
  /** The boot of the machine in which it was written: another one clears it where RUN outlives a boot. */
  readonly boot: string;
  readonly attached: readonly KeptVolume[];
  /** What a person has detached and the configuration may want attached at start: labels with ids. */
  readonly detached: readonly string[];
}

const FORM: StateForm<AttachedContent> = { version: 1, accepts: isContent, remedy: 'attach again with rsconfig -a what is missing' };

/** Says what goes wrong, and never throws. */
export class AttachedFile {
  private readonly path: string;
  private readonly log: Log;
  private readonly file: StateFile<AttachedContent>;
  private isWritable = true;

  constructor(path: string, log: Log, current: () => AttachedContent) {
    this.path = path;
    this.log = log;
    this.file = new StateFile(path, FORM, current);
  }

  /** null: there is none, or none that can be used; then `warn` is told. */
  async load(warn: (sentence: string) => void): Promise<AttachedContent | null> {
    try {
      return await this.file.load();
    } catch (thrown) {
      const aside = `${this.path}.unusable`;
      const kept = await rename(this.path, aside).then(
        () => `it is kept as ${aside}`,
        (error: unknown) => `it could not be set aside (${toRsError(error).message})`,
      );
      warn(`What was attached is not attached again: ${toRsError(thrown).message}; ${kept}`);
      return null;
    }
  }

  async save(): Promise<void> {
    try {
      await this.file.save();
      this.isWritable = true;
    } catch (thrown) {
      const sentence = `What is attached could not be recorded, and would not come back by itself after a restart: ${toRsError(thrown).message}`;
      if (this.isWritable) this.log.warn(sentence);
      this.isWritable = false;
    }
  }
}

function isContent(value: unknown): value is AttachedContent {
  return isRecord(value) && isText(value['boot']) && isListOf(value['attached'], isKept) && isListOf(value['detached'], isText);
}

function isKept(value: unknown): value is KeptVolume {
  if (!isRecord(value)) return false;
  const { namespace, name, universe, id, readonly, serverid, server } = value;
  return [namespace, name, id, server].every(isText) && isWhole(universe) && isWhole(serverid) && typeof readonly === 'boolean';
}
