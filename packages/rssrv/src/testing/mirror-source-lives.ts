// Random lives of two servers of which one stands for all servers of a mirror: the client of the mirror makes the moments, and each start from
// an old image begins a later term. Both servers crash. A life reports the first violation: a newest moment of the followers is lost that
// the mirror does not know, a moment is kept that the mirror knows, or the followers do not get the next moments. Invariant: the seed
// determines what happens. Rules: T4, T6.

import type { ReplicationOrder } from '@rsio/api/rssrv/replication-methods';
import { momentsIn, unknownIn } from '../pools/follower-moments.ts';
import { snapshotsOf } from '../snapshots/snapshot-rules.ts';
import { livedBy } from './replication-lives.ts';
import { MINUTE_MS, TwoSites, Violation } from './two-sites.ts';

const EVENTS_MIN = 15;
const EVENTS_MORE = 20;
const KINDS = 10;
const CALM_ROUNDS = 5;

/** Returns a violation, or null. */
export function mirrorSourceLife(seed: number): Promise<string | null> {
  return livedBy(seed, MirrorSites, (sites) => new MirrorSourceLife(sites).run());
}

class MirrorSites extends TwoSites {
  /** Term of the client that has the mirror. */
  term = 1;
  private readonly places = new Map<string, { readonly term: number; readonly number: number }>();

  override order(): ReplicationOrder {
    const order = super.order();
    const moments = order.moments.map((one) => {
      const place = this.places.get(one.group) ?? { term: this.term, number: this.places.size + 1 };
      this.places.set(one.group, place);
      return { ...one, place };
    });
    return { ...order, moments, isMirror: true };
  }
}

class MirrorSourceLife {
  private readonly sites: MirrorSites;
  /** Groups of moments that the mirror did not know when it came back. */
  private readonly kept = new Set<string>();
  private hasRestored = false;

  constructor(sites: MirrorSites) {
    this.sites = sites;
  }

  async run(): Promise<void> {
    const { sites } = this;
    await sites.open();
    for (let left = EVENTS_MIN + sites.random(EVENTS_MORE); left > 0; left--) {
      await this.event(sites.random(KINDS));
      this.check();
    }
    for (let round = 0; round < CALM_ROUNDS; round++) {
      await this.nextMoment();
      await sites.work();
      this.check();
    }
    const [newest] = sites.order().moments.slice(-1);
    if (newest === undefined || sites.newestGroup() !== newest.group) throw new Violation('The followers do not get the next moments');
    await sites.quiet();
  }

  private async event(kind: number): Promise<unknown> {
    const { sites } = this;
    if (kind < 4) return this.nextMoment();
    if (kind < 7) return sites.workThroughCrashes();
    if (kind === 7) return this.keepImage();
    if (kind === 8) return this.restore();
    return sites.work();
  }

  private async nextMoment(): Promise<void> {
    const { sites } = this;
    await sites.later(MINUTE_MS);
    await sites.moment().catch(() => undefined);
    await sites.restartCrashed();
    sites.order();
  }

  private keepImage(): void {
    this.sites.order();
    this.sites.source.keepImage();
  }

  private async restore(): Promise<void> {
    const { sites } = this;
    if (!sites.source.hasImage) return;
    await sites.quiet();
    const before = sites.newestGroup();
    await sites.source.restoreImage();
    sites.term++;
    this.hasRestored = true;
    if (before !== null && !sites.order().moments.some(({ group }) => group === before)) this.kept.add(before);
  }

  private check(): void {
    const { sites } = this;
    for (const group of this.kept) if (!sites.hasGroup(group)) throw new Violation('A moment that only the followers had is lost');
    if (this.hasRestored) return;
    for (const found of sites.followers())
      if (unknownIn(momentsIn(found.manifest.follower!, snapshotsOf(found).list)).length > 0)
        throw new Violation('A moment is kept although the mirror knows it');
  }
}
