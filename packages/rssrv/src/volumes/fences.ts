// Remembers the fenced clients across restarts and reloads, and counts the running orders of each client. fencing.ts ends the sessions of
// fenced clients. Invariants: a fence is on disk before its request is answered. A fence takes effect when it is requested. No order of a
// fenced client begins.

import { OneByOne } from '@rsio/base/structures/one-by-one';
import { StateFile } from '@rsio/base/files/state-file';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import { formatTime } from '@rsio/base/log/log-line';
import { type Fence, FENCES_FILE, type FencesFileContent } from './fences-file.ts';
import { FENCES_MAX } from './limits.ts';

/** Records, in the holds file, whether clients have ever been fenced. A start can therefore detect that the file of fences was lost. */
export interface FencesNote {
  /** True if any client has ever been fenced, so that the file of fences must exist. */
  readonly hasHadFences: boolean;
  /** Makes `hasHadFences` true for all later starts. */
  noteFences(): Promise<void>;
}

export class Fences {
  private readonly clock: Pick<Clock, 'wallMs'>;
  private readonly path: string;
  private readonly note: FencesNote;
  /** Records the fences in the pools, so that the next server of a pool knows them. Throws if that fails for a pool. */
  readonly saveInPools: () => Promise<void>;
  private readonly file: StateFile<FencesFileContent>;
  private readonly clients = new Map<string, Fence>();
  /** Maps each client to the number of its orders in execution. */
  private readonly orders = new Map<string, number>();
  /** The client that `lift` is readmitting; null if `lift` is not running. A save leaves this client out of the file. */
  private lifting: string | null = null;
  private readonly changes = new OneByOne();
  /** Called whenever an order of any client has ended. */
  private readonly waiters = new Set<() => void>();

  constructor(clock: Pick<Clock, 'wallMs'>, path: string, note: FencesNote, saveInPools: () => Promise<void>) {
    this.clock = clock;
    this.path = path;
    this.note = note;
    this.saveInPools = saveInPools;
    this.file = new StateFile(path, FENCES_FILE, () => this.content);
  }

  /** Loads the file of fences. Throws E_SYSTEM if the file cannot be used, or if it is missing although clients have been fenced. */
  async load(): Promise<void> {
    const content = await this.file.load();
    if (content === null && this.note.hasHadFences)
      throw new RsError('E_SYSTEM', `State file ${this.path} is gone, and clients may have been fenced: ${FENCES_FILE.remedy}`, {
        file: this.path,
      });
    for (const [node, fence] of Object.entries(content?.clients ?? {})) this.clients.set(node, fence);
  }

  get(node: string): Fence | null {
    return this.clients.get(node) ?? null;
  }

  has(node: string): boolean {
    return this.clients.has(node);
  }

  get names(): readonly string[] {
    return [...this.clients.keys()];
  }

  check(node: string): void {
    const fence = this.get(node);
    if (fence === null) return;
    throw new RsError(
      'E_FENCED',
      `Node ${node} is fenced since ${formatTime(fence.sinceMs)}: rsadm client unfence ${node} on the server lets it in again`,
      { node },
    );
  }

  /** Fences a client. Durable when the promise resolves. Throws E_SYSTEM, and does not fence the client, if the file cannot be saved. */
  async set(node: string, by: string | null): Promise<void> {
    const before = this.get(node);
    if (before === null && this.clients.size >= FENCES_MAX)
      throw new RsError('E_LIMIT', `${FENCES_MAX} clients are fenced already: unfence some`);
    const fence = before ?? { sinceMs: this.clock.wallMs(), by };
    this.clients.set(node, fence);
    await this.changes.run(async () => {
      // Set the fence again: an earlier change in the queue, or the undoing of an earlier change, may have removed the fence.
      this.clients.set(node, fence);
      try {
        await this.file.save();
        await this.note.noteFences();
      } catch (error) {
        if (before === null) this.clients.delete(node);
        throw error;
      }
    });
  }

  /** All fences, keyed by the name of the client. */
  get all(): FencesFileContent['clients'] {
    return this.content.clients;
  }

  /**
   * Adds the fences of a pool that another server has used, with immediate effect, and returns the names of the clients that were not
   * fenced here. At most FENCES_MAX clients are fenced. `failed`: called if the fences cannot be saved here; the ledger of the pool still
   * has them.
   */
  adopt(fences: FencesFileContent['clients'], failed: (thrown: unknown) => void): readonly string[] {
    const added = Object.entries(fences)
      .filter(([node]) => !this.has(node))
      .slice(0, Math.max(0, FENCES_MAX - this.clients.size));
    for (const [node, fence] of added) this.clients.set(node, fence);
    const save = async (): Promise<void> => {
      await this.file.save();
      await this.note.noteFences();
    };
    if (added.length > 0) void this.changes.run(save).catch(failed);
    return added.map(([node]) => node);
  }

  /** Ends a fence, durably. Returns false if the client was not fenced. Throws E_SYSTEM, and keeps the fence, if saving fails. */
  async lift(node: string): Promise<boolean> {
    return this.changes.run(async () => {
      if (!this.has(node)) return false;
      this.lifting = node;
      try {
        await this.file.save();
      } finally {
        this.lifting = null;
      }
      this.clients.delete(node);
      return true;
    });
  }

  /** Executes an order of a client, or of an administrator on the server if `node` is null. Throws E_FENCED if the client is fenced. */
  async order<T>(node: string | null, work: () => Promise<T>): Promise<T> {
    if (node === null) return work();
    this.check(node);
    this.orders.set(node, (this.orders.get(node) ?? 0) + 1);
    try {
      return await work();
    } finally {
      const left = (this.orders.get(node) ?? 0) - 1;
      if (left > 0) this.orders.set(node, left);
      else this.orders.delete(node);
      for (const waiter of [...this.waiters]) waiter();
    }
  }

  /** Resolves when no order of the client is in execution. */
  async idle(node: string): Promise<void> {
    while (this.orders.has(node)) {
      await new Promise<void>((resolve) => {
        const waiter = (): void => {
          this.waiters.delete(waiter);
          resolve();
        };
        this.waiters.add(waiter);
      });
    }
  }

  private get content(): FencesFileContent {
    return { clients: Object.fromEntries([...this.clients].filter(([node]) => node !== this.lifting)) };
  }
}
