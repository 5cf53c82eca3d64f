// Random lives of two servers that exchange their roles, or of which one was promoted while the other one went on: crashes of both at any
// step on disk, clients that write wherever they can, and commands that are given again. A life reports the first violation: both servers
// open a volume for clients, a server takes over without the last writes, a role change that does not end, content that a demotion does not
// keep, or a replication that does not go on in the other direction. Invariant: the seed determines what happens. Rules: T7 to T10.

import { LOCAL_ASKER } from '../pools/asker.ts';
import { closedFor, following } from '../pools/follower-rules.ts';
import { snapshotsOf } from '../snapshots/snapshot-rules.ts';
import { lived } from './replication-lives.ts';
import { MINUTE_MS, SITE_VOLUMES, type TwoSites, Violation } from './two-sites.ts';
import { snapshotContent, volumeContent, volumeIn } from './volume-content.ts';

const WANTED = SITE_VOLUMES.map((name) => ({ name, universe: 0 }));
const EVENTS_MAX = 6;
/** Number of tries of a role change, of which the last ones have no crash. */
const TRIES = 12;
const CALM_TRIES = 4;
/** A site crashes at a step below this number. A role change has about 20 steps at each site. */
const CRASH_STEPS = 25;

/** Returns a violation, or null. */
export function roleLife(seed: number): Promise<string | null> {
  return lived(seed, (sites) => new RoleLife(sites).run());
}

class RoleLife {
  private readonly sites: TwoSites;
  /** Names of the volumes that clients of the second server can open. */
  private readonly taken = new Set<string>();

  constructor(sites: TwoSites) {
    this.sites = sites;
  }

  async run(): Promise<void> {
    const { sites } = this;
    await sites.open();
    for (let left = sites.random(EVENTS_MAX); left > 0; left--) {
      sites.write();
      await sites.workThroughCrashes();
      await sites.later(MINUTE_MS);
    }
    const isGivenUp = sites.random(2) === 0;
    const back = isGivenUp ? await this.demote() : await this.reverse();
    if (back === null) return;
    if (!isGivenUp && sites.random(2) === 0) await this.returned(back);
    else {
      back.write();
      await back.settle();
    }
    await back.close();
  }

  /** Exchanges the roles. The order may be given up and given again meanwhile. */
  private async reverse(): Promise<TwoSites> {
    const { sites } = this;
    const { source, target, random } = sites;
    const back = sites.reversed();
    let wanted: string | null = null;
    for (let tries = 0; tries < TRIES; tries++) {
      const isCalm = tries >= TRIES - CALM_TRIES;
      if (!isCalm) [source.stepsLeft, target.stepsLeft] = [random(CRASH_STEPS), random(CRASH_STEPS)];
      const isGivenUp = wanted !== null && !isCalm && random(3) === 0;
      if (isGivenUp) wanted = null;
      else wanted ??= `00000000-0000-4000-8000-${String(tries + 1).padStart(12, '0')}`;
      // Once the followers are promoted, nothing is wanted any more.
      await sites.want(wanted).catch(() => undefined);
      if (sites.hasSource) await sites.work().catch(() => undefined);
      await sites.restartCrashed();
      sites.write();
      this.checkOpen();
      if (back.hasSource) await back.work().catch(() => undefined);
      await sites.restartCrashed();
      sites.write();
      this.checkOpen();
      if (this.followsAll()) {
        await sites.quiet();
        return back;
      }
      await sites.later(MINUTE_MS);
    }
    throw new Violation('The hand-over does not end');
  }

  /** The new source is lost: the old one has the last moment, or a later one of the new source, and is promoted with it. */
  private async returned(back: TwoSites): Promise<void> {
    const { scene } = this.sites.source;
    const later = back.newest();
    const before = SITE_VOLUMES.map((name) => {
      const sourceId = volumeIn(scene, name).manifest.follower?.sourceId ?? '';
      return later?.get(sourceId) ?? volumeContent(scene, name);
    });
    await back.promotion.promote(WANTED, LOCAL_ASKER, null);
    for (const [index, name] of SITE_VOLUMES.entries())
      if (this.followsAll() || !volumeContent(scene, name).equals(before[index]!))
        throw new Violation(`Volume ${name} does not have its last writes after it was handed over and promoted again`);
  }

  private followsAll(): boolean {
    return SITE_VOLUMES.every((name) => following(volumeIn(this.sites.source.scene, name).manifest) !== null);
  }

  /** A client must never find a volume open at both servers, and the second one must begin with the last writes of the first one. */
  private checkOpen(): void {
    const { source, target } = this.sites;
    for (const name of SITE_VOLUMES) {
      const mine = volumeIn(source.scene, name).manifest;
      const theirs = this.sites.followers().find(({ manifest }) => manifest.name === name)?.manifest;
      if (theirs === undefined || following(theirs) !== null) continue;
      if (closedFor(mine) === null) throw new Violation(`Clients can open volume ${name} at both servers`);
      if (this.taken.has(name)) continue;
      this.taken.add(name);
      if (!volumeContent(target.scene, name).equals(volumeContent(source.scene, name)))
        throw new Violation(`Volume ${name} was taken over without its last writes`);
    }
  }

  /** Promotes the followers while clients of both servers write, and demotes the source. Returns null if there is no moment yet. */
  private async demote(): Promise<TwoSites | null> {
    const { sites } = this;
    const { source, target, random } = sites;
    await sites.quiet();
    if (sites.newest() === undefined) return null;
    await sites.promotion.promote(WANTED, LOCAL_ASKER, null);
    for (const name of WANTED) await target.scene.verbs.set(name, { clients: null }, LOCAL_ASKER, null);
    const back = sites.reversed();
    await back.replicate();
    back.write();
    source.onStep = () => void (random(2) === 0 && sites.write());
    for (let tries = 0; tries < TRIES && !this.followsAll(); tries++) {
      source.stepsLeft = tries < TRIES - CALM_TRIES ? random(CRASH_STEPS) : 0;
      await back.demote().catch(() => undefined);
      await sites.restartCrashed();
      sites.clock.advance(1_000);
    }
    source.onStep = () => undefined;
    if (!this.followsAll()) throw new Violation('The demotion does not end');
    this.checkKept();
    return back;
  }

  private checkKept(): void {
    const { scene } = this.sites.source;
    for (const name of SITE_VOLUMES) {
      const content = volumeContent(scene, name);
      const own = snapshotsOf(volumeIn(scene, name)).list.filter((one) => one.name.startsWith('before-demotion-'));
      if (!own.some((one) => snapshotContent(scene, name, one).equals(content)))
        throw new Violation(`No snapshot keeps the last writes of volume ${name} before its demotion`);
    }
  }
}
