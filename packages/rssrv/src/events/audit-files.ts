// The files of the audit: who has ordered which change. A file has one entry a line, and is only appended to. Invariants: an entry that was
// added is at the end of the newest file of its book; only whole files are removed, the oldest of the book first, and never by their age,
// because a clock may be wrong; a line that a crash has cut off, or that somebody has damaged, hides no other entry.

import { mkdir, open, readdir, readFile, rm, stat, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { AUDIT_ENTRY, type AuditEntry } from '@rsio/api/rssrv/audit-methods';
import { errnoName } from '@rsio/base/lib/errors';
import { misfit } from '@rsio/base/lib/shape';
import { OneByOne } from '@rsio/base/structures/one-by-one';
import { AUDIT_FILE_BYTES, AUDIT_FILES_MAX } from './limits.ts';

/** `server`: orders that were given on the server. `clients`: orders of clients, which cannot push out those of the server. */
export type Book = 'server' | 'clients';

export const BOOKS: readonly Book[] = ['server', 'clients'];
const NUMBER_DIGITS = 8;

export class AuditFiles {
  readonly folder: string;
  private readonly writers: Readonly<Record<Book, BookWriter>>;

  constructor(folder: string) {
    this.folder = folder;
    this.writers = { server: new BookWriter(folder, 'server'), clients: new BookWriter(folder, 'clients') };
  }

  /** Resolves when the entry in `line` is on disk. Throws system errors; a part of the entry may then be in the file. */
  add(book: Book, line: string): Promise<void> {
    return this.writers[book].add(line);
  }

  /**
   * Returns the last `limit` entries for which `matches` returns true, the oldest first, and whether these are all such entries. Entries of
   * the two books are in the order of their times. Throws system errors.
   */
  async read(matches: (entry: AuditEntry) => boolean, limit: number): Promise<{ entries: AuditEntry[]; isWhole: boolean }> {
    const found = await Promise.all(BOOKS.map((book) => this.readBook(book, matches, limit + 1)));
    const all = found.flat().toSorted((a, b) => a.atMs - b.atMs);
    return { entries: all.slice(-limit), isWhole: all.length <= limit };
  }

  async close(): Promise<void> {
    for (const book of BOOKS) await this.writers[book].close();
  }

  private async readBook(book: Book, matches: (entry: AuditEntry) => boolean, limit: number): Promise<AuditEntry[]> {
    let found: AuditEntry[] = [];
    for (const number of (await numbersOf(this.folder, book)).toReversed()) {
      const text = await readFile(fileOf(this.folder, book, number), 'utf8').catch((thrown: unknown) => {
        // The writer has removed the oldest file meanwhile.
        if (errnoName(thrown) === 'ENOENT') return '';
        throw thrown;
      });
      found = [...text.split('\n').flatMap(parsed).filter(matches), ...found].slice(-limit);
      if (found.length === limit) break;
    }
    return found;
  }
}

export function lineOf(entry: AuditEntry): string {
  return `${JSON.stringify(entry)}\n`;
}

/** Returns the entry in the line; nothing if the line has none. */
function parsed(line: string): AuditEntry[] {
  try {
    const value: unknown = JSON.parse(line);
    // A later release may add fields.
    return misfit(AUDIT_ENTRY, value) === null ? [value as AuditEntry] : [];
  } catch {
    return [];
  }
}

function fileOf(folder: string, book: Book, number: number): string {
  return path.join(folder, `${book}-${String(number).padStart(NUMBER_DIGITS, '0')}.jsonl`);
}

/** The numbers of the files of a book, the oldest first. */
async function numbersOf(folder: string, book: Book): Promise<number[]> {
  const names = await readdir(folder).catch((thrown: unknown) => {
    if (errnoName(thrown) === 'ENOENT') return [];
    throw thrown;
  });
  const form = new RegExp(`^${book}-(\\d{${NUMBER_DIGITS}})\\.jsonl$`);
  return names
    .flatMap((name) => form.exec(name)?.[1] ?? [])
    .map(Number)
    .toSorted((a, b) => a - b);
}

class BookWriter {
  private readonly folder: string;
  private readonly book: Book;
  private readonly turns = new OneByOne();
  private file: { readonly handle: FileHandle; bytes: number } | null = null;

  constructor(folder: string, book: Book) {
    this.folder = folder;
    this.book = book;
  }

  add(line: string): Promise<void> {
    return this.turns.run(() => this.append(line));
  }

  close(): Promise<void> {
    return this.turns.run(() => this.closeFile());
  }

  private async append(line: string): Promise<void> {
    const bytes = Buffer.byteLength(line);
    const isFull = this.file !== null && this.file.bytes + bytes > AUDIT_FILE_BYTES;
    const file = isFull || this.file === null ? await this.begin() : this.file;
    try {
      await file.handle.appendFile(line);
      await file.handle.datasync();
    } catch (thrown) {
      // The file may end in a part of the line. The next entry begins another file, so that it is on a line of its own.
      await this.closeFile();
      throw thrown;
    }
    // Old files are removed only for an entry that is on disk: a full disk must not remove what was kept.
    if (file.bytes === 0) await this.removeOld();
    file.bytes += bytes;
  }

  /** Begins a file after the last one, which may end in a part of a line; uses the last one again if it is empty. */
  private async begin(): Promise<NonNullable<BookWriter['file']>> {
    await this.closeFile();
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    const last = (await numbersOf(this.folder, this.book)).at(-1) ?? 0;
    const { size } = await stat(fileOf(this.folder, this.book, last)).catch(() => ({ size: 1 }));
    const handle = await open(fileOf(this.folder, this.book, size === 0 ? last : last + 1), 'a', 0o600);
    this.file = { handle, bytes: 0 };
    return this.file;
  }

  private async removeOld(): Promise<void> {
    for (const old of (await numbersOf(this.folder, this.book)).slice(0, -AUDIT_FILES_MAX))
      await rm(fileOf(this.folder, this.book, old), { force: true });
  }

  private async closeFile(): Promise<void> {
    const { file } = this;
    this.file = null;
    await file?.handle.close().catch(() => undefined);
  }
}
