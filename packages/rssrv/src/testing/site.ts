// One of the two servers of a random life: its pool in a folder, its crashes, a full pool, and an image from which it comes back. Invariant: after
// a crash, every further step on disk fails until the server is restarted.

import fs from 'node:fs';
import path from 'node:path';
import type { FakeClock } from '@rsio/base/testing/fake-clock';
import { closedFor } from '../pools/follower-rules.ts';
import { parseManifest, printManifest } from '../pools/disk/manifest.ts';
import { poolPaths } from '../pools/disk/pool-paths.ts';
import type { Moments } from '../pools/snapshots/moment.ts';
import { storageStamp } from '../storage/files/storage-identity.ts';
import { NO_HOLD } from './plain-clones.ts';
import { PoolScene } from './pool-scene.ts';
import { volumeIn } from './volume-content.ts';

export class Site {
  private opened: PoolScene | null = null;
  /** Number of steps on disk after which the server crashes; 0: it does not. */
  stepsLeft = 0;
  /** Number of steps on disk after which one step fails because its pool is full; 0: none does. */
  fullAfter = 0;
  private isDead = false;
  /** Takes the moments of this server. */
  take: Moments['take'] = (copies) => NO_HOLD.take(copies);
  /** Called before each step on disk. */
  onStep: () => void = () => undefined;
  readonly name: string;
  private readonly directory: string;
  private readonly clock: FakeClock;

  constructor(name: string, directory: string, clock: FakeClock) {
    this.name = name;
    this.directory = path.join(directory, name);
    this.clock = clock;
  }

  /** Returns true if a client could open the volume now. */
  canOpen(name: string): boolean {
    return this.scene.served.has(`${name}@0`) && closedFor(volumeIn(this.scene, name).manifest) === null;
  }

  get scene(): PoolScene {
    if (this.opened === null) throw new Error('The site is not open');
    return this.opened;
  }

  get hasCrashed(): boolean {
    return this.isDead || this.scene.pools.states.some(({ trouble }) => trouble !== null);
  }

  async close(): Promise<void> {
    await this.opened?.pools.close();
    this.opened = null;
    [this.isDead, this.stepsLeft] = [false, 0];
  }

  async restart(): Promise<void> {
    await this.close();
    const { clock } = this;
    const moments: Moments = { take: (copies) => this.take(copies) };
    this.opened = await PoolScene.open(this.directory, { clock, moments, reached: () => this.reached(), names: ['fast'] });
  }

  private get image(): string {
    return `${this.directory}.image`;
  }

  get hasImage(): boolean {
    return fs.existsSync(this.image);
  }

  /** Keeps an image of the whole server: data and records. */
  keepImage(): void {
    this.dropImage();
    fs.cpSync(this.directory, this.image, { recursive: true });
  }

  dropImage(): void {
    fs.rmSync(this.image, { recursive: true, force: true });
  }

  /** The server comes back from its image. */
  async restoreImage(): Promise<void> {
    await this.close();
    fs.rmSync(this.directory, { recursive: true });
    fs.cpSync(this.image, this.directory, { recursive: true });
    // The copy of a disk keeps the stamps of files, and this copy does not.
    const volumes = path.join(this.directory, 'fast', 'volumes');
    for (const id of fs.existsSync(volumes) ? fs.readdirSync(volumes) : []) {
      const folder = path.join(volumes, id);
      const data = poolPaths.data(folder);
      const stamp = storageStamp(fs.statSync(data, { bigint: true }), data);
      const text = fs.readFileSync(poolPaths.manifest(folder), 'utf8');
      const manifest = parseManifest(data, text);
      fs.writeFileSync(poolPaths.manifest(folder), printManifest({ ...manifest, stamps: [stamp] }));
    }
    await this.restart();
  }

  private reached(): void {
    if (!this.isDead) this.onStep();
    if (this.stepsLeft > 0 && --this.stepsLeft === 0) this.isDead = true;
    if (this.isDead) throw Object.assign(new Error('EIO'), { code: 'EIO' });
    if (this.fullAfter > 0 && --this.fullAfter === 0) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
  }
}
