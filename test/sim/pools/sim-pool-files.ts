// Changes the files of a simulated pool, in place of the production PoolFiles. This file takes the same steps in the same order, with the
// same commit points, on a simulated disk. Each step takes time and may fail, and a crash may follow each step. The unit tests of
// pool-files.ts and pool-scan.ts test the steps on real file systems. The stand-in makes orders, clients and crashes meet; it cannot show a
// wrong order of steps in PoolFiles.

import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import type { Manifest, Removal } from '@rsio/rssrv/pools/disk/manifest';
import { PoolFiles } from '@rsio/rssrv/pools/disk/pool-files';
import type { SimProcess } from '../base/sim-clock.ts';
import type { SimDisk, SimFolder } from '../storage/sim-disk.ts';

export interface SimPoolFilesPorts {
  readonly disk: SimDisk;
  /** Process of the listener. */
  readonly process: SimProcess;
  readonly random: SeededRandom;
  /** Longest time of a step, ms. */
  readonly stepMs: number;
  /** A data file of a new volume was made. */
  made(manifest: Manifest): void;
  /** Called after each step, so that a fault can begin. */
  stepped(): void;
  fails(): boolean;
}

const STAMP = 'i1.b1';

export class SimPoolFiles extends PoolFiles {
  private readonly sim: SimPoolFilesPorts;

  constructor(sim: SimPoolFilesPorts) {
    super('/pool', { allocate: async () => undefined });
    this.sim = sim;
  }

  override async create(manifest: Omit<Manifest, 'stamps'>): Promise<Manifest> {
    const { disk } = this.sim;
    const { id, sizeBytes } = manifest;
    const whole: Manifest = { ...manifest, stamps: [STAMP] };
    await this.step(() => {
      this.sim.made(whole);
      disk.extend(id, sizeBytes);
    });
    await this.step(() => disk.syncData(id));
    await this.step(() => disk.put(id, { place: 'volumes', manifest: whole, removal: null }));
    await this.step(() => disk.sync());
    return whole;
  }

  override async extend(id: string, fromBytes: number, sizeBytes: number): Promise<void> {
    const { disk } = this.sim;
    if (disk.lengthOf(id) < fromBytes) throw new Error(`The file of volume ${id} has ${disk.lengthOf(id)} of ${fromBytes} bytes`);
    await this.step(() => disk.extend(id, sizeBytes));
    await this.step(() => disk.syncData(id));
  }

  override async replaceManifest(manifest: Manifest): Promise<void> {
    const { disk } = this.sim;
    await this.step(() => disk.put(manifest.id, { ...this.folder(manifest.id), manifest }));
    await this.step(() => disk.sync());
  }

  override async remove(id: string, removal: Removal): Promise<void> {
    const { disk } = this.sim;
    await this.step(() => disk.put(id, { ...this.folder(id), place: 'removed', removal }));
    await this.step(() => disk.sync());
  }

  override async restore(manifest: Manifest): Promise<void> {
    const { disk } = this.sim;
    await this.step(() => disk.put(manifest.id, { ...this.folder(manifest.id), manifest }));
    await this.step(() => disk.sync());
    await this.step(() => disk.put(manifest.id, { place: 'volumes', manifest, removal: null }));
    await this.step(() => disk.sync());
  }

  private folder(id: string): SimFolder {
    const folder = this.sim.disk.shown.get(id);
    if (folder === undefined) throw Object.assign(new Error(`No folder ${id}`), { code: 'ENOENT' });
    return folder;
  }

  private step(act: () => void): Promise<void> {
    const { process, random, stepMs } = this.sim;
    return new Promise((resolve, reject) => {
      process.after(random.unit() * stepMs, () => {
        const fails = this.sim.fails();
        // A step that fails may still have taken effect.
        if (!fails || random.chance(0.5)) act();
        if (fails) reject(Object.assign(new Error('EIO'), { code: 'EIO' }));
        else resolve();
        this.sim.stepped();
      });
    });
  }
}
