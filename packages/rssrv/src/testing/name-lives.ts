// Random lives of the names of volumes: three volumes in two pools, two of them with schedules, exchange their names, get the name of another
// one as in a pool that was brought from another server, and are removed and made anew, also while the triggers of a snapshot run. A life
// reports the first violation: a schedule that has made or removed a snapshot of another volume. Invariant: the seed determines what happens.
// Rules: C6.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Clock } from '@rsio/base/lib/clock';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { ChangeQueue } from '../admin/change-queue.ts';
import { LOCAL_ASKER } from '../pools/asker.ts';
import type { Found } from '../pools/catalogue.ts';
import { ScheduleRunner } from '../snapshots/schedule-runner.ts';
import { snapshotsOf } from '../snapshots/snapshot-rules.ts';
import { PoolScene } from './pool-scene.ts';
import { randomFrom } from './site-blocks.ts';
import { WHOLE_TURN } from './whole-turn.ts';

const MINUTE_MS = 60_000;
const EVENTS = 25;
const NAMES = ['a', 'b', 'c'];
/** How many scheduled snapshots each volume keeps; 0 for a volume without a schedule. */
const KEPT = [1, 3, 0];
const CHANGE_MS = 10_000;

/** Returns a violation, or null. */
export async function nameLife(seed: number): Promise<string | null> {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rssrv-names-'));
  const clock = new FakeClock(Date.UTC(2026, 0, 1));
  const scene = await PoolScene.open(directory, { clock, names: ['fast', 'slow'] });
  try {
    return await new NameLife(scene, clock, randomFrom(seed)).run();
  } finally {
    await scene.pools.close();
    await removeFolder(directory);
  }
}

class NameLife {
  private readonly scene: PoolScene;
  private readonly clock: FakeClock;
  private readonly random: (below: number) => number;
  private readonly runner: ScheduleRunner;
  /** Number of kept scheduled snapshots by volume id. */
  private readonly kept = new Map<string, number>();
  private readonly counts = new Map<string, number>();

  constructor(scene: PoolScene, clock: FakeClock, random: (below: number) => number) {
    this.scene = scene;
    this.clock = clock;
    this.random = random;
    const queue = new ChangeQueue(clock);
    const silent = (): undefined => undefined;
    // The life itself looks for due snapshots, so that no change is in progress when it advances the clock.
    const withoutTimers: Clock = Object.assign(Object.create(clock) as Clock, { after: () => ({ cancel: silent }) });
    this.runner = new ScheduleRunner({
      clock: withoutTimers,
      log: { info: silent, warn: silent, debug: silent },
      snapshots: scene.snapshots,
      pools: () => scene.pools.states,
      around: async (_wanted, make) => {
        if (random(2) === 0) await this.rename();
        return make();
      },
      tried: silent,
      change: (work, what) => queue.runOwn(work, what),
    });
  }

  async run(): Promise<string | null> {
    for (const [index, name] of NAMES.entries()) await this.create(name, index);
    for (let left = EVENTS; left > 0; left--) {
      const event = this.random(5);
      if (event < 3) {
        this.clock.advance((20 + this.random(60)) * MINUTE_MS);
        await this.runner.look();
      } else if (event === 3) await this.rename();
      else await this.replace();
      const violation = this.violation();
      if (violation !== null) return violation;
    }
    this.runner.close();
    return null;
  }

  private get volumes(): Found[] {
    return this.scene.pools.states.flatMap((pool) => [...pool.volumes.values()].map((manifest) => ({ pool, manifest })));
  }

  private async create(name: string, index: number): Promise<void> {
    const pool = ['fast', 'slow'][this.random(2)]!;
    const { manifest } = await this.scene.create({ name, pool, sizeBytes: 4_096 });
    const keep = KEPT[index] ?? 0;
    this.kept.set(manifest.id, keep);
    await this.scene.snapshots.snapshot([{ id: manifest.id, name, universe: 0, snapshot: 'by-hand' }], LOCAL_ASKER, null, WHOLE_TURN);
    if (keep > 0) await this.scene.verbs.set({ id: manifest.id }, { schedule: `hourly keep ${keep}` }, LOCAL_ASKER, null);
  }

  /** Gives all volumes their names in another order. Two of them may get one name, as after the arrival of a foreign pool. */
  private async rename(): Promise<void> {
    const twin = this.random(3) === 0;
    const first = this.random(NAMES.length);
    for (const [index, { pool, manifest }] of this.volumes.entries()) {
      const name = NAMES[(first + (twin && index === 1 ? 0 : index)) % NAMES.length]!;
      const renamed = { ...manifest, name };
      await this.scene.verbs.onDisk(pool, CHANGE_MS, (files) => files.replaceManifest(renamed));
      this.scene.pools.put(pool, renamed);
    }
  }

  /** Removes a volume, and makes another one with its name. */
  private async replace(): Promise<void> {
    const { manifest } = this.volumes[this.random(this.volumes.length)]!;
    if (this.volumes.some((one) => one.manifest.id !== manifest.id && one.manifest.name === manifest.name)) return;
    const index = KEPT.indexOf(this.kept.get(manifest.id) ?? 0);
    await this.scene.verbs.remove({ id: manifest.id }, LOCAL_ASKER, null);
    this.counts.delete(manifest.id);
    await this.create(manifest.name, index);
  }

  private violation(): string | null {
    for (const found of this.volumes) {
      const { id, name } = found.manifest;
      const { list } = snapshotsOf(found);
      const keep = this.kept.get(id) ?? 0;
      const count = list.filter(({ schedule }) => schedule !== undefined).length;
      if (!list.some((one) => one.name === 'by-hand')) return `Volume ${name} has lost the snapshot that a person has made`;
      if (count > keep) return `Volume ${name} has ${count} scheduled snapshots, and keeps ${keep}`;
      if (count < (this.counts.get(id) ?? 0)) return `Volume ${name} had ${this.counts.get(id)} scheduled snapshots, and has ${count}`;
      this.counts.set(id, count);
    }
    return null;
  }
}
