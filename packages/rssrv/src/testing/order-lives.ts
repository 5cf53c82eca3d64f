// Random lives of two servers at which people give any order at any time: replicate, end, promote, reverse, cancel, demote. Both servers crash,
// come back from old images and have full pools, names change, and a server may use what the other one has said long ago. site-judge.ts
// judges each event. At the end, nothing fails any more, and a person prefers one of the servers: at most ORDERS_MAX orders make its content
// that of the source, with a follower, and what a demotion has kept can be taken back. Some lives have more old images, or more hand-overs
// that are interrupted. Invariant: the seed determines what happens. Rules: T1, T4, T6 to T10.

import type { ReplicationOrder } from '@rsio/api/rssrv/replication-methods';
import { toRsError } from '@rsio/base/lib/errors';
import { LOCAL_ASKER } from '../pools/asker.ts';
import { momentIdOf } from '../pools/mirror-sources.ts';
import { snapshotsOf } from '../snapshots/snapshot-rules.ts';
import { lived } from './replication-lives.ts';
import { type Role, roleOf, SiteJudge } from './site-judge.ts';
import type { Site } from './site.ts';
import { MINUTE_MS, SITE_VOLUMES, type TwoSites, Violation } from './two-sites.ts';
import { snapshotContent, volumeContent, volumeIn } from './volume-content.ts';

const WANTED = SITE_VOLUMES.map((name) => ({ name, universe: 0 }));
const EVENTS_MIN = 15;
const EVENTS_MORE = 25;
const ORDER_STEPS = 15;
const FULL_STEPS = 20;
const CALM_ROUNDS = 5;
const ORDERS_MAX = 12;

/** What an event is, with its weight. */
const EVENTS = [
  ['write', 4],
  ['work', 8],
  ['reverse', 2],
  ['cancel', 2],
  ['promote', 1],
  ['replicate', 2],
  ['end', 1],
  ['demote', 2],
  ['image', 2],
  ['restore', 1],
  ['full', 1],
  ['view', 1],
  ['use-view', 2],
  ['late', 1],
] as const;
type Event = (typeof EVENTS)[number][0];
const DECK: readonly Event[] = EVENTS.flatMap(([event, weight]) => Array.from({ length: weight }, () => event));

/** Half of the events while a volume is closed for a hand-over, which it seldom is. */
const CLOSED_DECK: readonly Event[] = [
  'promote',
  'replicate',
  'replicate',
  'cancel',
  'image',
  'image',
  'restore',
  'view',
  'use-view',
  'late',
];

/** What happens in a life, in general and while a volume is closed, and the number of steps below which a server crashes. */
interface Kind {
  readonly deck: readonly Event[];
  readonly closedDeck: readonly Event[];
  readonly crashSteps: number;
  /** True if each crash of a source that has begun to close leaves an image. */
  readonly keepsHalf: boolean;
}

const ANY: Kind = { deck: DECK, closedDeck: CLOSED_DECK, crashSteps: 40, keepsHalf: false };
const IMAGES_MORE: readonly Event[] = ['reverse', 'work', 'work', 'restore', 'restore'];
/** A life with many old images. */
const IMAGES: Kind = { ...ANY, deck: [...DECK, ...Array.from({ length: 5 }, () => IMAGES_MORE).flat()] };
/** A life of hand-overs that are interrupted when they have just begun. */
const HALVES_DECK: readonly Event[] = ['write', 'work', 'work', 'reverse', 'reverse', 'restore'];
const HALVES: Kind = { deck: HALVES_DECK, closedDeck: HALVES_DECK, crashSteps: 6, keepsHalf: true };
/** One life of these has many old images or interrupted hand-overs, in turn. */
const LIVES = 13;

/** Returns a violation, or null. */
export function orderLife(seed: number): Promise<string | null> {
  const kind = seed % LIVES > 0 ? ANY : seed % (2 * LIVES) === 0 ? IMAGES : HALVES;
  return lived(seed, (sites) => new OrderLife(sites, kind).run());
}

class OrderLife {
  /** Both directions of the replication. The server of a way is its target, at which its orders are given. */
  private readonly ways: readonly [TwoSites, TwoSites];
  private readonly judge: SiteJudge;
  private readonly random: (below: number) => number;
  private readonly kind: Kind;
  private wishes = 0;
  /** What a source has said, perhaps long ago. */
  private view: { readonly way: TwoSites; readonly order: ReplicationOrder } | null = null;
  /** Why orders were refused since the last one that was accepted. */
  private readonly refusals: string[] = [];
  /** Answers to this hand-over that the source gets late. */
  private readonly refused: string[] = [];

