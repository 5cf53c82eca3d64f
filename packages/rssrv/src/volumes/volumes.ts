// The listener's side of the volumes: what is served, with its storage held open and locked as long as it is, and what could not be
// opened. Workers open the storage again for themselves (backends/open-backend.ts). How it comes to be, at the start and when the
// configuration has changed, is volume-change.ts's. Invariant: what is served changes as a whole, in `commit` of a change.

import type { RssrvConfig, ServerVolumeConfig } from '@rsio/common/config/schema/types';
import { RsError } from '@rsio/common/lib/errors';
import { syncUnsynced } from '../backends/faults/sync-unsynced.ts';
import type { ServedVolume } from '../backends/common/served-volume.ts';
import { VolumeChange } from './volume-change.ts';
import { StorageSyncs } from './storage-syncs.ts';
import { volumeKey } from './volume-ids.ts';
import type { VolumePlan } from './volume-plan.ts';
import { cutError, failureOf, type VolumeFailure } from './volume-failures.ts';
import type { HeldVolume, VolumePorts, VolumeState } from './volume-state.ts';
import { releaseStorage, volumeError } from './volume-storage.ts';

export class Volumes {
  private readonly ports: VolumePorts;
  private state: VolumeState = { held: new Map(), failures: [], ids: new Map() };
  private list: readonly ServedVolume[] = [];
  private readonly syncs: StorageSyncs;

  constructor(ports: VolumePorts) {
    this.ports = ports;
    this.syncs = new StorageSyncs(ports.clock, { failedLate: (id) => ports.syncFailedLate(id) }, ports.syncCommand);
  }

  /** Those that are served, in the order of the configuration. */
  get served(): readonly ServedVolume[] {
    return this.list;
  }

  /** Configured volumes that cannot be served, each with its reason. */
  get failures(): readonly VolumeFailure[] {
    const cut = [...this.state.held.values()].flatMap((held) => (held.cut === null ? [] : [failureOf(held.storage.volume, held.cut)]));
    return [...this.state.failures, ...cut];
  }

  /** Opens all that can be opened. Throws E_SYSTEM when the ids of the volumes cannot be read or kept; all else is a failure of one. */
  async open({ volumes }: Pick<RssrvConfig, 'volumes'>): Promise<void> {
    const change = await this.prepare({ added: [], retried: volumes, kept: [], removed: [] }, volumes);
    change.commit();
    await change.finish();
  }

  /**
   * Does everything of a plan that can fail; what is served is as before until `commit`. `configured`: all volumes of the new file.
   * Throws E_VOLUME or E_SYSTEM when the plan cannot be carried out as a whole: then it was undone.
   */
  prepare(plan: VolumePlan, configured: readonly ServerVolumeConfig[]): Promise<VolumeChange> {
    return VolumeChange.prepare(this.state, plan, configured, this.ports, (state) => this.setState(state));
  }

  /** By the name people know; of one that is not open, its id. */
  nameOf(id: string): string {
    return this.heldBy(id)?.served.name ?? id;
  }

  /**
   * The storage of a volume was found cut: it is served no more until a reload finds it whole. Resolves with what there is to say of it;
   * null: that was known, or the volume is not open.
   */
  async cut(id: string): Promise<string | null> {
    const held = this.heldBy(id);
    if (held === undefined || held.cut !== null) return null;
    const mark = (presentBytes: number | null): RsError => {
      const error = cutError(held, presentBytes);
      const key = volumeKey(held.storage.volume);
      if (this.state.held.get(key)?.served.id !== id) return error;
      this.setState({ ...this.state, held: new Map([...this.state.held, [key, { ...held, cut: error }]]) });
      return error;
    };
    // At once: the size is only for people, and takes its time.
    mark(null);
    const size = await held.storage.handle?.stat().then(
      ({ size: bytes }) => bytes,
      () => null,
    );
    return mark(size ?? null).message;
  }

  /** The id of a configured volume, served or not, and what is served of it in bytes. */
  standing(volume: ServerVolumeConfig): { readonly id: string | null; readonly sizeBytes: number | null } {
    const key = volumeKey(volume);
    return { id: this.state.ids.get(key) ?? null, sizeBytes: this.state.held.get(key)?.served.sizeBytes ?? null };
  }

  /**
   * What any process has written to a volume so far is durable when it resolves. Throws E_VOLUME when the storage reports an error, and
   * E_TIMEOUT when it does not answer.
   */
  async sync(id: string): Promise<void> {
    const held = this.heldBy(id);
    const handle = held?.storage.handle ?? null;
    if (held === undefined || handle === null) return;
    try {
      const unsyncedFile = held.served.test?.unsyncedFile ?? null;
      await (unsyncedFile === null ? this.syncs.sync(id, handle.fd) : syncUnsynced(unsyncedFile, handle));
    } catch (thrown) {
      if (thrown instanceof RsError) throw thrown;
      throw volumeError(held.storage.volume, 'its storage reported an error when it was synced', 'see to the storage', thrown);
    }
  }

  /**
   * A process has told of a write-back error, and the storage has a new life for it. The kernel reports that error once more on the
   * listener's own descriptor: it is taken off there, so that it is not held against a later take-over. Nothing is missed by that: what
   * was written before is sent again, and later errors are reported to the process that has opened the storage since.
   */
  async clearOldError(id: string): Promise<void> {
    const handle = this.heldBy(id)?.storage.handle ?? null;
    if (handle !== null) await this.syncs.sync(id, handle.fd).catch(() => undefined);
  }

  private setState(state: VolumeState): void {
    this.state = state;
    this.list = [...state.held.values()].filter(({ cut }) => cut === null).map(({ served }) => served);
  }

  /** Gives descriptors and locks up and removes memory volumes: only when no worker uses them any more. */
  async close(): Promise<void> {
    const { held } = this.state;
    this.syncs.stop();
    this.state = { ...this.state, held: new Map() };
    for (const { storage } of held.values()) await releaseStorage(storage);
  }

  private heldBy(id: string): HeldVolume | undefined {
    return [...this.state.held.values()].find(({ served }) => served.id === id);
  }
}
