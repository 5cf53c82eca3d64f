// The judge of two servers with replicated volumes. It compares the records and all content of both servers before and after an event.
// Invariant: an event that is no fault destroys no write that was acknowledged; a server changes its role only by an order there, or as an
// earlier order there has allowed; both servers serve a volume only after an order or a fault that may lead to that, and never as the source
// of one replication. A copied moment is a whole moment of the server that has made it. Rules: T1, T2, T4, T6 to T10.

import { closedFor, following } from '../pools/follower-rules.ts';
import type { Manifest } from '../pools/disk/manifest.ts';
import { snapshotsOf } from '../snapshots/snapshot-rules.ts';
import type { Site } from './site.ts';
import { SITE_VOLUMES, type TwoSites, Violation } from './two-sites.ts';
import { snapshotContent, volumeContent, volumeIn } from './volume-content.ts';

type Word = 'source' | 'closed' | 'follower' | 'plain';

/** What the record of a volume says. `id`: the replication, or the hand-over that was granted. */
export interface Role {
  readonly word: Word;
  readonly id: string;
  /** The hand-over that an order wants. */
  readonly wanted: string | null;
}

export function roleOf(manifest: Manifest): Role {
  const mark = following(manifest);
  if (mark !== null) return { word: 'follower', id: mark.replication, wanted: mark.wanted?.replication ?? null };
  const { replication } = manifest;
  if (replication?.handOver !== undefined) return { word: 'closed', id: replication.handOver.replication, wanted: null };
  return replication === undefined ? { word: 'plain', id: '', wanted: null } : { word: 'source', id: replication.id, wanted: null };
}

interface State {
  readonly roles: ReadonlyMap<Site, readonly (Role | null)[]>;
  readonly alive: ReadonlySet<string>;
  /** The content of each volume; null without the volume. */
  readonly contents: ReadonlyMap<Site, readonly (string | null)[]>;
}

export class SiteJudge {
  private readonly ways: readonly TwoSites[];
  private readonly sites: readonly Site[];
  /** Maps a content of a volume to the content before the write that has made it. */
  private readonly parents = new Map<string, string>();
  /** Maps a moment to the content of both volumes. */
  private readonly truth = new Map<string, readonly string[]>();
  private before: State | null = null;
  /** All hand-overs that an order has wanted. */
  private readonly wished = new Set<string>();
  /** True after an order or a fault after which both servers may serve. */
  mayServeBoth = false;

  constructor(ways: readonly TwoSites[]) {
    this.ways = ways;
    this.sites = ways.map(({ source }) => source);
    for (const way of ways) way.onWrite = (name, was, now) => void this.parents.set(keyOf(name, now), keyOf(name, was));
  }

  /** Learns which moments the servers have made. */
  learn(): void {
    for (const way of this.ways) {
      if (way.hasSource && !way.source.hasCrashed) way.order();
      for (const [group, contents] of way.model)
        if (!this.truth.has(group))
          this.truth.set(
            group,
            [...contents.values()].map((one, index) => keyOf(SITE_VOLUMES[index]!, one)),
          );
    }
  }

  /** A fault has taken content away, or the records of a server back. */
  afterFault(): void {
    this.before = this.now();
  }

  /** Throws a violation. `ordered`: the server at which an order was given; null: none. */
  check(ordered: Site | null): void {
    this.learn();
    const now = this.now();
    this.checkCopies();
    const { before } = this;
    this.before = now;
    this.learnWishes(before, now);
    this.checkServing(now);
    if (before === null) return;
    for (const version of before.alive)
      if (!now.alive.has(version)) throw new Violation(`A write to volume ${version.split(' ')[0]} is lost that a server had`);
    for (const site of this.sites) if (site !== ordered) this.checkRoles(site, before, now);
  }

  private learnWishes(before: State | null, now: State): void {
    for (const [site, roles] of now.roles) {
      const known = new Set(before?.roles.get(site)?.map((role) => role?.wanted));
      const fresh = roles.flatMap((role) => (role === null || role.wanted === null || known.has(role.wanted) ? [] : role.wanted));
      const again = fresh.find((one) => this.wished.has(one));
      if (again !== undefined) throw new Violation(`Server ${site.name} wants a hand-over with the id of an earlier one`);
      for (const one of fresh) this.wished.add(one);
    }
  }

  private checkServing({ roles }: State): void {
    const [first, second] = this.sites as [Site, Site];
    for (const [index, name] of SITE_VOLUMES.entries()) {
      const [one, other] = [roles.get(first)?.[index], roles.get(second)?.[index]];
      if (!serves(first, name) || !serves(second, name)) continue;
      if (!this.mayServeBoth) throw new Violation(`Clients can open volume ${name} at both servers`);
      if (one?.word === 'source' && other?.word === 'source' && one.id === other.id)
        throw new Violation(`Both servers are the source of volume ${name} in one replication`);
    }
  }