  constructor(sites: TwoSites, kind: Kind) {
    this.kind = kind;
    this.ways = [sites, sites.reversed()];
    for (const way of this.ways) way.isBack = true;
    this.judge = new SiteJudge(this.ways);
    this.random = sites.random;
  }

  async run(): Promise<void> {
    const { random, judge } = this;
    await this.ways[0].open();
    judge.check(null);
    for (let left = EVENTS_MIN + random(EVENTS_MORE); left > 0; left--) {
      const way = this.ways[random(2)]!;
      const deck = this.isClosed && random(2) === 0 ? this.kind.closedDeck : this.kind.deck;
      await this.event(deck[random(deck.length)]!, way);
    }
    await this.settle(random(2));
  }

  private async event(event: Event, way: TwoSites): Promise<void> {
    const { random, judge } = this;
    const site = way.target;
    if (event === 'write') this.write(way);
    else if (event === 'work') await this.work(random(2) === 0);
    else if (event === 'image') this.keepImage(site);
    else if (event === 'restore') await this.restore(site);
    else if (event === 'full') site.fullAfter = 1 + random(FULL_STEPS);
    else if (event === 'view') this.view = way.hasSource ? { way, order: way.order() } : this.view;
    else if (event === 'use-view') await this.useView();
    else if (event === 'late') await this.late(way);
    else return this.order(event, way, random(3) === 0);
    return judge.check(null);
  }

  private get isClosed(): boolean {
    return this.ways.some(({ source }) => this.rolesOf(source).some((role) => role?.word === 'closed'));
  }

  private write(way: TwoSites): void {
    if (this.rolesOf(way.source).every((role) => role !== null)) way.write();
  }

  /** Both servers copy what the other one offers. */
  private async work(crashes: boolean): Promise<void> {
    const { random, judge } = this;
    const archived = random(8) === 0 ? await this.rename(this.ways[random(2)]!.target) : null;
    for (const way of this.ways) {
      way.clock.advance(random(3) * MINUTE_MS);
      if (crashes) {
        for (const site of [way.source, way.target]) site.stepsLeft = random(3) === 0 ? 1 + random(this.kind.crashSteps) : 0;
        way.cutAfter = random(4) === 0 ? random(4) : null;
      }
      if (way.hasSource) await way.work().catch(() => undefined);
      await this.recover();
      if (archived === null) judge.check(null);
    }
    await archived?.();
  }

  /** Gives a volume another name. Returns a function that undoes that. */
  private async rename(site: Site): Promise<(() => Promise<void>) | null> {
    const [first, between] = [WANTED[0]!, { name: 'archived', universe: 0 }];
    const { scene } = site;
    // The other volume keeps its name, and stand-ins of clients find both by their names while a server is the source.
    const isSource = this.ways.some((way) => way.source === site && way.hasSource);
    const { verbs } = scene;
    site.fullAfter = 0;
    const isDone =
      !isSource &&
      (await verbs.rename(first, between, LOCAL_ASKER, null).then(
        () => true,
        () => false,
      ));
    if (!isDone) return null;
    return async () => {
      await site.scene.verbs.rename(between, first, LOCAL_ASKER, null).catch((thrown: unknown) => {
        throw new Violation(`Server ${site.name} has a second volume beside an old source or follower: ${toRsError(thrown).message}`);
      });
    };
  }

  /** Gives an order at the target of the way. `mayCrash`: it may be interrupted, and is given again. */
  private async order(event: Event, way: TwoSites, mayCrash: boolean): Promise<void> {
    const { target } = way;
    if (mayCrash) {
      target.stepsLeft = 1 + this.random(ORDER_STEPS);
      await this.give(event, way).catch(() => undefined);
      const hasCrashed = target.hasCrashed;
      await this.recover();
      this.judge.check(target);
      if (!hasCrashed) return;
    }
    await this.give(event, way).catch(() => undefined);
    await this.recover();
    this.judge.check(target);
  }

  /** Throws if the order is refused. */
  private async give(event: Event, way: TwoSites, from: string | null = null): Promise<unknown> {
    const { judge } = this;
    const back = this.ways.find((one) => one !== way)!;
    await this.quiet();
    if (event === 'reverse') return way.want(newId(++this.wishes));
    if (event === 'cancel') return this.cancel(way);
    if (event === 'demote') return way.demote();
    if (event === 'replicate') {
      await this.allow(way.target);
      return back.replicate();
    }
    if (event === 'end') {
      judge.mayServeBoth = true;
      return back.end(true);
    }
    judge.mayServeBoth = true;
    await way.promotion.promote(WANTED, LOCAL_ASKER, null, undefined, from);
    return this.allow(way.target);
  }

