// Manages the listener's volumes. Keeps the storage of served volumes open and locked, and records volumes that could not be opened as
// failures. Invariant: a configuration change replaces the set of served volumes as a whole, in its `commit`. Rules: H2.

import type { RssrvConfig, ServerVolumeConfig } from '@rsio/common/config/schema/types';
import { RsError } from '@rsio/base/lib/errors';
import { VersionedMap } from '@rsio/base/structures/versioned-map';
import type { ServedVolume } from '../storage/io/served-volume.ts';
import { takeLocks } from '../storage/locks/file-locks.ts';
import { MarkWatch } from '../storage/locks/mark-watch.ts';
import { type HeldVolume, HeldVolumes } from './held-volumes.ts';
import { handlesOf, servedFile, singleFiles } from './open-storage.ts';
import { StorageSyncs, type SyncKind } from './storage-syncs.ts';
import { VolumeChange } from './volume-change.ts';
import { cutError, failureOf, type VolumeFailure } from './volume-failures.ts';
import { volumeKey } from './volume-ids.ts';
import type { VolumePlan } from './volume-plan.ts';
import type { VolumePorts, VolumeState } from './volume-state.ts';
import { occupiedBytes, releaseStorage, volumeError } from './volume-storage.ts';

export class Volumes {
  private readonly ports: VolumePorts;
  private state: VolumeState = { held: HeldVolumes.of(new Map()), failures: [], ids: VersionedMap.of(new Map()) };
  /** The served volumes; null until they are asked for after a change. */
  private list: readonly ServedVolume[] | null = null;
  /** Ids of the volumes that `suspend` has stopped serving for a short time. */
  private readonly suspended = new Set<string>();
  private readonly syncs: StorageSyncs;
  private readonly marks: MarkWatch;

  constructor(ports: VolumePorts) {
    this.ports = ports;
    this.syncs = new StorageSyncs(ports.clock, (id) => ports.syncFailedLate(id), ports.syncCommand);
    this.marks = new MarkWatch({
      clock: ports.clock,
      takeLocks: ports.takeLocks ?? takeLocks,
      waiting: () =>
        this.state.failures.flatMap((failure) => {
          const { marked } = failure;
          return marked === undefined ? [] : [{ key: volumeKey(failure), ...marked }];
        }),
      freed: async (keys) => ports.unmarked?.(keys),
    });
  }

  /** The served volumes, in the order of the configuration. */
  get served(): readonly ServedVolume[] {
    this.list ??= [...this.state.held.all.values()]
      .filter(({ cut, served }) => cut === null && !this.suspended.has(served.id))
      .map(({ served }) => served);
    return this.list;
  }

  /** Number of served volumes. Costs nothing, unlike `served` after a change. */
  get servedCount(): number {
    return this.state.held.size - this.state.held.cutCount;
  }

  /** Configured volumes that are not served, each with the reason. */
  get failures(): readonly VolumeFailure[] {
    const cut = this.state.held.cut.flatMap((held) => (held.cut === null ? [] : [failureOf(held.storage.volume, held.cut)]));
    return [...this.state.failures, ...cut];
  }

  /**
   * Opens every volume that can be opened. The volumes that cannot be opened are recorded as failures. Throws E_SYSTEM if the ids
   * cannot be read or saved.
   */
  async open({ volumes }: Pick<RssrvConfig, 'volumes'>): Promise<void> {
    const change = await this.prepare({ added: [], retried: volumes, kept: [], removed: [] }, volumes);
    change.commit();
    await change.finish();
  }

  /**
   * Performs the parts of a plan that can fail. The served volumes do not change until `commit`. `configured`: all volumes of the new
   * configuration file. If the plan fails as a whole, everything is undone, and E_VOLUME or E_SYSTEM is thrown.
   */
  prepare(plan: VolumePlan, configured: readonly ServerVolumeConfig[]): Promise<VolumeChange> {
    const before = this.state;
    return VolumeChange.prepare(before, plan, configured, this.ports, (state) => this.setState(this.withNewCuts(before, state)));
  }

  /** Returns the name of a volume, or its id if the volume is not open. */
  nameOf(id: string): string {
    return this.heldBy(id)?.served.name ?? id;
  }

  /**
   * Stops serving a volume whose storage has been found truncated. The volume is served again once a reload finds the storage complete.
   * Resolves with the text of the error, or with null if the truncation was already known or the volume is not open.
   */
  async cut(id: string): Promise<string | null> {
    const held = this.heldBy(id);
    if (held === undefined || held.cut !== null) return null;
    const mark = (index: number, presentBytes: number | null, before: RsError | null): RsError => {
      const files = singleFiles(held.storage);
      const error = cutError({ storage: files[index] ?? held.storage, served: servedFile(held.served, index) }, presentBytes);
      const key = volumeKey(held.storage.volume);
      const now = this.state.held.get(key);
      // The volume may be served from another file by now, or a reload has found its file whole.
      if (now?.served.id !== id || now.storage.handle !== held.storage.handle || now.cut !== before) return error;
      this.setState({ ...this.state, held: this.state.held.with(key, { ...now, cut: error }) });
      return error;
    };
    // Stop serving the volume before measuring its storage, because measuring takes time and only the error's text needs the size.
    const first = mark(0, null, null);
    const { index, presentBytes } = await shortFile(held);
    return mark(index, presentBytes, first).message;
  }

