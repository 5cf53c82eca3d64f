// Random lives of a replication of two volumes: writes, growth, rollbacks and new names at the source, requests that arrive late, crashes of
// both servers at any step on disk, and pulls that are cut. A life reports the first violation: a snapshot of a follower that is no moment of
// the source, common moments or confirmations that go back, a confirmation before all followers have the moment, a source without the
// confirmed moment, a promotion to another content, or a promoted follower that changes. Invariant: the seed determines what happens.
// Rules: T1 to T8.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { toRsError } from '@rsio/base/lib/errors';
import { LOCAL_ASKER } from '../pools/asker.ts';
import type { Manifest } from '../pools/disk/manifest.ts';
import { snapshotsOf } from '../snapshots/snapshot-rules.ts';
import { type Random, randomFrom, SITE_BLOCK_BYTES } from './site-blocks.ts';
import { MINUTE_MS, SITE_VOLUMES, TwoSites, Violation } from './two-sites.ts';
import { volumeContent, volumeIn } from './volume-content.ts';

const EVENTS_MIN = 10;
const EVENTS_MAX = 30;
/** The target crashes at a step below this number during a promotion of both followers, which has about 12 steps. */
const PROMOTION_STEPS = 20;
const EVENTS = 17;
const WANTED = SITE_VOLUMES.map((name) => ({ name, universe: 0 }));

/** Returns a violation, or null. */
export function replicationLife(seed: number): Promise<string | null> {
  return lived(seed, (sites) => new ReplicationLife(sites).run());
}

/** Runs a life of two servers. Returns its violation, or null. */
export function lived(seed: number, run: (sites: TwoSites) => Promise<void>): Promise<string | null> {
  return livedBy(seed, TwoSites, run);
}

/** As above, with servers of this class. */
export async function livedBy<T extends TwoSites>(
  seed: number,
  make: new (directory: string, random: Random) => T,
  run: (sites: T) => Promise<void>,
): Promise<string | null> {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rssrv-sites-'));
  const sites = new make(directory, randomFrom(seed));
  try {
    await run(sites);
    return null;
  } catch (thrown) {
    if (thrown instanceof Violation) return thrown.message;
    throw thrown;
  } finally {
    await sites.close();
    await removeFolder(directory);
  }
}

class ReplicationLife {
  readonly sites: TwoSites;
  private newestMs = 0;
  private confirmedMs = 0;

  constructor(sites: TwoSites) {
    this.sites = sites;
  }

  async run(): Promise<void> {
    const { sites } = this;
    await sites.open();
    for (let left = EVENTS_MIN + sites.random(EVENTS_MAX - EVENTS_MIN); left > 0; left--) {
      await this.event(sites.random(EVENTS));
      this.check();
    }
    // Without this, the source is lost in the middle of a step.
    if (sites.random(2) === 0) {
      await sites.settle();
      this.check();
    }
    await this.promote();
    await this.checkPromoted();
  }

  private event(number: number): Promise<unknown> | void {
    const { sites } = this;
    const name = SITE_VOLUMES[sites.random(SITE_VOLUMES.length)] ?? '';
    if (number < 4) return sites.write();
    if (number < 9) return sites.workThroughCrashes();
    if (number === 9) return this.grow(name);
    if (number === 10) return this.snapshot(name);
    if (number === 11) return sites.later(MINUTE_MS);
    if (number === 12) return sites.source.restart();
    if (number === 13) return sites.restartTarget();
    if (number === 14) return sites.late();
    return number === 15 ? sites.exchangeNames() : sites.replaceIncoming();
  }

  private async grow(name: string): Promise<void> {
    const { scene } = this.sites.source;
    const { sizeBytes } = volumeIn(scene, name).manifest;
    await scene.verbs.grow({ name, universe: 0 }, sizeBytes + SITE_BLOCK_BYTES, LOCAL_ASKER, null);
  }

  /** Rolls the volume back to one of its snapshots, or removes that snapshot. */
  private async snapshot(name: string): Promise<void> {
    const { source, random } = this.sites;
    const { list } = snapshotsOf(volumeIn(source.scene, name));
    const snapshot = list[random(list.length)];
    if (snapshot === undefined) return;
    const wanted = { name, universe: 0, snapshot: snapshot.name };
    if (random(2) === 0) await source.scene.snapshots.rollback(wanted, LOCAL_ASKER, null);
    // The source refuses to remove a moment that its followers need.
    else await source.scene.snapshots.remove(wanted, LOCAL_ASKER, null).catch(() => undefined);
  }

