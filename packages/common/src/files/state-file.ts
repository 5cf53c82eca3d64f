// A small JSON state file with a version: read once at start, replaced durably at each change, one change after the other.
// Invariants: a change is on disk when its promise resolves; a file that cannot be understood is refused, never replaced; nothing is written
// that the next start would refuse.

import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { replaceFile } from './durable-file.ts';
import { errnoName, errnoRemedy, RsError } from '../lib/errors.ts';
import { isRecord } from './state-values.ts';

export interface StateForm<T> {
  readonly version: number;
  readonly accepts: (content: unknown) => content is T;
  /** What files of earlier versions become; null: the content is not of that form. */
  readonly earlier?: Readonly<Record<number, (content: unknown) => T | null>>;
  /** What to do when the file cannot be used; follows a colon. */
  readonly remedy: string;
}

export class StateFile<T> {
  private readonly path: string;
  private readonly form: StateForm<T>;
  private readonly current: () => T;
  /** Still to begin. */
  private next: Promise<void> | null = null;
  private writing: Promise<void> = Promise.resolve();

  /** `current`: what is true when a write begins. */
  constructor(path: string, form: StateForm<T>, current: () => T) {
    this.path = path;
    this.form = form;
    this.current = current;
  }

  /** The content, or null when there is none yet. Throws E_SYSTEM naming file and remedy. */
  async load(): Promise<T | null> {
    let text: string;
    try {
      text = await readFile(this.path, 'utf8');
    } catch (error) {
      if (errnoName(error) === 'ENOENT') return null;
      throw this.failed('read', error);
    }
    let parsed: unknown;
    try {
      parsed = JSON.parse(text);
    } catch {
      throw this.damaged('it is not JSON');
    }
    if (!isRecord(parsed) || !('version' in parsed) || !('content' in parsed)) throw this.damaged('it has no version');
    const { version, content } = parsed;
    const earlier = typeof version === 'number' ? this.form.earlier?.[version] : undefined;
    if (earlier !== undefined) {
      const converted = earlier(content);
      // What it becomes is written by the next change, and must be loaded by the next start.
      if (converted === null || !this.form.accepts(converted)) throw this.damaged('its content is not of the expected form');
      return converted;
    }
    if (version !== this.form.version) {
      const shown = typeof version === 'number' ? String(version) : 'no number';
      throw this.damaged(`its version is ${shown}, this program knows ${this.form.version}`);
    }
    if (!this.form.accepts(content)) throw this.damaged('its content is not of the expected form');
    return content;
  }

  /** Writes what is true now, or a little later; all who ask while one is still to begin share it. Throws E_SYSTEM naming the file, also for what could not be loaded again; the old content stays then. */
  save(): Promise<void> {
    const write = async (): Promise<void> => {
      const content = this.current();
      if (!this.form.accepts(content)) {
        const what = 'what is to be kept is not of the form that can be loaded again';
        throw new RsError('E_SYSTEM', `State file ${this.path} is not written: ${what}: report this`, { file: this.path });
      }
      try {
        await replaceFile(this.path, `${JSON.stringify({ version: this.form.version, content })}\n`);
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
    const remedy = errnoRemedy(errno) ?? `see that ${dirname(this.path)} and the file may be ${what} by this program`;
    return new RsError('E_SYSTEM', `State file ${this.path} cannot be ${what} (${errno}): ${remedy}`, { file: this.path, errno }, error);
  }

  private damaged(why: string): RsError {
    return new RsError('E_SYSTEM', `State file ${this.path} cannot be used: ${why}: ${this.form.remedy}`, { file: this.path });
  }
}