  private async cancel(way: TwoSites): Promise<void> {
    const known = this.rolesOf(way.target).flatMap((role) => role?.wanted ?? [])[0];
    await way.want(null);
    if (known !== undefined) this.refused.push(known);
  }

  /** A message about a hand-over that was given up arrives late, or again. */
  private async late(way: TwoSites): Promise<void> {
    const granted = this.refused[this.random(this.refused.length + 1)];
    if (granted !== undefined && way.hasSource) await way.release(granted).catch(() => undefined);
    await this.recover();
  }

  /** The volumes of the server may be opened by any client, also by the other server. */
  private async allow(site: Site): Promise<void> {
    for (const name of WANTED) await site.scene.verbs.set(name, { clients: null }, LOCAL_ASKER, null).catch(() => undefined);
  }

  private async useView(): Promise<void> {
    const { view } = this;
    if (view === null) return;
    await view.way.work(view.order).catch(() => undefined);
    await this.recover();
  }

  private keepImage(site: Site): void {
    this.judge.learn();
    site.keepImage();
  }

  /** The server comes back from its image, with its records. */
  private async restore(site: Site): Promise<void> {
    if (!site.hasImage) return;
    await this.quiet();
    this.judge.learn();
    await site.restoreImage();
    this.judge.mayServeBoth = true;
    this.judge.afterFault();
  }

  private async quiet(): Promise<void> {
    for (const way of this.ways) await way.quiet();
  }

  /** Restarts the servers that have crashed, and ends the lanes. */
  private async recover(): Promise<void> {
    await this.quiet();
    for (const { source } of this.ways) {
      if (source.hasCrashed) {
        await source.restart();
        if (this.kind.keepsHalf && isHalfClosed(source)) this.keepImage(source);
      }
      source.stepsLeft = 0;
    }
    for (const way of this.ways) way.cutAfter = null;
  }

  private rolesOf(site: Site): readonly (Role | null)[] {
    const all = site.scene.pools.states.flatMap(({ volumes }) => [...volumes.values()]);
    return SITE_VOLUMES.map((name) => {
      const found = all.find((one) => one.name === name);
      return found === undefined ? null : roleOf(found);
    });
  }

  /** Nothing fails any more. Orders that the states allow make the content of the wanted server that of the source. */
  private async settle(wanted: number): Promise<void> {
    // `forth`: from the wanted server to the other one. A server without content is not wanted.
    const isEmpty = !this.hasContent(this.ways[wanted]!.source);
    const forth = this.ways[isEmpty ? 1 - wanted : wanted]!;
    const back = this.ways[isEmpty ? wanted : 1 - wanted]!;
    forth.source.fullAfter = forth.target.fullAfter = 0;
    for (const way of this.ways) way.hasClients = false;
    const given: string[] = [];
    for (;;) {
      await this.calm();
      const well = [forth, back].find((way) => this.isWell(way));
      if (well !== undefined) return this.goBack(well);
      if (given.length >= ORDERS_MAX) break;
      this.refusals.length = 0;
      const order = await this.wayOut(forth, back);
      if (order === null) break;
      given.push(order);
      this.judge.check(order.endsWith('there') ? forth.target : forth.source);
    }
    const [here, there] = [forth.source, forth.target].map((site) =>
      this.rolesOf(site)
        .map((one) => one?.word ?? 'none')
        .join('/'),
    );
    const state = `${here} here and ${there} there (${forth.state ?? '-'}, ${back.state ?? '-'})`;
    throw new Violation(`No order ends the state ${state}; given: ${given.join(', ')}; refused: ${this.refusals.join('; ')}`);
  }

  /** T7: what a demotion has kept can be taken back. */
  private async goBack(way: TwoSites): Promise<void> {
    const { scene } = way.target;
    const from = this.kept(way.target).find((one) => one.startsWith('before-demotion-'));
    if (from === undefined) return;
    const contents = SITE_VOLUMES.map((name) => {
      const record = snapshotsOf(volumeIn(scene, name)).list.find((one) => one.name === from)!;
      return snapshotContent(scene, name, record);
    });
    if (!(await this.isGiven('promote', way, from)))
      throw new Violation(`A promotion does not take a kept snapshot: ${this.refusals.at(-1)}`);
    for (const [index, name] of SITE_VOLUMES.entries())
      if (!volumeContent(scene, name).equals(contents[index]!)) throw new Violation(`A promotion gives volume ${name} no kept content`);
  }

