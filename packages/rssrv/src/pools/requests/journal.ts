// The journal of requests: the last REQUESTS_KEPT requests for changes with their answers, in one file (C4). A line of the file is one
// request. A file with JOURNAL_LINES_MAX lines is rewritten without old requests. The request id in a manifest is not enough: the next
// change overwrites it, a refusal leaves none, and the manifest of a removed volume may be gone. Invariants: once `add` has resolved, the
// entry survives a crash. A line that a crash cut off is dropped. A file that cannot be read is renamed, not overwritten. Rules: A2.

import { mkdir, open, readFile, rename, stat, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { assert } from '@rsio/base/lib/assert';
import { replaceFile } from '@rsio/base/files/durable-write';
import { readSealed, sealed } from '@rsio/base/files/sealed-text';
import { errnoName, errnoRemedy, RsError } from '@rsio/base/lib/errors';
import { isRecord } from '@rsio/base/lib/shape';
import type { Log } from '@rsio/base/log/log';
import { JOURNAL_LINES_MAX, JOURNAL_MAX_BYTES, REQUESTS_KEPT } from '../limits.ts';
import { keyOf } from './request-stamp.ts';

const HEADER = JSON.stringify({ journal: 'requests', version: 1 });

export interface JournalEntry {
  readonly stamp: string;
  /** The answer to the request: JSON text of an object with `result` or `error`. */
  readonly answer: string;
}

export class Journal {
  private readonly file: string;
  private readonly log: Pick<Log, 'warn'>;
  private readonly entries = new Map<string, JournalEntry>();
  private handle: FileHandle | null = null;
  private lines = 0;
  /** Entries that are not on disk yet. */
  private unsaved: JournalEntry[] = [];
  private writing: Promise<void> = Promise.resolve();
  private next: Promise<void> | null = null;
  private isWriting = false;

  constructor(file: string, log: Pick<Log, 'warn'>) {
    this.file = file;
    this.log = log;
  }

  /** Loads the file. If the file cannot be used, renames it and logs a warning, because the server can serve volumes without a journal. */
  async load(): Promise<void> {
    try {
      const text = await this.read();
      if (text !== null) this.take(text);
    } catch (thrown) {
      const aside = `${this.file}.damaged`;
      const moved = await rename(this.file, aside).then(
        () => `it is now ${aside}`,
        () => 'it stays where it is',
      );
      const why = thrown instanceof Error ? thrown.message : String(thrown);
      this.log.warn(`The journal of requests ${this.file} cannot be used (${why}): ${moved}, and a repeated request may be executed again`);
    }
  }

  find(stamp: string): JournalEntry | null {
    return this.entries.get(keyOf(stamp)) ?? null;
  }

  /**
   * Adds an entry, and resolves when the entry is on disk. If the write fails, throws E_SYSTEM; the entry then stays in memory, and
   * the next `save` writes it again.
   */
  add(entry: JournalEntry): Promise<void> {
    this.keep(entry);
    this.unsaved.push(entry);
    return this.save();
  }

  /** Resolves when every entry is on disk. Throws E_SYSTEM. */
  save(): Promise<void> {
    if (this.unsaved.length === 0 && this.next === null) return this.writing;
    this.next ??= this.writing
      .catch(() => undefined)
      .then(() => {
        this.writing = this.next ?? Promise.resolve();
        this.next = null;
        return this.write();
      });
    return this.next;
  }

  async close(): Promise<void> {
    await this.writing.catch(() => undefined);
    await this.handle?.close().catch(() => undefined);
    this.handle = null;
  }

  private async read(): Promise<string | null> {
    try {
      const { size } = await stat(this.file);
      if (size > JOURNAL_MAX_BYTES) throw new Error(`it has ${size} bytes, more than ${JOURNAL_MAX_BYTES}`);
      return await readFile(this.file, 'utf8');
    } catch (thrown) {
      if (errnoName(thrown) === 'ENOENT') return null;
      throw thrown;
    }
  }

  private take(text: string): void {
    const [header, ...lines] = text.split('\n');
    if (header !== HEADER) throw new Error('it is no journal of this version');
    // The text after the last line end is either empty or an incomplete entry, which can be dropped, because its answer was never sent.
    lines.pop();
    for (const [index, line] of lines.entries()) {
      const entry = entryOf(line);
      if (entry === null) throw new Error(`line ${index + 2} is damaged`);
      this.keep(entry);
    }
  }

  private keep(entry: JournalEntry): void {
    const key = keyOf(entry.stamp);
    this.entries.delete(key);
    this.entries.set(key, entry);
    for (const oldest of this.entries.keys()) {
      if (this.entries.size <= REQUESTS_KEPT) return;
      this.entries.delete(oldest);
    }
  }

  private async write(): Promise<void> {
    const saved = this.unsaved;
    if (saved.length === 0) return;
    assert(!this.isWriting, 'Two writes of the journal overlap');
    this.isWriting = true;
    this.unsaved = [];
    try {
      if (this.handle === null || this.lines + saved.length > JOURNAL_LINES_MAX) await this.rewrite();
      else await this.append(this.handle, saved);
    } catch (thrown) {
      this.unsaved = [...saved, ...this.unsaved];
      // After a failed write, the last line may be incomplete. The handle is closed, because without a handle the next write replaces the
      // whole file.
      await this.handle?.close().catch(() => undefined);
      this.handle = null;
      throw unwritable(this.file, thrown);
    } finally {
      this.isWriting = false;
    }
  }

  private async append(handle: FileHandle, entries: readonly JournalEntry[]): Promise<void> {
    await handle.appendFile(entries.map(lineOf).join(''));
    await handle.datasync();
    this.lines += entries.length;
    assert(this.lines <= JOURNAL_LINES_MAX, 'The journal has more lines than it may have');
  }

  private async rewrite(): Promise<void> {
    await this.handle?.close();
    this.handle = null;
    await mkdir(path.dirname(this.file), { recursive: true });
    await replaceFile(this.file, `${HEADER}\n${[...this.entries.values()].map(lineOf).join('')}`);
    this.lines = this.entries.size;
    this.handle = await open(this.file, 'a', 0o600);
  }
}

function lineOf({ stamp, answer }: JournalEntry): string {
  return sealed(`${JSON.stringify({ stamp, answer })}\n`);
}

function entryOf(line: string): JournalEntry | null {
  const read = readSealed(line);
  if (!('value' in read) || !isRecord(read.value)) return null;
  try {
    const { stamp, answer } = read.value;
    return typeof stamp === 'string' && typeof answer === 'string' && isRecord(JSON.parse(answer)) ? { stamp, answer } : null;
  } catch {
    return null;
  }
}

function unwritable(file: string, thrown: unknown): RsError {
  const errno = errnoName(thrown);
  const remedy = errnoRemedy(errno) ?? 'allow this program to write the file and its folder';
  return new RsError('E_SYSTEM', `The journal of requests ${file} cannot be written (${errno ?? 'unknown error'}): ${remedy}`, {
    file,
    errno,
  });
}
