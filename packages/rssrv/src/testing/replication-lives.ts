// Random lives of a replication of two volumes: writes, growth and rollbacks at the source, crashes of both servers at any step on disk, and
// pulls that are cut. A life reports the first violation: a snapshot of a follower that is no moment of the source, common moments that go
// back, a confirmation before all followers have the moment, a source without the confirmed moment, or a promotion to another content.
// Invariant: the seed determines the life.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { removeFolder } from '@rsio/common/testing/remove-folder';
import { toRsError } from '@rsio/common/lib/errors';
import { LOCAL_ASKER } from '../pools/asker.ts';
import { snapshotsOf } from '../snapshots/snapshot-rules.ts';
import { SITE_BLOCK_BYTES, SITE_VOLUMES, TwoSites, Violation } from './two-sites.ts';
import { volumeContent, volumeIn, writeVolume } from './volume-content.ts';

const MINUTE_MS = 60_000;
const EVENTS_MIN = 10;
const EVENTS_MAX = 30;
/** A site crashes at a step below this number. A whole round has about 60 steps at the target. */
const CRASH_STEPS = 50;
const FINAL_TRIES = 6;
const WANTED = SITE_VOLUMES.map((name) => ({ name, universe: 0 }));

/** Returns a violation, or null. */
export async function replicationLife(seed: number): Promise<string | null> {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rssrv-sites-'));
  const life = new ReplicationLife(new TwoSites(directory, randomFrom(seed)));
  try {
    await life.run();
    return null;
  } catch (thrown) {
    if (thrown instanceof Violation) return thrown.message;
    throw thrown;
  } finally {
    await life.sites.close();
    await removeFolder(directory);
  }
}

/** Returns a generator of numbers below a bound. */
function randomFrom(seed: number): (below: number) => number {
  let state = (seed * 2_654_435_761) % 2_147_483_647 || 1;
  return (below) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % below;
  };
}

class ReplicationLife {
  readonly sites: TwoSites;
  private written = 0;
  private newestMs = 0;

  constructor(sites: TwoSites) {
    this.sites = sites;
  }

  async run(): Promise<void> {
    const { sites } = this;
    await sites.open();
    for (let left = EVENTS_MIN + sites.random(EVENTS_MAX - EVENTS_MIN); left > 0; left--) {
      await this.event(sites.random(14));
      this.check();
    }
    await this.heal();
    await this.promote();
  }

  private event(number: number): Promise<unknown> | void {
    const { sites } = this;
    const name = SITE_VOLUMES[sites.random(SITE_VOLUMES.length)] ?? '';
    if (number < 4) return this.write(name);
    if (number < 9) return this.work();
    if (number === 9) return this.grow(name);
    if (number === 10) return this.oldest(name);
    if (number === 11) return sites.later(MINUTE_MS);
    return number === 12 ? sites.source.restart() : sites.restartTarget();
  }

  private write(name: string): void {
    const { scene } = this.sites.source;
    const content = volumeContent(scene, name);
    const from = this.sites.random(content.length / SITE_BLOCK_BYTES) * SITE_BLOCK_BYTES;
    content.fill(++this.written % 250, from, from + SITE_BLOCK_BYTES);
    writeVolume(scene, name, content);
  }

  private async grow(name: string): Promise<void> {
    const { scene } = this.sites.source;
    const { sizeBytes } = volumeIn(scene, name).manifest;
    await scene.verbs.grow({ name, universe: 0 }, sizeBytes + SITE_BLOCK_BYTES, LOCAL_ASKER, null);
  }

  /** Rolls the volume back to its oldest snapshot, or removes that snapshot. */
  private async oldest(name: string): Promise<void> {
    const { source, random } = this.sites;
    const [oldest] = snapshotsOf(volumeIn(source.scene, name)).list;
    if (oldest === undefined) return;
    const wanted = { name, universe: 0, snapshot: oldest.name };
    if (random(2) === 0) await source.scene.snapshots.rollback(wanted, LOCAL_ASKER, null);
    // The source refuses to remove a moment that its followers need.
    else await source.scene.snapshots.remove(wanted, LOCAL_ASKER, null).catch(() => undefined);
  }

  private async work(): Promise<void> {
    const { sites } = this;
    const { source, target, random } = sites;
    source.stepsLeft = random(3) === 0 ? 1 + random(CRASH_STEPS) : 0;
    target.stepsLeft = random(2) === 0 ? 1 + random(CRASH_STEPS) : 0;
    sites.cutAfter = random(3) === 0 ? random(4) : null;
    await sites.work();
    sites.cutAfter = null;
    if (source.hasCrashed) await source.restart();
    if (target.hasCrashed) await sites.restartTarget();
    [source.stepsLeft, target.stepsLeft] = [0, 0];
  }

  private check(): void {
    this.sites.checkMoments();
    const newestMs = this.sites.newestCommonMs();
    if (newestMs < this.newestMs) throw new Violation(`The newest common moment was ${this.newestMs}, and is ${newestMs}`);
    this.newestMs = newestMs;
  }

  /** Nothing fails any more: the followers get a moment that is newer than all writes. */
  private async heal(): Promise<void> {
    const { sites } = this;
    let error: string | null = '';
    for (let tries = 0; tries < FINAL_TRIES && (tries < 3 || error !== null); tries++) {
      await sites.later(MINUTE_MS);
      error = await sites.work();
    }
    if (error !== null) throw new Violation(`The replication does not go on: ${error}`);
    this.check();
    for (const name of SITE_VOLUMES)
      if (sites.newest()?.get(name)?.equals(volumeContent(sites.source.scene, name)) !== true)
        throw new Violation(`The followers lack the last writes to ${name}`);
  }

  /** Promotes the followers, again after a crash. All of them get one moment. */
  private async promote(): Promise<void> {
    const { sites } = this;
    const wanted = sites.newest();
    await sites.quiet();
    sites.target.stepsLeft = sites.random(CRASH_STEPS);
    await sites.promotion.promote(WANTED, LOCAL_ASKER, null).catch(() => undefined);
    if (sites.target.hasCrashed) await sites.restartTarget();
    sites.target.stepsLeft = 0;
    await sites.promotion.promote(WANTED, LOCAL_ASKER, null).catch((thrown: unknown) => {
      if (!toRsError(thrown).message.includes('promoted already')) throw new Violation(`The promotion fails: ${toRsError(thrown).message}`);
    });
    for (const name of SITE_VOLUMES)
      if (wanted?.get(name)?.equals(volumeContent(sites.target.scene, name)) !== true)
        throw new Violation(`The promoted volume ${name} does not have the newest common moment`);
    sites.checkMoments();
  }
}
