// A server with pools whose volumes are replicated, for the tests of replication/sources. Invariant: the clock advances only when the test
// advances it, except that two snapshots of a volume never get the same time.

import { systemClock } from '@rsio/base/lib/clock';
import { Asker, LOCAL_ASKER } from '../pools/asker.ts';
import type { Found } from '../pools/catalogue.ts';
import { type Replication, replicationsIn } from '../pools/source-marks.ts';
import type { Moment } from '../pools/source-moments.ts';
import type { WantedReplication } from '../replication/sources/source-rules.ts';
import { SourceVerbs } from '../replication/sources/source-verbs.ts';
import { PoolScene, type SceneOptions } from './pool-scene.ts';
import { WHOLE_TURN } from './whole-turn.ts';

export const PEER = new Asker('big-8', { role: 'use', pools: null, limitBytes: null });
export const OTHER_PEER = new Asker('big-7', { role: 'use', pools: null, limitBytes: null });

export function named(...names: readonly string[]): { readonly name: string; readonly universe: number }[] {
  return names.map((name) => ({ name, universe: 0 }));
}

/** Returns the order of a replication of these volumes to PEER. */
export function order(names: readonly string[], changes: Partial<WantedReplication> = {}): WantedReplication {
  return { volumes: named(...names), to: 'big-8', pool: null, everyMs: 60_000, keep: 2, limitBytes: null, reversible: null, ...changes };
}

export class SourceScene {
  readonly scene: PoolScene;
  readonly sources: SourceVerbs;
  readonly clients = new Set(['big-8', 'big-7']);
  readonly warned: string[] = [];

  constructor(scene: PoolScene) {
    this.scene = scene;
    this.sources = sourceVerbs(scene, this.clients, this.warned);
  }

  get all(): readonly Replication[] {
    return replicationsIn(this.scene.pools.states);
  }

  /** Returns the only replication. */
  get only(): Replication {
    const [one, ...others] = this.all;
    if (one === undefined || others.length > 0) throw new Error(`${this.all.length} replications, and one is expected`);
    return one;
  }

  volume(name: string): Found {
    for (const pool of this.scene.pools.states)
      for (const manifest of pool.volumes.values()) if (manifest.name === name) return { pool, manifest };
    throw new Error(`No volume ${name}`);
  }

  snapshotsOf(name: string): readonly string[] {
    const { pool, manifest } = this.volume(name);
    return (pool.snapshots.get(manifest.id)?.list ?? []).map((one) => one.name);
  }

  begin(names: readonly string[], changes: Partial<WantedReplication> = {}, asker: Asker = LOCAL_ASKER): Promise<Replication> {
    return this.sources.replicate(order(names, changes), asker, null);
  }

  /** Makes the next moment of the only replication. */
  async moment(request: string | null = null, asker: Asker = PEER): Promise<Moment> {
    const { id } = this.only;
    const next = this.sources.next(id, asker, request);
    return next.made ?? this.sources.moment(id, next.wanted[0]?.snapshot ?? '', asker, request, WHOLE_TURN);
  }

  confirm({ group }: Pick<Moment, 'group'>, asker: Asker = PEER): Promise<number> {
    return this.sources.confirm(this.only.id, group, asker);
  }
}

export function sourceVerbs(scene: PoolScene, clients: ReadonlySet<string>, warned: string[] = []): SourceVerbs {
  const log = { warn: (text: string): void => void warned.push(text) };
  return new SourceVerbs({
    verbs: scene.verbs,
    snapshots: scene.snapshots,
    log,
    isClient: (name) => clients.has(name),
    opened: () => Promise.resolve(),
  });
}

/** The wall clock of scenes. */
export class SourceTime {
  nowMs = Date.UTC(2026, 10, 28, 10, 0, 0);

  readonly clock = { ...systemClock, wallMs: () => this.nowMs };

  later(ms: number): void {
    this.nowMs += ms;
  }
}

export async function openSources(directory: string, time: SourceTime, options: Partial<SceneOptions> = {}): Promise<SourceScene> {
  return new SourceScene(await PoolScene.open(directory, { clock: time.clock, ...options }));
}