  /**
   * Stops serving a volume for a short time, from this event-loop turn on. `reason`: the text that clients of the volume get. If
   * `reason` is null, the volume is served again. `isBrief`: this belongs to a change that an order makes, and is no fault.
   */
  suspend(id: string, reason: string | null, isBrief = true): void {
    const held = this.heldBy(id);
    if (held === undefined || (this.suspended.has(id) === (reason !== null) && isBrief)) return;
    if (reason === null) this.suspended.delete(id);
    else this.suspended.add(id);
    const context = { volume: held.served.name, isBrief };
    const cut = reason === null ? null : new RsError('E_VOLUME', `Volume ${held.served.name}: ${reason}`, context);
    const key = volumeKey(held.storage.volume);
    this.setState({ ...this.state, held: this.state.held.with(key, { ...held, cut }) });
  }

  /** Must be called when a suspended volume is served from another file. The volume is then no longer suspended. */
  replaced(id: string): void {
    this.suspended.delete(id);
    this.setState(this.state);
  }

  /**
   * Returns the id of a configured volume and the size at which it is served; the size is null if the volume is not open. A pool volume is
   * not open while another volume has its name. `cut`: the error if an open volume is not served because its storage was truncated; else
   * null.
   */
  standing(volume: ServerVolumeConfig): { readonly id: string | null; readonly sizeBytes: number | null; readonly cut: string | null } {
    const key = volumeKey(volume);
    const id = this.state.ids.get(key) ?? null;
    if (volume.pool !== undefined && volume.id !== id) return { id: volume.id, sizeBytes: null, cut: null };
    const held = this.state.held.get(key);
    const cut = held === undefined || this.suspended.has(held.served.id) ? null : held.cut;
    return { id, sizeBytes: held?.served.sizeBytes ?? null, cut: cut?.message ?? null };
  }

  /**
   * Returns the bytes that an open volume of a pool occupies at this moment, without a thread: the kernel has the attributes of an open file
   * in memory. Null for a volume of a section, for a volume that is not open from the files that `volume` names, and for a volume on a file
   * system that may not answer at once.
   */
  occupiedBytes(volume: ServerVolumeConfig): number | null {
    const held = volume.pool === undefined ? undefined : this.state.held.get(volumeKey(volume));
    return held?.served.id === volume.id ? occupiedBytes(held.storage, volume) : null;
  }

  /**
   * Resolves when all earlier writes to the volume are durable, including writes by other processes. Throws E_VOLUME if the storage reports
   * an error, and E_TIMEOUT if the storage does not answer. `kind`: see SyncKind.
   */
  async sync(id: string, kind: SyncKind = 'needed'): Promise<void> {
    const held = this.heldBy(id);
    if (held === undefined || held.storage.handle === null) return;
    try {
      await this.syncs.sync(id, kind, ...handlesOf(held.storage));
    } catch (thrown) {
      if (thrown instanceof RsError) throw thrown;
      throw volumeError(held.storage.volume, 'its storage reported an error during a sync', 'check the storage', thrown);
    }
  }

  /**
   * Called after a worker has reported a write-back error and a new incarnation has started. The kernel would report the same error
   * once more on the listener's descriptor, and a later take-over would then fail. The sync that this method runs clears the error on
   * the listener's descriptor. No other error is missed, because clients resend earlier writes and workers get the errors of later
   * writes.
   */
  async clearOldError(id: string): Promise<void> {
    const storage = this.heldBy(id)?.storage;
    if (storage === undefined || storage.handle === null) return;
    await this.syncs.sync(id, 'needed', ...handlesOf(storage)).catch(() => undefined);
  }

  /**
   * Returns `state` with a mark for each volume that keeps its storage and that was found truncated while the change was being prepared.
   */
  private withNewCuts(before: VolumeState, state: VolumeState): VolumeState {
    // A mark makes a new set of volumes.
    if (this.state.held === before.held) return state;
    let { held } = state;
    for (const [key, { storage, cut }] of this.state.held.all) {
      const one = held.get(key);
      if (cut !== null && before.held.get(key)?.cut === null && one?.storage.handle === storage.handle)
        held = held.with(key, { ...one, cut });
    }
    return { ...state, held };
  }

  private setState(state: VolumeState): void {
    this.state = state;
    this.list = null;
    this.marks.follow();
  }

  /**
   * Closes the descriptors, and thereby releases the locks. Removes the files of memory volumes. Must be called only after all workers have
   * exited.
   */
  async close(): Promise<void> {
    const { held } = this.state;
    // The list stays that of the last state, whether or not it was asked for before.
    this.list = this.served;
    this.syncs.stop();
    this.marks.stop();
    this.list = this.served;
    this.state = { ...this.state, held: HeldVolumes.of(new Map()) };
    for (const { storage } of held.all.values()) await releaseStorage(storage);
  }

  private heldBy(id: string): HeldVolume | undefined {
    const [key] = this.state.held.keysWithId(id);
    return key === undefined ? undefined : this.state.held.get(key);
  }
}

/** Returns which file of a truncated volume is too short, and its size if it is known. */
async function shortFile({ storage, served }: HeldVolume): Promise<{ readonly index: number; readonly presentBytes: number | null }> {
  const sizes: (number | null)[] = [];
  for (const { handle } of singleFiles(storage)) {
    const stats = await handle?.stat().catch(() => null);
    sizes.push(stats?.size ?? null);
  }
  const short = sizes.findIndex((bytes, index) => bytes !== null && bytes < servedFile(served, index).sizeBytes);
  return { index: Math.max(0, short), presentBytes: sizes[Math.max(0, short)] ?? null };
}