  private check(): void {
    this.sites.checkMoments();
    const newestMs = this.sites.newestCommonMs();
    if (newestMs < this.newestMs) throw new Violation(`The newest common moment was ${this.newestMs}, and is ${newestMs}`);
    this.newestMs = newestMs;
    const confirmedMs = this.sites.checkSource();
    if (confirmedMs < this.confirmedMs) throw new Violation(`The confirmed moment was ${this.confirmedMs}, and is ${confirmedMs}`);
    this.confirmedMs = confirmedMs;
  }

  /** Promotes the followers, again after a crash. All of them get one moment, or stay followers. */
  private async promote(): Promise<void> {
    const { sites } = this;
    // The promotion may come in the middle of a step of the replication.
    const working = sites.random(2) === 0 ? sites.work() : null;
    await sites.quiet();
    const [wanted, before] = [sites.newest(), this.snapshots()];
    sites.target.stepsLeft = sites.random(PROMOTION_STEPS);
    await sites.promotion.promote(WANTED, LOCAL_ASKER, null).catch(() => undefined);
    await working;
    if (sites.target.hasCrashed) await sites.restartTarget();
    sites.target.stepsLeft = 0;
    if (this.snapshots() !== before) throw new Violation('A follower has changed although its replication has ended');
    const isRemoved = sites.random(2) === 0 && (await this.removeMoment());
    await sites.promotion.promote(WANTED, LOCAL_ASKER, null).catch((thrown: unknown) => {
      const { message } = toRsError(thrown);
      const isRefused =
        (isRemoved && message.includes('it was removed')) || (wanted === undefined && /No volume|not there yet|no complete/.test(message));
      if (!isRefused && !message.includes('promoted already')) throw new Violation(`The promotion fails: ${message}`);
    });
    for (const { manifest } of sites.followers())
      if (manifest.follower?.promoted === null ? wanted !== undefined && !isRemoved : !this.hasContent(manifest, wanted))
        throw new Violation(`The promoted volume ${manifest.name} does not have the newest common moment`);
    sites.checkMoments();
  }

  /** Removes the newest moment of the first volume that is promoted, which is an ordinary volume. Returns false if none is. */
  private async removeMoment(): Promise<boolean> {
    const { sites } = this;
    const found = sites.followers().find(({ manifest }) => (manifest.follower?.promoted ?? null) !== null);
    const newest = found?.manifest.follower?.promoted?.group;
    const snapshot = found === undefined ? undefined : snapshotsOf(found).list.find(({ origin }) => origin?.group === newest)?.name;
    if (found === undefined || snapshot === undefined) return false;
    await sites.target.scene.snapshots.remove({ name: found.manifest.name, universe: 0, snapshot }, LOCAL_ASKER, null);
    return true;
  }

  /** The source goes on, and the followers do not change any more. */
  private async checkPromoted(): Promise<void> {
    const { sites } = this;
    if (sites.followers().every(({ manifest }) => manifest.follower?.promoted === null)) return;
    const before = this.snapshots() + this.content();
    for (let rounds = 0; rounds < 2; rounds++) {
      await sites.later(MINUTE_MS);
      sites.write();
      await sites.work();
    }
    if (this.snapshots() + this.content() !== before) throw new Violation('A promoted follower has got a moment');
  }

  /** The ids of the snapshots of the followers as a text. */
  private snapshots(): string {
    return this.sites
      .followers()
      .flatMap((found) => [found.manifest.name, ...snapshotsOf(found).list.map(({ id }) => `${found.manifest.name}@${id}`)])
      .toSorted()
      .join(' ');
  }

  /** The content of the followers as a text. */
  private content(): string {
    const { scene } = this.sites.target;
    return this.sites
      .followers()
      .map(({ manifest }) => volumeContent(scene, manifest.name).toString('base64'))
      .join(' ');
  }

  private hasContent({ name, follower }: Manifest, wanted: ReadonlyMap<string, Buffer> | undefined): boolean {
    return wanted?.get(follower?.sourceId ?? '')?.equals(volumeContent(this.sites.target.scene, name)) === true;
  }
}
