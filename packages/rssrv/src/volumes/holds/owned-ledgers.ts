// The ledgers of the pools that this server owns: saves them, and knows which files may differ from memory. ledgers.ts reads the ledgers and
// takes ownership; Holds and Fences have the content. Invariant: a ledger is dirty from the begin of a save until that save, or a later one,
// has succeeded.

import type { StateFile } from '@rsio/base/files/state-file';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import type { HoldLedgers } from './hold-store.ts';
import type { LedgerContent } from './ledger-file.ts';

type LedgerFile = Pick<StateFile<LedgerContent>, 'save'>;

interface OwnedLedger {
  readonly file: LedgerFile;
  /** True if the file may differ from memory, because a save has failed. */
  isDirty: boolean;
  /** Number of saves that have begun, plus the number of calls of `doubt`. */
  saves: number;
}

export class OwnedLedgers implements HoldLedgers {
  private readonly log: Pick<Log, 'error'>;
  private readonly onLedger: (poolId: string, work: () => Promise<void>) => Promise<void>;
  /** Keyed by the id of the pool. */
  private readonly owned = new Map<string, OwnedLedger>();

  /** `onLedger` executes a change of the ledger of an open pool, with a time limit. It throws E_POOL or E_TIMEOUT. */
  constructor(log: Pick<Log, 'error'>, onLedger: (poolId: string, work: () => Promise<void>) => Promise<void>) {
    this.log = log;
    this.onLedger = onLedger;
  }

  add(poolId: string, file: LedgerFile): void {
    if (this.owned.get(poolId)?.file !== file) this.owned.set(poolId, { file, isDirty: false, saves: 0 });
  }

  /** Forgets the ledger. Returns false if the pool has another ledger in force, or none: a pool and its copy have the same id. */
  remove(poolId: string, file: LedgerFile): boolean {
    return this.owned.get(poolId)?.file === file && this.owned.delete(poolId);
  }

  async save(poolId: string): Promise<void> {
    const ledger = this.owned.get(poolId);
    if (ledger === undefined) throw new RsError('E_POOL', `Pool id ${poolId} is not open: mount it, then run rsadm reload`, { poolId });
    const number = ++ledger.saves;
    ledger.isDirty = true;
    await this.onLedger(poolId, () => ledger.file.save());
    // If a later save has begun, it may fail and still have changed the file.
    if (number === ledger.saves) ledger.isDirty = false;
  }

  doubt(poolId: string): void {
    const ledger = this.owned.get(poolId);
    if (ledger === undefined) return;
    ledger.isDirty = true;
    // A save in progress may contain the undone change, and must not clear `isDirty`.
    ledger.saves++;
  }

  isDirty(poolId: string): boolean {
    return this.owned.get(poolId)?.isDirty ?? false;
  }

  /** Saves each ledger whose last save has failed, because that save may have changed the file. Failures are logged. */
  async saveDirty(): Promise<void> {
    for (const [poolId, { isDirty }] of this.owned)
      if (isDirty) await this.save(poolId).catch((thrown: unknown) => this.log.error(toRsError(thrown).message));
  }

  /** Records the fenced clients in all pools. Throws the error of the first pool that cannot be changed. */
  async saveFences(): Promise<void> {
    const saves = await Promise.allSettled([...this.owned.keys()].map((poolId) => this.save(poolId)));
    for (const one of saves) if (one.status === 'rejected') throw one.reason;
  }
}
