// The holds and the notes about nodes in memory, and the files in which they are durable. The ledger of a pool (ledgers.ts) has the holds
// of the pool's volumes and snapshots. The file holders.json in the state directory has the holds of all other volumes, and the notes.
// holds.ts decides about changes. Invariants: when the promise of a change resolves, the change is durable in every pool that may have the
// volume; the epoch of a volume never falls, not even when another server has owned its pool.

import { assert } from '@rsio/base/lib/assert';
import { StateFile } from '@rsio/base/files/state-file';
import { toRsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import { checkHolds, NO_HOLDS, type VolumeHolds, withKnownTerm } from './hold-rules.ts';
import { HOLDS_FILE, type HoldsFileContent } from './holds-file.ts';
import { checkNotes, mergedNotes, type NodeNotes, NO_NOTES } from './instances.ts';
import type { LedgerContent } from './ledger-file.ts';

/** The ledgers of the pools (ledgers.ts). */
export interface HoldLedgers {
  /** Makes the current holds of the volumes of a pool durable. After E_POOL, E_TIMEOUT or E_SYSTEM, the outcome may be unknown. */
  save(poolId: string): Promise<void>;
  /** Returns true if the holders in the ledger may differ from those in memory, because a save has failed. */
  isDirty(poolId: string): boolean;
  /** Records that the holders in the ledger may differ from those in memory. */
  doubt(poolId: string): void;
}

export type NotesChange = (notes: NodeNotes) => NodeNotes;

export class HoldStore {
  protected readonly volumes = new Map<string, VolumeHolds>();
  protected readonly nodes = new Map<string, NodeNotes>();
  protected readonly log: Pick<Log, 'info' | 'warn' | 'error'>;
  /** True if clients have been fenced, now or earlier (fences.ts). */
  hasHadFences = false;
  private readonly file: StateFile<HoldsFileContent>;
  private readonly ledgers: HoldLedgers;
  /** Maps the id of a pool's volume or snapshot to the pools whose ledgers have its holds: its pool, or during a move both pools. */
  private readonly homes = new Map<string, readonly string[]>();
  /** Maps each adopted pool to the ids of the volumes and snapshots that it had. */
  private readonly present = new Map<string, ReadonlySet<string>>();
  /** Epochs of volumes whose pool another server owns. */
  private readonly gone = new Map<string, number>();
  /** Ids of the pools whose ledgers are durable. */
  private readonly keepers = new Set<string>();

  constructor(path: string, log: Pick<Log, 'info' | 'warn' | 'error'>, ledgers: HoldLedgers) {
    this.log = log;
    this.ledgers = ledgers;
    this.file = new StateFile(path, HOLDS_FILE, () => ({
      volumes: Object.fromEntries([...this.volumes].filter(([id]) => !this.isKept(id))),
      nodes: Object.fromEntries(this.nodes),
      ...(this.hasHadFences ? { hasHadFences: true } : {}),
    }));
  }

  /** Loads the holds file. Throws E_SYSTEM if the file cannot be used. */
  async load(): Promise<void> {
    const content = await this.file.load();
    if (content === null) return;
    this.hasHadFences = content.hasHadFences === true;
    for (const [id, volume] of Object.entries(content.volumes))
      if (volume.isSnapshot !== true || volume.holds.length > 0) this.volumes.set(id, volume);
    for (const [node, notes] of Object.entries(content.nodes)) this.nodes.set(node, notes);
  }

  /** Returns the content of the ledger of a pool: the holds of its volumes and snapshots, and the notes about all nodes. */
  inLedger(poolId: string): Pick<LedgerContent, 'volumes' | 'nodes'> {
    const volumes = [...this.volumes].filter(([id]) => this.homes.get(id)?.includes(poolId) === true);
    return { volumes: Object.fromEntries(volumes), nodes: Object.fromEntries(this.nodes) };
  }

  /** Returns the known holds of these volumes, which an earlier release kept in the state directory. */
  known(ids: readonly string[]): Readonly<Record<string, VolumeHolds>> {
    return Object.fromEntries(ids.flatMap((id) => (this.volumes.has(id) ? [[id, this.entryOf(id)]] : [])));
  }

  /**
   * Replaces the holds of a pool's volumes by the holds in the pool's ledger, and adds the notes about nodes. `present`: ids of the volumes
   * and snapshots that the pool has. `isForeign`: true if another server has owned the pool since this server last did. If an interrupted
   * move has left a volume in two ledgers, the ledger of the pool that has the volume is used, because it contains every answered change.
   * If both pools have the volume, the ledger with the higher epoch is used. An epoch never falls.
   */
  adopt(
    poolId: string,
    { volumes, nodes }: Pick<LedgerContent, 'volumes' | 'nodes'>,
    present: ReadonlySet<string>,
    isForeign: boolean,
  ): void {
    this.present.set(poolId, present);
    const epochs = new Map([...this.gone, ...[...this.volumes].map(([id, { epoch }]) => [id, epoch] as const)]);
    for (const [id, homes] of this.homes) if (homes.includes(poolId)) this.leave(id, homes, poolId);
    const named = new Map(Object.entries(volumes));
    for (const id of present) if (!named.has(id) && epochs.has(id) && !this.volumes.has(id)) named.set(id, NO_HOLDS);
    for (const [id, entry] of named) {
      const [home] = this.homes.get(id) ?? [];
      const isThere = present.has(id);
      if (home === undefined && entry.holds.length === 0 && (entry.isSnapshot === true || !isThere)) {
        // The ledger replaces any holds that an earlier release has kept in the state directory.
        this.volumes.delete(id);
        continue;
      }
      const known = this.entryOf(id);
      const isElsewhere = home !== undefined && this.present.get(home)?.has(id) === true;
      const isChosen = isThere === isElsewhere ? entry.epoch > known.epoch : isThere;
      const chosen = withKnownTerm(home === undefined || isChosen ? entry : known);
      this.volumes.set(id, { ...chosen, epoch: Math.max(entry.epoch, epochs.get(id) ?? 0, chosen.epoch) });
      this.gone.delete(id);
      if (home === undefined || isChosen) this.homes.set(id, [poolId]);
      if (home !== undefined) this.ledgers.doubt(home);
    }
    for (const id of present)
      assert(named.get(id)?.isSnapshot === true || this.entryOf(id).epoch >= (epochs.get(id) ?? 0), 'An adopted pool sets an epoch back');
    const holding = new Set(Object.values(volumes).flatMap(({ holds }) => holds.map(({ node }) => node)));
    for (const [node, notes] of Object.entries(nodes))
      this.nodes.set(node, mergedNotes(this.notesOf(node), notes, isForeign && holding.has(node)));
  }

  /** Called when the ledger of the pool is durable. From then on, it has the holds of the pool's volumes, and holders.json does not. */
  keptBy(poolId: string): void {
    this.keepers.add(poolId);
  }

  /** Forgets who holds the volumes of a pool, but not their epochs, because another server owns the pool now. */
  forgetPool(poolId: string): void {
    this.present.delete(poolId);
    this.keepers.delete(poolId);
    for (const [id, homes] of this.homes) {
      if (!homes.includes(poolId)) continue;
      const { epoch } = this.entryOf(id);
      this.leave(id, homes, poolId);
      if (!this.homes.has(id)) this.gone.set(id, epoch);
    }
  }

  private isKept(id: string): boolean {
    return this.homes.get(id)?.some((poolId) => this.keepers.has(poolId)) === true;
  }

  private leave(id: string, homes: readonly string[], poolId: string): void {
    const others = homes.filter((home) => home !== poolId);
    if (others.length > 0) {
      this.homes.set(id, others);
      return;
    }
    this.homes.delete(id);
    this.volumes.delete(id);
  }

  /**
   * Executes `commit`, which puts the volumes or snapshots with these ids into the pool `toId`. Their holders are durable in this pool
   * before `commit` begins. As long as it is uncertain which pool has the volumes, each change of their holds is saved in both pools.
   * `mayBeThere` is called if `commit` fails; it returns false if the volumes are certainly not in the pool `toId`.
   */
  async carry<T>(ids: readonly string[], toId: string, commit: () => Promise<T>, mayBeThere: () => boolean): Promise<T> {
    const before = ids.flatMap((id) => (this.homes.has(id) ? [[id, this.homes.get(id)!] as const] : []));
    const goBack = (): void => {
      for (const [id, from] of before) this.homes.set(id, from);
      this.ledgers.doubt(toId);
    };
    for (const [id, from] of before) this.homes.set(id, [...new Set([...from, toId])]);
    try {
      if (before.length > 0) await this.ledgers.save(toId);
    } catch (thrown) {
      goBack();
      throw thrown;
    }
    try {
      const result = await commit();
      // A client may have opened a snapshot during `commit`.
      const isNew = ids.some((id) => this.homes.get(id)?.includes(toId) === false);
      for (const id of ids) if (this.homes.has(id)) this.homes.set(id, [toId]);
      const failed = (thrown: unknown): void => this.log.error(toRsError(thrown).message);
      const forget = async (): Promise<void> => {
        // The old ledgers must have the new holds until the ledger of the new pool has them.
        if (isNew) await this.ledgers.save(toId);
        for (const poolId of new Set(before.flatMap(([, from]) => from))) if (poolId !== toId) await this.ledgers.save(poolId);
      };
      // The caller need not wait until the old ledgers are saved.
      void forget().catch(failed);
      return result;
    } catch (thrown) {
      if (!mayBeThere()) goBack();
      throw thrown;
    }
  }

  /** Records that clients have been fenced. Durable when the promise resolves. */
  async noteFences(): Promise<void> {
    if (this.hasHadFences) return;
    this.hasHadFences = true;
    try {
      await this.file.save();
    } catch (error) {
      this.hasHadFences = false;
      throw error;
    }
  }

  /** Removes the notes about all nodes that are not in `clients` and hold no volume. The next save includes the removal. */
  keepNodes(clients: readonly string[]): void {
    const kept = new Set([...clients, ...[...this.volumes.values()].flatMap(({ holds }) => holds.map(({ node }) => node))]);
    for (const node of [...this.nodes.keys()]) if (!kept.has(node)) this.nodes.delete(node);
  }

  /** Executes a change of the holds of a volume. `home`: the pool of the volume; undefined for a volume of a section `[volume]`. */
  protected async inHome(id: string, home: string | undefined, change: (isForced: boolean) => Promise<void>): Promise<void> {
    const before = this.homes.get(id);
    if (home === undefined || (before?.length === 1 && before[0] === home)) return change(false);
    const own = [home];
    this.homes.set(id, own);
    try {
      // Force the save: the ledger does not have the holds yet, even if this change alters nothing.
      await change(true);
    } catch (thrown) {
      // See `change`.
      if (this.homes.get(id) !== own) throw thrown;
      if (before === undefined) this.homes.delete(id);
      else this.homes.set(id, before);
      throw thrown;
    }
  }

  /** Makes a change and saves the file. If saving fails, the change is undone. */
  protected async change(
    volumeId: string,
    to: VolumeHolds,
    node: string,
    notes: NotesChange = (same) => same,
    isForced = false,
  ): Promise<void> {
    const before = this.entryOf(volumeId);
    const isDirty = this.homes.get(volumeId)?.some((poolId) => this.ledgers.isDirty(poolId)) === true;
    if (to === before && !isForced && !isDirty) return;
    this.put(volumeId, to);
    try {
      await this.note(node, notes, this.homes.get(volumeId));
    } catch (error) {
      // If the pool was lost and taken again meanwhile, the holds are those in its ledger.
      if (this.volumes.get(volumeId) === to) this.volumes.set(volumeId, before);
      // The ledger of one of several pools may already have the change.
      for (const poolId of this.homes.get(volumeId) ?? []) this.ledgers.doubt(poolId);
      throw error;
    }
  }

  protected put(volumeId: string, to: VolumeHolds): void {
    checkHolds(this.entryOf(volumeId), to);
    this.volumes.set(volumeId, to);
  }

  protected async note(node: string, change: NotesChange, homes?: readonly string[]): Promise<void> {
    const before = this.nodes.get(node);
    const after = change(this.notesOf(node));
    checkNotes(this.notesOf(node), after);
    if (after !== NO_NOTES) this.nodes.set(node, after);
    try {
      if (homes === undefined || after !== (before ?? NO_NOTES)) await this.file.save();
      if (homes !== undefined) await this.save(homes);
    } catch (error) {
      // Undo the change; otherwise, the client's next attempt would be admitted although nothing was saved.
      if (this.nodes.get(node) === after && before !== undefined) this.nodes.set(node, before);
      else if (this.nodes.get(node) === after) this.nodes.delete(node);
      throw error;
    }
  }

  /** Makes the holds of a volume durable. */
  protected saveOf(volumeId: string): Promise<void> {
    return this.save(this.homes.get(volumeId));
  }

  private async save(homes: readonly string[] | undefined): Promise<void> {
    if (homes === undefined) return this.file.save();
    for (const poolId of homes) await this.ledgers.save(poolId);
  }

  protected notesOf(node: string): NodeNotes {
    return this.nodes.get(node) ?? NO_NOTES;
  }

  protected entryOf(volumeId: string): VolumeHolds {
    return this.volumes.get(volumeId) ?? NO_HOLDS;
  }
}
