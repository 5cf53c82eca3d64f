// Random lives of two servers of which one may come back from an old image, while orders to exchange the roles are given and given up, names
// are exchanged, clocks are set, pools are full for a moment, and both servers crash. A life reports the first violation: a moment that only the
// followers have is lost, a server closes or takes over although nobody has allowed it there, both servers open a volume without a restore, a
// second volume follows beside an old source, a command removes what may be the only copy, or no order ends a state that does not go on.
// Invariant: the seed determines what happens. Rules: T1, T4, T6, T8, T9.

import { toRsError } from '@rsio/base/lib/errors';
import { LOCAL_ASKER } from '../pools/asker.ts';
import { closedFor, following } from '../pools/follower-rules.ts';
import { snapshotsOf } from '../snapshots/snapshot-rules.ts';
import { lived } from './replication-lives.ts';
import { MINUTE_MS, SITE_VOLUMES, type TwoSites, Violation } from './two-sites.ts';
import { volumeContent, volumeIn } from './volume-content.ts';

const WANTED = SITE_VOLUMES.map((name) => ({ name, universe: 0 }));
const EVENTS_MIN = 8;
const EVENTS_MORE = 16;
const KINDS = 14;
const CALM_TRIES = 5;
const CLOCK_STEP_MS = 3_600_000;
const FULL_STEPS = 20;

/** Returns a violation, or null. */
export function consentLife(seed: number): Promise<string | null> {
  return lived(seed, (sites) => new ConsentLife(sites).run());
}

class ConsentLife {
  /** The direction in which the volumes are replicated, and the other one. */
  private forth: TwoSites;
  private back: TwoSites;
  private wishes = 0;
  private wanted: string | null = null;
  /** All hand-overs that an order has wanted. */
  private readonly allowed = new Set<string>();
  private hasRestored = false;
  /** Groups of moments that only the followers have. */
  private readonly kept = new Set<string>();

  constructor(sites: TwoSites) {
    [this.forth, this.back] = [sites, sites.reversed()];
  }

  async run(): Promise<void> {
    await this.forth.open();
    for (let left = EVENTS_MIN + this.forth.random(EVENTS_MORE); left > 0; left--) {
      await this.event(this.forth.random(KINDS));
      await this.check();
    }
    await this.settle();
    await this.back.quiet();
  }

  private async event(kind: number): Promise<unknown> {
    const { forth } = this;
    const { random } = forth;
    if (kind < 2) return forth.write();
    if (kind < 6) return this.work();
    if (kind === 6) return forth.later(MINUTE_MS);
    if (kind === 7) return this.want(random(3) === 0 ? null : this.newId());
    if (kind === 8) return forth.exchangeNames().catch(() => undefined);
    if (kind === 9) return this.keepImage();
    if (kind === 10) return this.restore();
    if (kind === 11) return forth.clock.jumpWall((random(2) === 0 ? 1 : -1) * CLOCK_STEP_MS);
    if (kind === 12) {
      [forth.source, forth.target][random(2)]!.fullAfter = 1 + random(FULL_STEPS);
      return undefined;
    }
    return this.remove();
  }

  private keepImage(): void {
    const { forth } = this;
    // Moments that are made but not learned yet would be learned with another content.
    if (forth.hasSource) forth.order();
    forth.source.keepImage();
  }

  private newId(): string {
    return `00000000-0000-4000-8000-${String(++this.wishes).padStart(12, '0')}`;
  }

  private async want(id: string | null): Promise<void> {
    await this.forth
      .want(id)
      .then(() => {
        this.wanted = id;
        if (id !== null) this.allowed.add(id);
      })
      .catch(() => undefined);
  }

  /** Both servers copy what the other one offers, perhaps through crashes. */
  private async work(): Promise<void> {
    const { forth, back } = this;
    if (forth.hasSource) await (forth.random(2) === 0 ? forth.workThroughCrashes() : forth.work()).catch(() => undefined);
    await forth.restartCrashed();
    if (back.hasSource) await back.work().catch(() => undefined);
    await forth.restartCrashed();
    if (!this.isExchanged()) return;
    await forth.quiet();
    for (const one of [forth, back]) one.isBack = true;
    for (const site of [forth.source, forth.target]) site.dropImage();
    [this.forth, this.back, this.wanted] = [back, forth, null];
  }

  private isExchanged(): boolean {
    return SITE_VOLUMES.every((name) => following(volumeIn(this.forth.source.scene, name).manifest) !== null);
  }

