// The configuration that the server serves now, and since when. config-in-force.ts changes it; all other objects only read it. Invariants: a
// change replaces the configuration as a whole. A search with the index finds what a search of the list finds.

import type { RssrvConfig, ServerVolumeConfig } from '@rsio/common/config/schema/types';
import type { Clock } from '@rsio/base/lib/clock';
import { volumeKey } from '../volumes/volume-ids.ts';

/** A change of one volume. */
export interface VolumeStep {
  /** The list of all volumes from which the change was made. */
  readonly from: RssrvConfig['volumes'];
  /** The volume in this list; null if the change adds a volume. */
  readonly before: ServerVolumeConfig | null;
  /** The volume that takes its place, or comes last; null if the change removes a volume. */
  readonly now: ServerVolumeConfig | null;
}

/** The volumes of the configuration, if no two have the same key, and no two volumes of pools have the same id. */
interface Index {
  readonly byKey: Map<string, ServerVolumeConfig>;
  /** Only volumes of pools, by id. */
  readonly byId: Map<string | null, ServerVolumeConfig>;
}

export class CurrentConfig {
  private readonly clock: Pick<Clock, 'wallMs'>;
  private current: RssrvConfig;
  private begunMs: number;
  /** The index of the current volumes; null until a search needs it. */
  private index: Index | null = null;

  /** `config` is the configuration without the volumes of the pools. The start adds these volumes. */
  constructor(config: RssrvConfig, clock: Pick<Clock, 'wallMs'>) {
    this.clock = clock;
    this.current = config;
    this.begunMs = clock.wallMs();
  }

  get config(): RssrvConfig {
    return this.current;
  }

  /** Wall-clock time at which the configuration came into force. */
  get sinceMs(): number {
    return this.begunMs;
  }

  /** Returns the volume with this key, apart from `except`; null if there is none. */
  volumeWithKey(key: string, except: ServerVolumeConfig | null = null): ServerVolumeConfig | null {
    const index = this.indexed();
    if (index === null) return this.current.volumes.find((one) => one !== except && volumeKey(one) === key) ?? null;
    const found = index.byKey.get(key) ?? null;
    return found === except ? null : found;
  }

  /** Returns the volume of a pool with this id; null if there is none. */
  poolVolume(id: string): ServerVolumeConfig | null {
    const index = this.indexed();
    if (index === null) return this.current.volumes.find((one) => one.pool !== undefined && one.id === id) ?? null;
    return index.byId.get(id) ?? null;
  }

  /** Replaces the configuration by one that was read from the file. */
  begin(config: RssrvConfig): void {
    this.current = config;
    this.index = null;
    this.begunMs = this.clock.wallMs();
  }

  /** Replaces the volumes, because volumes of pools have changed. `step`: the change, if it changes one volume. */
  replaceVolumes(volumes: RssrvConfig['volumes'], step: VolumeStep | null = null): void {
    const { index } = this;
    const isStep = step !== null && step.from === this.current.volumes;
    this.index = index !== null && isStep && follow(index, step) ? index : null;
    this.current = { ...this.current, volumes };
  }

  private indexed(): Index | null {
    this.index ??= indexOf(this.current.volumes);
    return this.index;
  }
}

/** Returns null if two volumes have the same key or id, because only a search of the list then finds the first one. */
function indexOf(volumes: RssrvConfig['volumes']): Index | null {
  const index: Index = { byKey: new Map(), byId: new Map() };
  return volumes.every((volume) => add(index, volume)) ? index : null;
}

/** Returns false if the index has become unusable. */
function follow(index: Index, { before, now }: VolumeStep): boolean {
  if (before !== null) {
    index.byKey.delete(volumeKey(before));
    if (before.pool !== undefined) index.byId.delete(before.id);
  }
  return now === null || add(index, now);
}

/** Returns false if another volume has the key or the id. */
function add({ byKey, byId }: Index, volume: ServerVolumeConfig): boolean {
  const key = volumeKey(volume);
  if (byKey.has(key) || (volume.pool !== undefined && byId.has(volume.id))) return false;
  byKey.set(key, volume);
  if (volume.pool !== undefined) byId.set(volume.id, volume);
  return true;
}
