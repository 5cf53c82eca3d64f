// A small JSON state file with a checksum and a version. The program reads the file once, at start. Each change replaces the file durably; only one write
// is in progress at a time. Invariants: When the promise for a change has resolved, the change is on disk. Loaded content is on disk. A
// file that is damaged or does not have the required shape is refused and never overwritten. Content that the next start would refuse is never written.

import { readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errnoName, errnoRemedy, RsError } from '../lib/errors.ts';
import { isRecord, misfit, type Shape } from '../lib/shape.ts';
import { replaceFile, syncDirectory } from './durable-write.ts';
import { readSealed, sealOf } from './sealed-text.ts';
import { StateText } from './state-text.ts';

export interface StateForm<T> {
  readonly version: number;
  readonly shape: Shape<T>;
  /**
   * For each earlier version, a function that converts its content to the current form, or returns null if the content does not fit the
   * version.
   */
  readonly earlier?: Readonly<Record<number, (content: unknown) => T | null>>;
  /**
   * True if the entries of the maps in the content are never changed in place, but replaced. The file then checks and converts each entry
   * only once, and freezes it.
   */
  readonly areEntriesFixed?: true;
  /** Says what the administrator can do if the file cannot be used; in messages, this text follows a colon. */
  readonly remedy: string;
}

export class StateFile<T> {
  private readonly path: string;
  private readonly form: StateForm<T>;
  private readonly current: () => T;
  private readonly text: StateText;
  private readonly replace: (path: string, bytes: Buffer) => Promise<void>;
  /** The write that has been requested but has not started yet; null if no write is waiting. */
  private next: Promise<void> | null = null;
  private writing: Promise<void> = Promise.resolve();

  /** Each write first calls `current`, which returns the content to write. `replace` durably replaces the file; it throws system errors. */
  constructor(path: string, form: StateForm<T>, current: () => T, replace: (path: string, bytes: Buffer) => Promise<void> = replaceFile) {
    this.path = path;
    this.form = form;
    this.current = current;
    this.text = new StateText(form.shape, form.areEntriesFixed === true);
    this.replace = replace;
  }

  /**
   * Returns the content of the file; null if the file does not exist yet. Syncs the folder, because an earlier process may have been killed
   * after the rename of the file and before the sync of the folder. Throws E_SYSTEM with the file name and a remedy.
   */
  async load(): Promise<T | null> {
    let text: string;
    try {
      text = await readFile(this.path, 'utf8');
      await syncDirectory(dirname(this.path));
    } catch (error) {
      if (errnoName(error) === 'ENOENT') return null;
      throw this.failed('read', error);
    }
    const found = readSealed(text);
    if ('damage' in found) throw this.damaged(found.damage);
    const { value: parsed } = found;
    if (!isRecord(parsed) || !('version' in parsed) || !('content' in parsed)) throw this.damaged('it has no version');
    const { version, content } = parsed;
    const earlier = typeof version === 'number' ? this.form.earlier?.[version] : undefined;
    if (earlier !== undefined) {
      const converted = earlier(content);
      // Check the converted content: the next change writes this content, and the next start must be able to load the file.
      return this.checked(converted);
    }
    if (version !== this.form.version) {
      const shown = typeof version === 'number' ? String(version) : 'no number';
      throw this.damaged(`its version is ${shown}, this program knows ${this.form.version}`);
    }
    return this.checked(content);
  }

  /** Renames a file that cannot be used, so that no save replaces it. Returns where it is, as the end of a sentence. */
  setAside(): Promise<string> {
    const aside = `${this.path}.damaged`;
    return rename(this.path, aside).then(
      () => `it is now ${aside}`,
      () => 'it stays where it is',
    );
  }

  private checked(content: unknown): T {
    const found = misfit(this.form.shape, content, 'stored');
    if (found !== null) throw this.damaged(`its content is not of the expected form (${found})`);
    return content as T;
  }

  /**
   * Writes the current content. Calls that arrive before the next write starts share that write. Throws E_SYSTEM with the file name if the
   * write fails or if the next start could not load the content. After an error, the file has its old content, unless only the final sync
   * of the directory failed.
   */
  save(): Promise<void> {
    const write = async (): Promise<void> => {
      const content = this.text.of(this.current());
      if ('misfit' in content) {
        const what = `the next start could not load the new content (${content.misfit})`;
        throw new RsError('E_SYSTEM', `State file ${this.path} was not written, because ${what}: report this error`, { file: this.path });
      }
      try {
        const version = Buffer.from(`"version":${JSON.stringify(this.form.version)},"content":`);
        const seal = Buffer.from(sealOf([version, content.bytes, '}']));
        await this.replace(this.path, Buffer.concat([seal, version, content.bytes, Buffer.from('}\n')]));
      } catch (error) {
        throw this.failed('written', error);
      }
    };
    if (this.next !== null) return this.next;
    const next = this.writing
      .catch(() => undefined)
      .then(() => {
        this.next = null;
        return write();
      });
    this.next = next;
    this.writing = next;
    return next;
  }

  private failed(what: 'read' | 'written', error: unknown): unknown {
    const errno = errnoName(error);
    if (errno === undefined) return error;
    const remedy =
      errnoRemedy(errno) ?? `allow this program to ${what === 'read' ? 'read' : 'write'} the file and its folder ${dirname(this.path)}`;
    return new RsError('E_SYSTEM', `State file ${this.path} cannot be ${what} (${errno}): ${remedy}`, { file: this.path, errno }, error);
  }

  private damaged(why: string): RsError {
    return new RsError('E_SYSTEM', `State file ${this.path} cannot be used: ${why}: ${this.form.remedy}`, { file: this.path });
  }
}
