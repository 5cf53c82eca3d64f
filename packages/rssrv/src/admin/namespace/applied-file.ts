// Remembers which file of the namespace a server has applied last, and which keys have ended. Invariants: a file never takes the place of one of
// a higher generation, or of another one of the same generation; a key that an order has ended does not come back by an order; what is
// remembered is on disk. Rules: G53.

import { createHash, randomBytes } from 'node:crypto';
import { APPLIED_FILE, type AppliedFile } from '@rsio/api/rssrv/namespace-methods';
import type { StateFile } from '@rsio/base/files/state-file';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { list, object, type Of, optional, orNull, text } from '@rsio/base/lib/shape';
import type { Log } from '@rsio/base/log/log';
import { ENDED_KEYS_MAX, GENERATIONS_AHEAD_MAX, RENAMES_MAX } from '../limits.ts';

const STORED = object({
  file: orNull(object({ ...APPLIED_FILE.form.fields, text: text() })),
  salt: text('Of the digests'),
  ended: list(object({ client: text(), digest: text() }), 'Keys that have ended, the oldest first'),
  renamed: optional(
    list(object({ name: text(), to: text() }), 'Clients that have another name, the oldest first; missing: an earlier release'),
  ),
});
export type StoredFile = Of<typeof STORED>;
type Keys = ReadonlyMap<string, readonly string[]>;

/** The form of the file on disk. */
export const STORED_FORM = {
  version: 1,
  shape: STORED,
  remedy: 'restore it or remove it, and restart rssrv; if it is removed, older files, and keys that have ended, are not noticed',
} as const;

export interface MemoryPorts {
  readonly clock: Pick<Clock, 'wallMs'>;
  readonly log: Pick<Log, 'error' | 'info'>;
  /** Keeps what `current` returns. */
  store(current: () => StoredFile): Pick<StateFile<StoredFile>, 'load' | 'save'>;
  /** Hash of a file. */
  hash(text: string): Promise<string>;
}

export class FileMemory {
  private readonly ports: MemoryPorts;
  private readonly store: Pick<StateFile<StoredFile>, 'load' | 'save'>;
  /** Null: no file was applied. */
  private last: StoredFile['file'] = null;
  private salt = randomBytes(16).toString('hex');
  private ended: StoredFile['ended'] = [];
  private renames: NonNullable<StoredFile['renamed']> = [];
  /** Why the stored file cannot be used; null: it can. Until it is restored or removed, each order that needs or changes it is refused. */
  private trouble: RsError | null = null;

  constructor(ports: MemoryPorts) {
    this.ports = ports;
    this.store = ports.store(() => ({ file: this.last, salt: this.salt, ended: this.ended, renamed: this.renames }));
  }

  /** A file that cannot be used is logged, because the server needs it for nothing else than these orders. Never rejects. */
  async load(): Promise<void> {
    try {
      const stored = await this.store.load();
      if (stored === null) return;
      [this.last, this.salt, this.ended, this.renames] = [stored.file, stored.salt, stored.ended, stored.renamed ?? []];
    } catch (thrown) {
      this.trouble = toRsError(thrown);
      this.ports.log.error(this.trouble.message);
    }
  }

  private checkUsable(): void {
    if (this.trouble !== null) throw this.trouble;
  }

  /** Text of the file; null: none was applied. */
  get text(): string | null {
    return this.last?.text ?? null;
  }

  get view(): AppliedFile | null {
    if (this.last === null) return null;
    const { generation, hash, atMs, by } = this.last;
    return { generation, hash, atMs, by };
  }

