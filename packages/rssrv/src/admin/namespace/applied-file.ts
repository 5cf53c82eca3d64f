// Remembers which file of the namespace a server has applied last. Invariant: a file never takes the place of a newer one, or of another one
// of the same generation; a file that is remembered is on disk. Rules: G53.

import { hashOf } from '@rsio/common/config/namespace-file';
import { APPLIED_FILE, type AppliedFile } from '@rsio/api/rssrv/namespace-methods';
import type { StateFile } from '@rsio/base/files/state-file';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { object, type Of, orNull, text } from '@rsio/base/lib/shape';
import type { Log } from '@rsio/base/log/log';

const STORED = object({ file: orNull(object({ ...APPLIED_FILE.form.fields, text: text() })) });
export type StoredFile = Of<typeof STORED>;

/** The form of the file on disk. */
export const STORED_FORM = { version: 1, shape: STORED, remedy: 'apply the file of the namespace again (rsadm apply FILE)' } as const;

export interface MemoryPorts {
  readonly clock: Pick<Clock, 'wallMs'>;
  readonly log: Pick<Log, 'error' | 'info'>;
  /** Keeps what `current` returns. */
  store(current: () => StoredFile): Pick<StateFile<StoredFile>, 'load' | 'save'>;
}

export class FileMemory {
  private readonly ports: MemoryPorts;
  private readonly store: Pick<StateFile<StoredFile>, 'load' | 'save'>;
  /** Null: no file was applied. */
  private last: StoredFile['file'] = null;

  constructor(ports: MemoryPorts) {
    this.ports = ports;
    this.store = ports.store(() => ({ file: this.last }));
  }

  /** A file that cannot be read is logged: the server needs it for nothing else, and the next order writes it anew. Never rejects. */
  async load(): Promise<void> {
    try {
      this.last = (await this.store.load())?.file ?? null;
    } catch (thrown) {
      this.ports.log.error(toRsError(thrown).message);
    }
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
  checkNewer(given: string, generation: number | null, server: string): void {
    const { last } = this;
    if (last === null || last.hash === hashOf(given) || (generation ?? 0) > last.generation) return;
    throw new RsError(
      'E_CHANGED',
      `Server ${server} has generation ${last.generation} of the file (${last.hash}, by ${last.by}), ` +
        'which is another one: compare the files, and apply the right one again',
    );
  }

  /** Returns false if the server has remembered this file already. */
  async remember(given: string, generation: number | null, by: string): Promise<boolean> {
    const hash = hashOf(given);
    const before = this.last;
    if (before?.hash === hash && before.generation >= (generation ?? 0)) return false;
    this.last = { generation: generation ?? (before?.generation ?? 0) + 1, hash, atMs: this.ports.clock.wallMs(), by, text: given };
    try {
      await this.store.save();
    } catch (thrown) {
      this.last = before;
      throw thrown;
    }
    return true;
  }
}
