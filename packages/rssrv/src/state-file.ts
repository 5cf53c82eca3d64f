// A small JSON state file with a version: read once at start, replaced durably at each change, one change after the other.
// Invariant: a change is on disk when its promise resolves; a file that cannot be understood is refused, never replaced.

import { readFile } from 'node:fs/promises';
import { errnoName, RsError } from '@rsio/protocol/lib/errors';
import { replaceFile } from './durable-file.ts';

export class StateFile<T> {
  private readonly path: string;
  private readonly version: number;
  private readonly encode: () => T;
  private writing: Promise<void> = Promise.resolve();

  constructor(path: string, version: number, encode: () => T) {
    this.path = path;
    this.version = version;
    this.encode = encode;
  }

  /** The content, or null when there is none yet. `accept` checks it. Throws E_SYSTEM naming file and remedy. */
  async load(accept: (value: unknown) => T | null): Promise<T | null> {
    let text: string;
    try {
      text = await readFile(this.path, 'utf8');
    } catch (error) {
      if (errnoName(error) === 'ENOENT') return null;
      throw error;
    }
    let parsed: unknown;
    try {
      parsed = JSON.parse(text);
    } catch {
      throw this.damaged('it is not JSON');
    }
    if (typeof parsed !== 'object' || parsed === null || !('version' in parsed) || !('content' in parsed))
      throw this.damaged('it has no version');
    if (parsed.version !== this.version) throw this.damaged(`its version is ${String(parsed.version)}, this program knows ${this.version}`);
    const content = accept(parsed.content);
    if (content === null) throw this.damaged('its content is not of the expected form');
    return content;
  }

  /** Writes what is true now. */
  save(): Promise<void> {
    this.writing = this.writing
      .catch(() => undefined)
      .then(() => replaceFile(this.path, `${JSON.stringify({ version: this.version, content: this.encode() })}\n`));
    return this.writing;
  }

  private damaged(why: string): RsError {
    return new RsError(
      'E_SYSTEM',
      `State file ${this.path} cannot be used: ${why}: restore it, or move it away if what it knows may be forgotten`,
      {
        file: this.path,
      },
    );
  }
}
