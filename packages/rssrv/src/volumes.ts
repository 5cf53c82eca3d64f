// The listener's side of the volumes: what is served, with its storage held open and locked as long as it is, and what could not be
// opened. Workers open the storage again for themselves (backends/open-backend.ts). How it comes to be, at the start and when the
// configuration has changed, is volume-change.ts's. Invariant: what is served changes as a whole, in `commit` of a change.

import type { RssrvConfig, ServerVolumeConfig } from '@rsio/protocol/config/types';
import type { RsError } from '@rsio/protocol/lib/errors';
import type { Log } from '@rsio/protocol/lib/log';
import { SYNCS_AT_ONCE_MAX } from '@rsio/protocol/limits';
import { syncUnsynced } from './backends/wrappers/sync-unsynced.ts';
import type { ServedVolume } from './served-volume.ts';
import { VolumeChange } from './volume-change.ts';
import { SyncTurns } from './sync-turns.ts';
import { volumeKey } from './volume-ids.ts';
import type { VolumePlan } from './volume-plan.ts';
import { releaseStorage, type Storage, volumeError } from './volume-storage.ts';

export interface VolumePorts {
  /** `/var/lib/rsio/rssrv/volumes.json` below the root. */
  readonly idsFile: string;
  /** Where the files of memory volumes are made: on a memory file system, `/dev/shm`. */
  readonly memoryDirectory: string;
  /** RUN: where volumes with test-lose-unsynced keep what was not synced. */
  readonly runDirectory: string;
  readonly log: Pick<Log, 'info' | 'warn' | 'error'>;
  /** Whether somebody holds the volume of an id. */
  isHeld(id: string): boolean;
}

export interface VolumeFailure {
  readonly name: string;
  readonly universe: number;
  /** Who may know of it; null: all clients. */
  readonly clients: readonly string[] | null;
  readonly error: RsError;
}

/** A volume that is served, with what it stands on. */
export interface HeldVolume {
  readonly storage: Storage;
  readonly served: ServedVolume;
}

/** What is so from one change to the next. */
export interface VolumeState {
  /** In the order of the configuration, by volumeKey. */
  readonly held: ReadonlyMap<string, HeldVolume>;
  readonly failures: readonly VolumeFailure[];
  /** Of every configured volume, by volumeKey. */
  readonly ids: ReadonlyMap<string, string>;
}

export class Volumes {
  private readonly ports: VolumePorts;
  private state: VolumeState = { held: new Map(), failures: [], ids: new Map() };
  private list: readonly ServedVolume[] = [];
  private readonly syncs = new SyncTurns(SYNCS_AT_ONCE_MAX);

  constructor(ports: VolumePorts) {
    this.ports = ports;
  }

  /** Those that are served, in the order of the configuration. */
  get served(): readonly ServedVolume[] {
    return this.list;
  }

  /** Configured volumes that cannot be served, each with its reason. */
  get failures(): readonly VolumeFailure[] {
    return this.state.failures;
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
    const take = (state: VolumeState): void => {
      this.state = state;
      this.list = [...state.held.values()].map(({ served }) => served);
    };
    return VolumeChange.prepare(this.state, plan, configured, this.ports, take);
  }

  /** The id of a configured volume, served or not, and what is served of it in bytes. */
  standing(volume: ServerVolumeConfig): { readonly id: string | null; readonly sizeBytes: number | null } {
    const key = volumeKey(volume);
    return { id: this.state.ids.get(key) ?? null, sizeBytes: this.state.held.get(key)?.served.sizeBytes ?? null };
  }

  /** What any process has written to a volume so far is durable when it resolves. Throws E_VOLUME. */
  async sync(id: string): Promise<void> {
    const held = [...this.state.held.values()].find(({ served }) => served.id === id);
    const handle = held?.storage.handle ?? null;
    if (held === undefined || handle === null) return;
    try {
      const unsyncedFile = held.served.test?.unsyncedFile ?? null;
      await this.syncs.run(() => (unsyncedFile === null ? handle.datasync() : syncUnsynced(unsyncedFile, handle)));
    } catch (thrown) {
      throw volumeError(held.storage.volume, 'its storage reported an error when it was synced', 'see to the storage', thrown);
    }
  }

  /** Gives descriptors and locks up and removes memory volumes: only when no worker uses them any more. */
  async close(): Promise<void> {
    const { held } = this.state;
    this.state = { ...this.state, held: new Map() };
    for (const { storage } of held.values()) await releaseStorage(storage);
  }
}
