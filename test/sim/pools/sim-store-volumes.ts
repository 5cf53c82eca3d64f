// The opened volumes of a simulated listener whose pools are on simulated file systems, in place of the production Volumes: each volume is
// the data at its path. A volume may be suspended temporarily, and may get another file. Production code decides what may change while a
// client uses a volume.

import type { ServerVolumeConfig } from '@rsio/common/config/schema/types';
import { RsError } from '@rsio/base/lib/errors';
import type { GrownVolume, ServedVolume } from '@rsio/rssrv/storage/io/served-volume';
import { volumeKey } from '@rsio/rssrv/volumes/volume-ids';
import type { VolumePlan } from '@rsio/rssrv/volumes/volume-plan';
import type { SimProcess } from '../base/sim-clock.ts';
import { dataAt } from '../files/sim-calls.ts';
import type { SimStorage } from '../storage/sim-storage.ts';
import type { StoreMachine } from './sim-store.ts';

/** The members of a simulated volume that this file uses. */
export interface StoredVolume {
  readonly id: string;
  readonly isStored: boolean;
  /** The node that holds the volume. Null: no node holds it. */
  readonly holder: string | null;
  /** Replaces the storage of the volume. */
  use(storage: SimStorage): void;
  /** Sets the configuration with which the listener serves the volume; null: not served. */
  serveAs(config: ServerVolumeConfig | null): void;
  /** Suspends the volume, or serves it again. */
  suspend(isSuspended: boolean): void;
}

export interface StoreVolumesPorts<Volume extends StoredVolume> {
  readonly machine: StoreMachine<Volume>;
  readonly volumes: ReadonlyMap<string, Volume>;
  readonly process: SimProcess;
  /** The listener opens the file of a volume. */
  readonly opened: (volume: Volume) => void;
  sync(volume: Volume): Promise<void>;
}

interface Change {
  readonly grown: readonly GrownVolume[];
  readonly isListChanged: boolean;
  readonly cut: readonly string[];
  commit(): void;
  undo(): Promise<void>;
  finish(): Promise<void>;
}

export class SimStoreVolumes<Volume extends StoredVolume> {
  readonly failures: readonly [] = [];
  private readonly ports: StoreVolumesPorts<Volume>;
  private readonly held = new Map<string, ServerVolumeConfig>();
  private readonly suspended = new Set<string>();

  constructor(ports: StoreVolumesPorts<Volume>) {
    this.ports = ports;
    for (const volume of ports.volumes.values()) if (volume.isStored) volume.serveAs(null);
  }

  get served(): ServedVolume[] {
    return [...this.held.values()].flatMap(({ id }) => (this.suspended.has(id!) ? [] : [{ id } as ServedVolume]));
  }

  begin(present: readonly ServerVolumeConfig[]): void {
    for (const config of present) this.serve(config);
  }

  standing(volume: ServerVolumeConfig): { readonly id: string | null; readonly sizeBytes: number | null } {
    const held = this.held.get(volumeKey(volume));
    return { id: volume.id, sizeBytes: held?.id === volume.id ? held.sizeBytes : null };
  }

  prepare(plan: VolumePlan, _configured: readonly ServerVolumeConfig[]): Promise<Change> {
    const { process, machine } = this.ports;
    const next = [...plan.added, ...plan.retried, ...plan.kept];
    const change: Change = {
      grown: plan.kept.flatMap((volume) => this.grown(volume)),
      isListChanged: true,
      cut: [],
      commit: () => {
        for (const volume of plan.removed) this.withdraw(volume, next);
        for (const volume of next) this.serve(volume);
      },
      undo: async () => undefined,
      finish: async () => undefined,
    };
    return new Promise((resolve) => {
      process.after(machine.random.unit() * machine.stepMs, () => resolve(change));
    });
  }

  suspend(id: string, reason: string | null): void {
    if (reason === null) this.suspended.delete(id);
    else this.suspended.add(id);
    this.ports.volumes.get(id)?.suspend(reason !== null);
  }

  replaced(id: string): void {
    this.suspend(id, null);
  }

  sync(id: string): Promise<void> {
    const volume = this.ports.volumes.get(id);
    return volume === undefined ? Promise.reject(new RsError('E_VOLUME', 'No such volume')) : this.ports.sync(volume);
  }

  private grown(volume: ServerVolumeConfig): GrownVolume[] {
    const wasBytes = this.standing(volume).sizeBytes ?? 0;
    const isGrown = volume.id !== null && volume.sizeBytes !== null && volume.sizeBytes > wasBytes;
    return isGrown ? [{ id: volume.id!, sizeBytes: volume.sizeBytes! }] : [];
  }

  private withdraw(volume: ServerVolumeConfig, next: readonly ServerVolumeConfig[]): void {
    const one = this.ports.volumes.get(volume.id!);
    this.held.delete(volumeKey(volume));
    if (one === undefined || next.some(({ id }) => id === volume.id)) return;
    if (one.holder !== null) this.ports.machine.judge.breach(`C3: volume ${volume.name} is not served while ${one.holder} holds it`);
    one.serveAs(null);
  }

  /** Serves a volume with several files; no client uses this volume. */
  private serveSpread(config: ServerVolumeConfig): void {
    const parts = config.layout?.parts ?? [];
    if (parts.some(({ trouble }) => trouble !== null)) return;
    const wrong = parts.find(({ path, stamp }) => dataAt(path ?? '')?.stamp !== stamp);
    if (wrong !== undefined)
      this.ports.machine.judge.breach(`C1: volume ${config.name} is served with ${wrong.path}, and its manifest has another file`);
    this.held.set(volumeKey(config), config);
  }

  private serve(config: ServerVolumeConfig): void {
    const { machine, volumes, opened } = this.ports;
    const { name, path, sizeBytes, pool } = config;
    // Skips a volume whose pool reports trouble with it.
    if (pool?.trouble !== undefined) return;
    if (config.layout !== undefined) {
      this.serveSpread(config);
      return;
    }
    const data = dataAt(path ?? '');
    if (data === null || data.stamp !== pool?.stamp || data.sizeBytes < (sizeBytes ?? 0)) {
      machine.judge.breach(`C1: volume ${name} is served from ${path} (${data?.stamp}), and the file of its manifest is ${pool?.stamp}`);
      return;
    }
    this.held.set(volumeKey(config), config);
    const volume = volumes.get(config.id!) ?? machine.made(config, data.storage);
    volume.use(data.storage);
    volume.serveAs(config);
    opened(volume);
  }
}
