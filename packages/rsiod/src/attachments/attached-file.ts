// Reads and writes RUN/attached.json, the list of attached volumes. The next daemon reattaches the volumes in RUN/attached.json after a
// crash or a stop. A reboot clears the RUN directory, and with it the list. RUN lies in memory and may be full; a detach is recorded even
// then. Invariants: a daemon starts even if the file is damaged, and reports the damage; a damaged file is renamed, never overwritten.

import { rename } from 'node:fs/promises';
import { replaceVolatileFile } from '@rsio/base/files/durable-write';
import { StateFile, type StateForm } from '@rsio/base/files/state-file';
import { toRsError } from '@rsio/base/lib/errors';
import { flag, integer, list, misfit, object, type Of, optional, text, word } from '@rsio/base/lib/shape';
import type { Log } from '@rsio/base/log/log';
import { kernelOf } from '@rsio/protocol/client-identity';

const KEPT = object({
  namespace: text(),
  name: text(),
  universe: integer(),
  id: text(),
  /** The mode in which the volume was requested, even if the server currently offers the volume only read-only. */
  readonly: flag(),
  /** The server from which the volume was attached. This server may still be executing requests on the volume. */
  serverid: integer(),
  server: text(),
  /** Names of the lasting owners (owners.ts). Empty: only orders had it, so it is closed. Absent in files of earlier releases. */
  owners: optional(list(text())),
  /** Who had it: programs of this machine, or hosts of its gates. Absent in older files, and if nobody can write to it. */
  shownTo: optional(word(['programs', 'gates'])),
});
export type KeptVolume = Of<typeof KEPT>;

const CONTENT = object({
  /** Boot during which the file was written; in the file, only the boot id of the kernel. The file is ignored after a reboot, even if the RUN directory has survived. */
  boot: text(),
  attached: list(KEPT),
  /**
   * Volumes that the administrator has detached or another client has taken, although the configuration may want them attached. Each entry
   * is a label and an id.
   */
  detached: list(text()),
});
export type AttachedContent = Of<typeof CONTENT>;
/** True if `value` is a list of attached volumes; a data process sends its list to the main process. */
export const isAttachedContent = (value: unknown): value is AttachedContent => misfit(CONTENT, value, 'stored') === null;

const FORM: StateForm<AttachedContent> = { version: 1, shape: CONTENT, remedy: 'attach again with rsconfig -a what is missing' };

/** Where the list of attached volumes is kept: in the file, or by the main process on behalf of a data process. */
export interface AttachedStore {
  load(warn: (sentence: string) => void): Promise<AttachedContent | null>;
  /** Resolves when the list is saved, or could not be saved and this has been reported. */
  save(): Promise<void>;
}

/** Loads and saves the file. The methods report errors and never throw. */
export class AttachedFile implements AttachedStore {
  private readonly path: string;
  private readonly log: Log;
  private readonly file: StateFile<AttachedContent>;
  private isWritable = true;

  constructor(path: string, log: Log, current: () => AttachedContent) {
    this.path = path;
    this.log = log;
    // Release 0.2.0 compares the whole text with the boot id of the kernel. If it found the list to be of another boot, it would remove the
    // devices, with the file systems that are mounted on them.
    const recorded = (): AttachedContent => ({ ...current(), boot: kernelOf(current().boot) });
    this.file = new StateFile(path, FORM, recorded, replaceVolatileFile);
  }

  /** Returns null if the file does not exist. If the file cannot be used, the function calls `warn` and returns null. */
  async load(warn: (sentence: string) => void): Promise<AttachedContent | null> {
    try {
      return await this.file.load();
    } catch (thrown) {
      const aside = `${this.path}.unusable`;
      const kept = await rename(this.path, aside).then(
        () => `it is kept as ${aside}`,
        (error: unknown) => `it could not be set aside (${toRsError(error).message})`,
      );
      warn(`Volumes are not attached again after the restart: ${toRsError(thrown).message}; ${kept}`);
      return null;
    }
  }

  async save(): Promise<void> {
    try {
      await this.file.save();
      this.isWritable = true;
    } catch (thrown) {
      const sentence = `The attached volumes could not be recorded, so that other volumes than these may be attached after a restart: ${toRsError(thrown).message}`;
      if (this.isWritable) this.log.warn(sentence);
      this.isWritable = false;
    }
  }
}