  private checkRoles(site: Site, before: State, now: State): void {
    const peer = this.sites.find((one) => one !== site)!;
    const wishes = new Set(before.roles.get(site)?.map((role) => role?.wanted ?? null));
    for (const [index, name] of SITE_VOLUMES.entries()) {
      const [was, is] = [before.roles.get(site)?.[index], now.roles.get(site)?.[index]];
      if (was === undefined || was === null || is === undefined || is === null || (was.word === is.word && was.id === is.id)) continue;
      const text = `Volume ${name} of server ${site.name} was ${was.word}, is ${is.word}`;
      const theirs = before.roles.get(peer)?.map((role) => role?.wanted ?? null) ?? [];
      if (!this.isAllowed(was, is, wishes, before.roles.get(site) ?? [])) throw new Violation(`${text}, and no order has allowed that`);
      if (was.word === 'closed' && is.word === 'source' && theirs.every((one) => one === was.id))
        throw new Violation(`${text}, although the other server wants to take over`);
      if (was.word === 'closed' && is.word === 'follower' && !isKept(site, name, before.contents.get(site)?.[index] ?? null))
        throw new Violation(`${text}, and does not have its last moment itself`);
    }
  }

  private isAllowed(was: Role, is: Role, wishes: ReadonlySet<string | null>, all: readonly (Role | null)[]): boolean {
    if (was.word === 'follower' && is.word === 'source')
      // A take-over that was interrupted goes on.
      return (wishes.has(is.id) && was.wanted === is.id) || all.some((one) => one?.word === 'source' && one.id === is.id);
    if (was.word === 'follower' && is.word === 'follower') return true;
    // A source may open and close again within one event.
    if (['source', 'closed'].includes(was.word) && is.word === 'closed') return this.wished.has(is.id);
    if (was.word === 'closed' && is.word === 'source') return true;
    return was.word === 'closed' && is.word === 'follower' && is.id === was.id;
  }

  private checkCopies(): void {
    for (const { scene, name: server } of this.sites) {
      const all = scene.pools.states.flatMap(({ volumes }) => [...volumes.values()]);
      if (all.length > SITE_VOLUMES.length) throw new Violation(`Server ${server} has a second volume beside an old source or follower`);
      for (const [index, name] of SITE_VOLUMES.entries()) {
        if (!has(scene, name)) continue;
        for (const one of snapshotsOf(volumeIn(scene, name)).list) {
          const wanted = one.origin === undefined ? undefined : this.truth.get(one.origin.group)?.[index];
          if (one.origin !== undefined && keyOf(name, snapshotContent(scene, name, one)) !== wanted)
            throw new Violation(`${name}@${one.name} of server ${server} is no moment of its source`);
        }
      }
    }
  }

  private now(): State {
    const roles = new Map<Site, readonly (Role | null)[]>();
    const alive = new Set<string>();
    const contents = new Map<Site, readonly (string | null)[]>();
    for (const site of this.sites) {
      const { scene } = site;
      contents.set(
        site,
        SITE_VOLUMES.map((name) => (has(scene, name) ? keyOf(name, volumeContent(scene, name)) : null)),
      );
      roles.set(
        site,
        SITE_VOLUMES.map((name) => (has(scene, name) ? roleOf(volumeIn(scene, name).manifest) : null)),
      );
      for (const name of SITE_VOLUMES) {
        if (!has(scene, name)) continue;
        const found = volumeIn(scene, name);
        for (const one of snapshotsOf(found).list) this.live(alive, keyOf(name, snapshotContent(scene, name, one)));
        // What a follower had before it followed cannot be reached any more.
        if (following(found.manifest) === null) this.live(alive, keyOf(name, volumeContent(scene, name)));
      }
    }
    return { roles, alive, contents };
  }

  /** A content keeps all those alive from which it was made. */
  private live(alive: Set<string>, version: string): void {
    for (let one: string | undefined = version; one !== undefined && !alive.has(one); one = this.parents.get(one)) alive.add(one);
  }
}

function has(scene: Site['scene'], name: string): boolean {
  return scene.pools.states.some(({ volumes }) => [...volumes.values()].some((one) => one.name === name));
}

/** Returns true if a snapshot of the volume has this content. */
function isKept({ scene }: Site, name: string, content: string | null): boolean {
  return snapshotsOf(volumeIn(scene, name)).list.some((one) => keyOf(name, snapshotContent(scene, name, one)) === content);
}

function serves(site: Site, name: string): boolean {
  return has(site.scene, name) && closedFor(volumeIn(site.scene, name).manifest) === null;
}

function keyOf(name: string, content: Buffer): string {
  return `${name} ${content.toString('base64')}`;
}