  /** Throws E_CHANGED if the server has a newer file, or another one of the same generation. */
  checkNewer(hash: string, generation: number | null, server: string): void {
    this.checkUsable();
    const { last } = this;
    if (generation !== null && generation > (last?.generation ?? 0) + GENERATIONS_AHEAD_MAX)
      throw new RsError(
        'E_USAGE',
        `Generation ${generation} is far above ${last?.generation ?? 0} of server ${server}: count on from that`,
      );
    if (last === null || last.hash === hash || (generation ?? 0) > last.generation) return;
    throw new RsError(
      'E_CHANGED',
      `Server ${server} has generation ${last.generation} of the file, by ${last.by}, which is another one: compare the files, and apply the right one again`,
    );
  }

  /** Throws E_CHANGED if a client would get a key again that has ended. `had`: the keys before. */
  checkNotEnded(had: Keys, wanted: readonly { readonly name: string; readonly key: string | null }[], server: string): void {
    this.checkUsable();
    for (const { name, key } of wanted) {
      if (key === null || had.get(name)?.includes(key) === true) continue;
      const names = this.namesOf(name);
      if (this.ended.some((one) => names.includes(one.client) && one.digest === this.digestOf(one.client, key)))
        throw new RsError(
          'E_CHANGED',
          `The key of client ${name} in the file has ended on server ${server}: write the present one into the file, or a new one`,
        );
    }
  }

  /** Remembers the keys that clients have no more, and the file. `hash`: null for a part, which is no file. */
  async remember(
    had: Keys,
    has: Keys,
    file: { readonly text: string; readonly hash: string } | null,
    generation: number | null,
    by: string,
  ): Promise<boolean> {
    this.checkUsable();
    const before = { last: this.last, ended: this.ended };
    const gone = [...had].flatMap(([client, keys]) =>
      keys.filter((key) => has.get(client)?.includes(key) === false).map((key) => ({ client, digest: this.digestOf(client, key) })),
    );
    if (gone.length > 0) this.ended = [...this.ended, ...gone].slice(-ENDED_KEYS_MAX);
    const isNew = file !== null && !(this.last?.hash === file.hash && this.last.generation >= (generation ?? 0));
    if (isNew) this.last = { generation: generation ?? (this.last?.generation ?? 0) + 1, atMs: this.ports.clock.wallMs(), by, ...file };
    if (!isNew && gone.length === 0) return false;
    try {
      await this.store.save();
    } catch (thrown) {
      [this.last, this.ended] = [before.last, before.ended];
      throw thrown;
    }
    return isNew;
  }

  /** True if a client with the name `to` had the name `name` before, and no other one since. Throws E_SYSTEM if the file cannot be used. */
  wasRenamed(name: string, to: string): boolean {
    this.checkUsable();
    return this.renames.findLast((one) => one.to === to)?.name === name;
  }

  /** Remembers that a client gets another name. Its old name does not come back with one of its keys, and no key that ended under it. */
  async rename(name: string, to: string, keys: readonly string[]): Promise<void> {
    this.checkUsable();
    const before = { ended: this.ended, renames: this.renames };
    const [old, now] = [name, to].map((client) => keys.map((key) => ({ client, digest: this.digestOf(client, key) })));
    const isOf = (one: StoredFile['ended'][number]) => now!.some(({ client, digest }) => client === one.client && digest === one.digest);
    this.ended = [...this.ended.filter((one) => !isOf(one)), ...old!].slice(-ENDED_KEYS_MAX);
    const others = this.renames.filter((one) => !(one.name === to && one.to === name));
    this.renames = [...others, { name, to }].slice(-RENAMES_MAX);
    try {
      await this.store.save();
    } catch (thrown) {
      [this.ended, this.renames] = [before.ended, before.renames];
      throw thrown;
    }
  }

  /** The name of a client, and those that it had before. */
  private namesOf(name: string): string[] {
    const names = [name];
    for (const one of this.renames.toReversed()) if (names.includes(one.to) && !names.includes(one.name)) names.push(one.name);
    return names;
  }

  private digestOf(client: string, key: string): string {
    return createHash('sha256').update(`${this.salt} ${client} ${key}`).digest('hex');
  }
}
