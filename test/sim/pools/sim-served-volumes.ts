// The opened volumes of a simulated listener's pool, in place of the production Volumes: which volumes are served, and with which
// configuration. The preparation of a change takes time. Afterwards, the whole change comes into force at once, or is undone. Production
// code (config-in-force.ts, volume-plan.ts) decides what may change while a client uses a volume.

import type { ServerVolumeConfig } from '@rsio/common/config/schema/types';
import type { GrownVolume } from '@rsio/rssrv/storage/io/served-volume';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import { volumeKey } from '@rsio/rssrv/volumes/volume-ids';
import type { VolumePlan } from '@rsio/rssrv/volumes/volume-plan';
import type { SimProcess } from '../base/sim-clock.ts';
import type { PoolJudge } from '../judges/pool-judge.ts';

export interface PooledVolume {
  readonly id: string;
  readonly isPooled: boolean;
  /** The node that holds the volume. Null: no node holds it. */
  readonly holder: string | null;
  /** Sets the configuration with which the listener serves the volume; null: not served. */
  serveAs(config: ServerVolumeConfig | null): void;
}

export interface SimServedPorts {
  readonly volumes: ReadonlyMap<string, PooledVolume>;
  readonly pool: { readonly judge: PoolJudge; readonly random: SeededRandom; readonly stepMs: number };
  readonly process: SimProcess;
}

interface Change {
  readonly grown: readonly GrownVolume[];
  readonly isListChanged: boolean;
  readonly cut: readonly string[];
  commit(): void;
  undo(): Promise<void>;
  finish(): Promise<void>;
}

export class SimServedVolumes {
  readonly failures: readonly [] = [];
  private readonly ports: SimServedPorts;
  private readonly served = new Map<string, ServerVolumeConfig>();

  constructor(ports: SimServedPorts) {
    this.ports = ports;
  }

  /** Called when a listener starts: serves exactly these volumes of pools, at once. */
  begin(present: readonly ServerVolumeConfig[]): void {
    const ids = new Set(present.map(({ id }) => id));
    for (const volume of this.ports.volumes.values()) if (volume.isPooled && !ids.has(volume.id)) volume.serveAs(null);
    for (const config of present) this.serve(config);
  }

  standing(volume: ServerVolumeConfig): { readonly id: string | null; readonly sizeBytes: number | null } {
    const held = this.served.get(volumeKey(volume));
    return { id: volume.id, sizeBytes: held?.id === volume.id ? held.sizeBytes : null };
  }

  prepare(plan: VolumePlan, _configured: readonly ServerVolumeConfig[]): Promise<Change> {
    const { process, pool } = this.ports;
    const next = [...plan.added, ...plan.retried, ...plan.kept];
    const change: Change = {
      grown: this.grownOf(plan.kept),
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
      process.after(pool.random.unit() * pool.stepMs, () => resolve(change));
    });
  }

  private grownOf(kept: readonly ServerVolumeConfig[]): GrownVolume[] {
    return kept.flatMap((volume) => {
      const wasBytes = this.standing(volume).sizeBytes ?? 0;
      return volume.id !== null && volume.sizeBytes !== null && volume.sizeBytes > wasBytes
        ? [{ id: volume.id, sizeBytes: volume.sizeBytes }]
        : [];
    });
  }

  private withdraw(volume: ServerVolumeConfig, next: readonly ServerVolumeConfig[]): void {
    const one = this.volumeOf(volume);
    this.served.delete(volumeKey(volume));
    const renamed = next.find(({ id }) => id === volume.id);
    this.ports.pool.judge.takes(renamed === undefined ? 'removed' : 'renamed', volume.name, { holder: one.holder });
    one.serveAs(null);
  }

  private serve(volume: ServerVolumeConfig): void {
    const { judge } = this.ports.pool;
    this.served.set(volumeKey(volume), volume);
    judge.serves(volume.id ?? '', volume.name, volume.sizeBytes ?? 0);
    this.volumeOf(volume).serveAs(volume);
  }

  private volumeOf({ id }: ServerVolumeConfig): PooledVolume {
    return this.ports.volumes.get(id ?? '')!;
  }
}