  private async calm(): Promise<void> {
    for (let round = 0; round < CALM_ROUNDS; round++) {
      await this.quiet();
      for (const way of this.ways) {
        way.clock.advance(MINUTE_MS);
        if (way.hasSource) await way.work().catch(() => undefined);
        await this.quiet();
        this.judge.check(null);
      }
    }
  }

  /** One server is the source, and the other one has its content as its newest moment. */
  private isWell(way: TwoSites): boolean {
    const [here, there] = [this.rolesOf(way.source), this.rolesOf(way.target)];
    const id = here[0]?.id;
    const isPaired =
      here.every((one) => one?.word === 'source' && one.id === id) && there.every((one) => one?.word === 'follower' && one.id === id);
    if (!isPaired) return false;
    const newest = way.newest();
    return SITE_VOLUMES.every((name) => {
      const { manifest } = volumeIn(way.source.scene, name);
      return newest?.get(manifest.id)?.equals(volumeContent(way.source.scene, name)) === true;
    });
  }

  /** Gives the first order that is accepted, of those that the table of docs/OPERATING.md names. Returns its name; null: none is. */
  private async wayOut(forth: TwoSites, back: TwoSites): Promise<string | null> {
    const here = this.rolesOf(forth.source).map((one) => one?.word);
    const there = this.rolesOf(forth.target).map((one) => one?.word);
    const isOneOf = (all: readonly (string | undefined)[], word: string): boolean => all.includes(word);
    const orders: (readonly [Event, TwoSites, string])[] = [];
    const add = (event: Event, way: TwoSites): void => void orders.push([event, way, `${event} ${way === forth ? 'there' : 'here'}`]);
    if (isOneOf(here, 'follower')) for (const event of ['cancel', 'promote'] as const) add(event, back);
    if (isOneOf(here, 'closed')) add('end', back);
    if (isOneOf(here, 'plain')) add('replicate', back);
    if (here.every((word) => word === 'source') && isOneOf(there, 'follower')) add('promote', forth);
    if (isOneOf(there, 'closed') && here.every((word) => word === 'source')) add('demote', forth);
    if (here.every((word) => word === 'source')) add('demote', forth);
    if (isOneOf(here, 'source')) add('end', back);
    const isAsked = (event: Event, way: TwoSites): boolean =>
      event !== 'cancel' || this.rolesOf(way.target).some((one) => one?.wanted !== null);
    for (const [event, way, text] of orders) if (isAsked(event, way) && (await this.isAccepted(event, way))) return text;
    return null;
  }

  private async isAccepted(event: Event, way: TwoSites): Promise<boolean> {
    if (await this.isGiven(event, way, null)) return true;
    if (event !== 'promote') return false;
    for (const from of this.kept(way.target)) if (await this.isGiven(event, way, from)) return true;
    return false;
  }

  private isGiven(event: Event, way: TwoSites, from: string | null): Promise<boolean> {
    return this.give(event, way, from).then(
      () => true,
      (thrown: unknown) => {
        this.refusals.push(`${event}: ${toRsError(thrown).message}`);
        return false;
      },
    );
  }

  /** A follower has content only in snapshots. */
  private hasContent(site: Site): boolean {
    const roles = this.rolesOf(site);
    return roles.some((role) => role !== null && role.word !== 'follower') || this.kept(site).length > 0;
  }

  /** Names of the snapshots that both volumes have, the newest first. */
  private kept(site: Site): readonly string[] {
    const { scene } = site;
    if (this.rolesOf(site).includes(null)) return [];
    const [first, second] = SITE_VOLUMES.map((name) => snapshotsOf(volumeIn(scene, name)).list);
    const shared = (first ?? []).filter((one) => second?.some((other) => momentIdOf(other) === momentIdOf(one)) === true);
    return shared.map(({ name }) => name).toReversed();
  }
}

/** Returns true if the server has begun to close its volumes, and has not made the last moment. */
function isHalfClosed({ scene }: Site): boolean {
  const all = scene.pools.states.flatMap(({ volumes }) => [...volumes.values()]);
  return all.some(({ replication }) => (replication?.order ?? null) !== null && replication?.handOver?.group === null);
}

function newId(number: number): string {
  return `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`;
}