  /** The source comes back from its image, with its record, and with all that it knew then. */
  private async restore(): Promise<void> {
    const { forth } = this;
    if (!forth.source.hasImage || this.wanted !== null || !forth.isQuiet) return;
    await forth.quiet();
    const before = forth.newestGroup();
    await forth.source.restoreImage();
    this.hasRestored = true;
    if (before !== null && forth.hasSource && !forth.order().moments.some(({ group }) => group === before)) this.kept.add(before);
  }

  /** A command that removes the newest moment of a follower is refused. */
  private async remove(): Promise<void> {
    const { forth } = this;
    const group = forth.newestGroup();
    for (const found of forth.followers()) {
      const newest = snapshotsOf(found).list.find(({ origin }) => origin?.group === group);
      if (group === null || newest === undefined || following(found.manifest) === null) continue;
      const named = { name: found.manifest.name, universe: 0, snapshot: newest.name };
      const isRemoved = await forth.target.scene.snapshots.remove(named, LOCAL_ASKER, null).then(
        () => true,
        () => false,
      );
      if (isRemoved) throw new Violation(`A command has removed the newest moment of follower ${found.manifest.name}`);
    }
  }

  private async check(): Promise<void> {
    const { forth } = this;
    for (const group of this.kept) if (!forth.hasGroup(group)) throw new Violation('A moment that only the followers had is lost');
    for (const site of [forth.source, forth.target]) {
      const all = site.scene.pools.states.flatMap(({ volumes }) => [...volumes.values()]);
      if (all.length > SITE_VOLUMES.length) throw new Violation(`Server ${site.name} has a second volume beside an old source or follower`);
      for (const { name, replication, follower } of all) {
        const granted = replication?.handOver?.replication;
        if (granted !== undefined && !this.allowed.has(granted))
          throw new Violation(`Volume ${name} was closed, and nobody has allowed that`);
        const taken = (follower?.promoted ?? null) === null ? undefined : replication?.id;
        if (taken !== undefined && !this.allowed.has(taken))
          throw new Violation(`Volume ${name} was taken over, and nobody has allowed that`);
      }
    }
    for (const name of SITE_VOLUMES)
      if (!this.hasRestored && forth.source.canOpen(name) && this.servesBeside(name))
        throw new Violation(`Clients can open volume ${name} at both servers`);
  }

  private servesBeside(name: string): boolean {
    const theirs = this.forth.target.scene.pools.states.flatMap(({ volumes }) => [...volumes.values()]).find((one) => one.name === name);
    return theirs !== undefined && this.forth.target.canOpen(name);
  }

  /** No crash, no new wish: the replication goes on, or its word names orders that make it go on. */
  private async settle(): Promise<void> {
    await this.want(null);
    for (let tries = 0; tries < CALM_TRIES; tries++) {
      this.forth.source.fullAfter = this.forth.target.fullAfter = 0;
      await this.forth.later(MINUTE_MS);
      await this.work();
      await this.check();
    }
    const { forth, back } = this;
    if (!this.hasRestored && back.hasSource) throw new Violation('The old source does not follow the server that has taken over');
    const word = forth.state;
    if (word === 'diverged') await this.keepFollowers();
    else if (this.hasRestored && word !== 'waiting') return;
    else await forth.settle();
    await this.check();
  }

  /** The orders that the word `diverged` names: the followers are promoted, and then take the content of the source, and keep theirs. */
  private async keepFollowers(): Promise<void> {
    const { forth } = this;
    const newest = forth.newest();
    await forth.quiet();
    await accepted(forth.promotion.promote(WANTED, LOCAL_ASKER, null));
    for (const { manifest } of forth.followers())
      if (newest?.get(manifest.follower?.sourceId ?? '')?.equals(volumeContent(forth.target.scene, manifest.name)) !== true)
        throw new Violation('A promotion does not give the content that the followers had');
    await accepted(forth.demote());
    if (forth.followers().some(({ manifest }) => following(manifest) === null || closedFor(manifest) === null))
      throw new Violation('A demotion leaves a volume open');
    for (let tries = 0; tries < CALM_TRIES; tries++) {
      await forth.later(MINUTE_MS);
      await forth.work();
    }
    if (forth.state !== 'waiting') throw new Violation(`The replication does not go on after the orders: ${forth.state}`);
  }
}

/** An order that the word of a state names must be accepted. */
function accepted<T>(order: Promise<T>): Promise<T> {
  return order.catch((thrown: unknown) => {
    throw new Violation(`An order that the word diverged names is refused: ${toRsError(thrown).message}`);
  });
}
