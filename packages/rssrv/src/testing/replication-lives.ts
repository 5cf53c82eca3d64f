// Random lives of a replication of two volumes: writes, growth, rollbacks and new names at the source, requests that arrive late, crashes of
// both servers at any step on disk, and pulls that are cut. A life reports the first violation: a snapshot of a follower that is no moment of
// the source, common moments or confirmations that go back, a confirmation before all followers have the moment, a source without the
// confirmed moment, a promotion to another content, or a promoted follower that changes. Invariant: the seed determines what happens.
// Rules: T1 to T8.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { removeFolder } from '@rsio/common/testing/remove-folder';
import { toRsError } from '@rsio/common/lib/errors';
import { LOCAL_ASKER } from '../pools/asker.ts';
import type { Manifest } from '../pools/disk/manifest.ts';
import { snapshotsOf } from '../snapshots/snapshot-rules.ts';
import { randomFrom, SITE_BLOCK_BYTES, SITE_VOLUMES, TwoSites, Violation } from './two-sites.ts';
import { volumeContent, volumeIn } from './volume-content.ts';

const MINUTE_MS = 60_000;
const EVENTS_MIN = 10;
const EVENTS_MAX = 30;
/** A site crashes at a step below this number. A whole round has about 60 steps at the target. */
const CRASH_STEPS = 50;
/** The same for a promotion of both followers, which has about 12 steps. */
const PROMOTION_STEPS = 20;
const EVENTS = 17;
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
    if (sites.random(2) === 0) await this.heal();
    await this.promote();
    await this.checkPromoted();
  }

  private event(number: number): Promise<unknown> | void {
    const { sites } = this;
    const name = SITE_VOLUMES[sites.random(SITE_VOLUMES.length)] ?? '';
    if (number < 4) return sites.write();
    if (number < 9) return this.work();
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

  private async work(): Promise<void> {
    const { sites } = this;
    const { source, target, random } = sites;
    source.stepsLeft = random(3) === 0 ? 1 + random(CRASH_STEPS) : 0;
    target.stepsLeft = random(2) === 0 ? 1 + random(CRASH_STEPS) : 0;
    sites.cutAfter = random(3) === 0 ? random(4) : null;
    sites.swapsFile = random(10) === 0;
    await sites.work();
    [sites.cutAfter, sites.swapsFile] = [null, false];
    if (source.hasCrashed) await source.restart();
    if (target.hasCrashed) await sites.restartTarget();
    [source.stepsLeft, target.stepsLeft] = [0, 0];
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

  /** Nothing fails any more: the followers get a moment that is newer than all writes. */
  private async heal(): Promise<void> {
    const { sites } = this;
    let error: string | null = '';
    sites.hasClients = false;
    for (let tries = 0; tries < FINAL_TRIES && (tries < 3 || error !== null); tries++) {
      await sites.later(MINUTE_MS);
      error = await sites.work();
    }
    if (error !== null) throw new Violation(`The replication does not go on: ${error}`);
    this.check();
    for (const [id, content] of sites.contents()) {
      const { name } = this.follower(id);
      if (sites.newest()?.get(id)?.equals(content) !== true) throw new Violation(`The follower ${name} lacks the last writes`);
    }
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

  private follower(sourceId: string): Manifest {
    const found = this.sites.followers().find(({ manifest }) => manifest.follower?.sourceId === sourceId);
    if (found === undefined) throw new Violation(`Volume ${sourceId} has no follower`);
    return found.manifest;
  }

  private hasContent({ name, follower }: Manifest, wanted: ReadonlyMap<string, Buffer> | undefined): boolean {
    return wanted?.get(follower?.sourceId ?? '')?.equals(volumeContent(this.sites.target.scene, name)) === true;
  }
}
