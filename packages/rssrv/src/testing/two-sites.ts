// Two servers with pools in temporary directories, one of which replicates volumes to the other. Pulls are stand-ins that read the files of
// the source: they write what differs in any order, and may be cut at any block. Clients write to the source right before and after each
// moment. After a crash, every further step on disk fails until the server is restarted. Invariant: the model has the content of each volume
// at each moment that the source has made. Rules: T1 to T6.

import fs from 'node:fs';
import type { ReplicationOrder, SourceMoment } from '@rsio/api/rssrv/replication-methods';
import { RsError } from '@rsio/base/lib/errors';
import { quietLog } from '@rsio/base/log/log';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import type { PeerConfig } from '@rsio/common/config/schema/types';
import { Asker, LOCAL_ASKER } from '../pools/asker.ts';
import { closedFor } from '../pools/follower-rules.ts';
import type { Found, VolumeName } from '../pools/catalogue.ts';
import { type Replication, replicationsIn } from '../pools/source-marks.ts';
import { momentsOf } from '../pools/source-moments.ts';
import { Demotion } from '../replication/followers/demotion.ts';
import { FollowerLane } from '../replication/followers/follower-lane.ts';
import { FollowerVerbs } from '../replication/followers/follower-verbs.ts';
import { Promotion } from '../replication/followers/promotion.ts';
import { PeerTurns } from '../replication/followers/peer-turns.ts';
import { TakeOver } from '../replication/followers/take-over.ts';
import type { Peers, PeerState, Pull, PullProgress } from '../replication/peers/peers.ts';
import { HandOver } from '../replication/sources/hand-over.ts';
import { momentView, orderOf } from '../replication/sources/source-orders.ts';
import { SourceVerbs } from '../replication/sources/source-verbs.ts';
import { poolPaths } from '../pools/disk/pool-paths.ts';
import { momentIdOf } from '../pools/mirror-sources.ts';
import type { ChunkedCopy } from '../pools/snapshots/moment.ts';
import { snapshotsOf } from '../snapshots/snapshot-rules.ts';
import { NO_HOLD } from './plain-clones.ts';
import { Site } from './site.ts';
import { blockOf, type Random, randomFrom, replaceFile, SITE_BLOCK_BYTES } from './site-blocks.ts';
import { momentContent, snapshotContent, volumeContent, volumeIn, writeVolume } from './volume-content.ts';
import { WHOLE_TURN } from './whole-turn.ts';

const SITE_BLOCKS = 4;
export const SITE_VOLUMES = ['db', 'log'];
const WANTED: readonly VolumeName[] = SITE_VOLUMES.map((name) => ({ name, universe: 0 }));
const EVERY_MS = 60_000;
const KEEP = 2;
const ORDER_MOMENTS_MAX = 10;
/** The source crashes at a step below this number while the replication begins, which takes two steps for each volume. */
const BEGIN_STEPS = 6;
/** A site crashes at a step below this number. A whole round has about 60 steps at the target. */
const CRASH_STEPS = 50;
const FINAL_TRIES = 6;
export const MINUTE_MS = 60_000;

interface CallParams {
  readonly replication?: string;
  readonly group?: string;
  readonly wanted?: string;
  readonly granted?: string;
}

/** What a replication must never do. */
export class Violation extends Error {}

export class TwoSites {
  readonly clock: FakeClock;
  readonly source: Site;
  readonly target: Site;
  /** Content of each volume at each moment, by group and id of the source. */
  readonly model = new Map<string, ReadonlyMap<string, Buffer>>();
  /** True if the followers were the source before, so that they have snapshots of their own. */
  isBack: boolean;
  /** Number of blocks after which the next pull is cut; null: it is not cut. */
  cutAfter: number | null = null;
  /** Whether another file takes the place of the file of the next pull when the pull has written everything. */
  swapsFile = false;
  /** Whether clients write to the source around each moment. */
  hasClients = true;
  readonly random: Random;
  /** Called for each write of a client, with the content of the volume before and after it. */
  onWrite: (name: string, before: Buffer, after: Buffer) => void = () => undefined;
  /** Content of the volumes when the source last took a moment. */
  private making: ReadonlyMap<string, Buffer> = new Map();
  /** Number of writes to the volumes of both servers. */
  private readonly written: { count: number };
  /** A violation within a step of the replication, which would treat an error like any other. */
  private breach: string | null = null;
  private lane: FollowerLane | null = null;
  /** The last call of the source. */
  private calling: Promise<unknown> = Promise.resolve();

  constructor(directory: string, random: Random, before: TwoSites | null = null) {
    this.clock = before?.clock ?? new FakeClock();
    this.source = before?.target ?? new Site('source', directory, this.clock);
    this.target = before?.source ?? new Site('target', directory, this.clock);
    this.source.take = (copies) => this.take(copies);
    this.isBack = before !== null;
    this.written = before?.written ?? { count: 0 };
    this.random = random;
  }

  /** Returns the same servers with exchanged roles. */
  reversed(): TwoSites {
    return new TwoSites('', this.random, this);
  }

  private get peer(): { readonly name: string; readonly pools: null } {
    return { name: this.source.name, pools: null };
  }

  private get asker(): Asker {
    return new Asker(this.target.name, { role: 'use', pools: null, limitBytes: null });
  }

  async open(): Promise<void> {
    await this.source.restart();
    await this.target.restart();
    for (const name of SITE_VOLUMES) await this.source.scene.create({ name, sizeBytes: SITE_BLOCKS * SITE_BLOCK_BYTES });
    this.source.stepsLeft = this.random(BEGIN_STEPS);
    await this.replicate().catch(() => undefined);
    await this.source.restart();
    for (const { members, memberIds } of replicationsIn(this.source.scene.pools.states))
      if (members.length < memberIds.length) throw new Violation('A replication has begun without all of its members');
    await this.replicate();
  }

  replicate(): Promise<unknown> {
    const settings = { to: this.target.name, pool: 'fast', everyMs: EVERY_MS, keep: KEEP, limitBytes: null, reversible: this.target.name };
    return this.sources.replicate({ volumes: WANTED, ...settings }, LOCAL_ASKER, null);
  }

  async close(): Promise<void> {
    await this.lane?.end();
    await this.source.close();
    await this.target.close();
  }

  /** Ends the replication of the volumes of the source. */
  end(force: boolean): Promise<unknown> {
    return this.sources.end(WANTED, LOCAL_ASKER, null, force);
  }

  /** Makes the volumes of the target followers of what the source offers now. */
  demote(): Promise<string> {
    const { verbs, snapshots } = this.target.scene;
    const differences = { difference: () => Promise.reject(new Error('A demotion counts nothing')) };
    const ordersOf = (): readonly ReplicationOrder[] => (this.hasSource ? [this.order()] : []);
    return new Demotion({ verbs, snapshots, differences, ordersOf }).demote(WANTED, this.source.name, LOCAL_ASKER);
  }

  /**
   * Lets the replication work until it waits or a step has failed. `order`: what the source has said, perhaps long ago. Returns the error, or
   * null.
   */
  async work(order = this.order()): Promise<string | null> {
    const lane = (this.lane ??= this.newLane(order));
    lane.update(this.peer, order, this.clock.wallMs(), lane.revision);
    await lane.look();
    return lane.state === 'failing' ? lane.text : null;
  }

  /** Lets the replication work while both servers may crash, and the pull may be cut. */
  async workThroughCrashes(): Promise<void> {
    const { source, target, random } = this;
    source.stepsLeft = random(3) === 0 ? 1 + random(CRASH_STEPS) : 0;
    target.stepsLeft = random(2) === 0 ? 1 + random(CRASH_STEPS) : 0;
    this.cutAfter = random(3) === 0 ? random(4) : null;
    this.swapsFile = random(10) === 0;
    await this.work();
    [this.cutAfter, this.swapsFile] = [null, false];
    await this.restartCrashed();
  }

  async restartCrashed(): Promise<void> {
    if (this.source.hasCrashed) await this.source.restart();
    if (this.target.hasCrashed) await this.restartTarget();
    [this.source.stepsLeft, this.target.stepsLeft] = [0, 0];
  }

  /** Nothing fails any more: the followers get a moment that is newer than all writes. */
  async settle(): Promise<void> {
    let error: string | null = '';
    this.hasClients = false;
    for (let tries = 0; tries < FINAL_TRIES && (tries < 3 || error !== null); tries++) {
      await this.later(MINUTE_MS);
      error = await this.work();
    }
    if (error !== null) throw new Violation(`The replication does not go on: ${error}`);
    this.checkMoments();
    for (const [id, content] of this.contents())
      if (this.newest()?.get(id)?.equals(content) !== true) throw new Violation(`The follower of volume ${id} lacks the last writes`);
  }

  /** An order at the target: it wants to become the source; null: it wants that no more. */
  async want(replication: string | null): Promise<void> {
    const wish = replication === null ? null : { replication, node: this.source.name, reversible: true };
    const [first] = this.followers();
    if (first?.manifest.follower === undefined) throw new Error('There is no follower yet');
    await new FollowerVerbs(this.target.scene.verbs).want(first.manifest.follower.replication, wish);
  }

  /** What the servers show of the replication in this direction. */
  get state(): string | null {
    return this.lane?.state ?? null;
  }

  /** True while no volume of the source is closed. */
  get isQuiet(): boolean {
    return this.hasSource && this.replication.members.every(({ manifest }) => closedFor(manifest) === null);
  }

  /** Group of the newest moment that all followers have; null if there is none. */
  newestGroup(): string | null {
    return this.commonGroups().at(-1) ?? null;
  }

  /** True if a server has the moment for all volumes, with its content. */
  hasGroup(group: string): boolean {
    return [this.source, this.target].some(({ scene }) =>
      SITE_VOLUMES.every((name) => {
        const wanted = [...(this.model.get(group)?.values() ?? [])];
        return snapshotsOf(volumeIn(scene, name)).list.some(
          (one) => momentIdOf(one) === group && wanted.some((content) => snapshotContent(scene, name, one).equals(content)),
        );
      }),
    );
  }

  /** True if the source has the order of a replication, so that the target can poll it. */
  get hasSource(): boolean {
    return replicationsIn(this.source.scene.pools.states).length > 0;
  }

  /** Tells the source that this hand-over is not wanted. */
  async release(granted: string): Promise<object> {
    await this.handOvers.release(this.replication.id, granted, this.asker);
    return {};
  }

  /** Closes the source for a hand-over, and makes the last moment. */
  private async grant(wanted: string): Promise<{ readonly node: string }> {
    const {
      handOvers,
      asker,
      replication: { id },
    } = this;
    await handOvers.close(id, wanted, asker);
    if (handOvers.lastOf(id, asker) !== null) return { node: this.source.name };
    const { moment } = await this.moment();
    await handOvers.last(id, wanted, moment.group, asker);
    return { node: this.source.name };
  }

  private get handOvers(): HandOver {
    const { source, target } = this;
    const peers = (): readonly PeerConfig[] => [{ name: target.name, nodename: source.name } as PeerConfig];
    const peerState = (name: string): PeerState => ({ name, isConnected: true, pathsUp: 1, sinceMs: 0, trouble: null });
    return new HandOver({ verbs: source.scene.verbs, peers, peerState });
  }

  /** Lets time pass. The replication may work meanwhile. */
  async later(ms: number): Promise<void> {
    this.clock.advance(ms);
    await this.lane?.look();
  }

  async restartTarget(): Promise<void> {
    await this.lane?.end();
    this.lane = null;
    await this.target.restart();
  }

  private get takeOver(): TakeOver {
    const { verbs } = this.target.scene;
    return new TakeOver(verbs, new FollowerVerbs(verbs), this.promotion);
  }

  get promotion(): Promotion {
    const { verbs, snapshots } = this.target.scene;
    return new Promotion(verbs, snapshots);
  }

  /** Ends what changes the followers, and waits for the source, which the end of the replication does not. */
  async quiet(): Promise<void> {
    await this.lane?.end();
    this.lane = null;
    await this.calling;
  }

  /** A client of the source writes a block of one of its volumes, if it can open the volume. */
  write(): void {
    const { scene } = this.source;
    const name = SITE_VOLUMES[this.random(SITE_VOLUMES.length)]!;
    const content = volumeContent(scene, name);
    const from = this.random(content.length / SITE_BLOCK_BYTES) * SITE_BLOCK_BYTES;
    if (!this.source.canOpen(name)) return;
    const before = Buffer.from(content);
    const stamp = ++this.written.count;
    content.fill(Buffer.from([stamp >> 8, stamp % 256]), from, from + SITE_BLOCK_BYTES);
    writeVolume(scene, name, content);
    this.onWrite(name, before, content);
  }

  /** Executes a request of the target long after the target has given it up: for a moment, or for the confirmation of one. */
  async late(): Promise<void> {
    await this.quiet();
    const groups = this.commonGroups();
    const group = groups[this.random(groups.length + 1)];
    const method = group === undefined ? 'replication-moment' : 'replication-confirm';
    // The source refuses moments that are not due, and confirmations of moments that it has removed or that are older than the last one.
    await this.call(method, group === undefined ? {} : { group }).catch(() => undefined);
  }

  /** Exchanges the names of the volumes of the source. */
  async exchangeNames(): Promise<void> {
    const [first, second] = SITE_VOLUMES.map((name) => ({ name, universe: 0 })) as [VolumeName, VolumeName];
    // A follower that does not exist yet will have the name that its source has then.
    if (this.followers().length === 1) return;
    // A pool that is full for a moment must not leave a volume with a name that the life does not know.
    this.source.fullAfter = 0;
    const between = { name: 'between', universe: 0 };
    const moves = [
      [first, between],
      [second, first],
      [between, second],
    ] as const;
    for (const [from, to] of moves) await this.source.scene.verbs.rename(from, to, LOCAL_ASKER, null);
  }

  /** Puts other files in the place of `incoming`, as a backup does that is restored file by file. */
  replaceIncoming(): void {
    for (const { pool, manifest } of this.followers()) {
      const file = poolPaths.incoming(poolPaths.volume(pool.path, manifest.id));
      if (fs.existsSync(file)) replaceFile(file);
    }
  }

  /** Throws a violation if the source lacks the moment that was confirmed last, or if it has changed. Returns the time of that moment. */
  checkSource(): number {
    const { scene } = this.source;
    const { order, members } = this.replication;
    if (order.confirmed === null) return 0;
    const { group, momentMs } = order.confirmed;
    for (const { pool, manifest } of members) {
      const record = snapshotsOf({ pool, manifest }).list.find((one) => one.group.id === group);
      const wanted = this.model.get(group)?.get(manifest.id);
      if (record === undefined || wanted?.equals(snapshotContent(scene, manifest.name, record)) !== true)
        throw new Violation(`The source lacks its volume ${manifest.name} at the moment that was confirmed`);
    }
    return momentMs;
  }

  /** Throws a violation if a snapshot of a follower differs from the moment of the source that it names. */
  checkMoments(): void {
    if (this.breach !== null) throw new Violation(this.breach);
    for (const { pool, manifest } of this.followers())
      for (const one of snapshotsOf({ pool, manifest }).list) {
        if (this.isBack && one.origin === undefined) continue;
        const wanted = this.model.get(one.origin?.group ?? '')?.get(manifest.follower?.sourceId ?? '');
        if (wanted === undefined || !snapshotContent(this.target.scene, manifest.name, one).equals(wanted))
          throw new Violation(`${manifest.name}@${one.name} is no moment of the source`);
      }
  }

  /** Content of the volumes at the newest moment that all followers have; undefined if they have none. */
  newest(): ReadonlyMap<string, Buffer> | undefined {
    return this.model.get(this.commonGroups().at(-1) ?? '');
  }

  /** Time of that moment; 0 if there is none. */
  newestCommonMs(): number {
    const group = this.commonGroups().at(-1);
    const [first] = this.followers();
    if (group === undefined || first === undefined) return 0;
    return snapshotsOf(first).list.find(({ origin }) => origin?.group === group)?.createdMs ?? 0;
  }

  /** Groups of the moments that all followers have, the oldest first. This does not share code with the product. */
  private commonGroups(): readonly string[] {
    const groups = this.followers().map((found) => snapshotsOf(found).list.flatMap(({ origin }) => origin?.group ?? []));
    return groups.length < SITE_VOLUMES.length ? [] : (groups[0] ?? []).filter((group) => groups.every((all) => all.includes(group)));
  }

  /** Returns true if the moment was made by the followers, when they were the source. */
  private isOwn(group: string): boolean {
    const own = this.followers().map((found) => snapshotsOf(found).list.filter(({ origin }) => origin === undefined));
    return this.isBack && own.every((list) => list.some((one) => one.group.id === group));
  }

  /** The followers, promoted ones included. */
  followers(): readonly Found[] {
    return this.target.scene.pools.states.flatMap((pool) =>
      [...pool.volumes.values()].flatMap((manifest) => (manifest.follower === undefined ? [] : { pool, manifest })),
    );
  }

  private newLane(order: ReplicationOrder): FollowerLane {
    const peers: Pick<Peers, 'call' | 'pull' | 'closeLeft'> = {
      closeLeft: () => Promise.resolve(),
      call: (_peer, method, params) => {
        const called = this.call(method, params as CallParams);
        this.calling = called.catch(() => undefined);
        return called;
      },
      pull: (_peer, pull, progress, cancel) => this.pull(pull, progress, cancel),
    };
    const { verbs, snapshots } = this.target.scene;
    const ports = { clock: this.clock, log: quietLog, peers, verbs: new FollowerVerbs(verbs), snapshots };
    return new FollowerLane(
      {
        ...ports,
        pullTurns: new PeerTurns(1),
        callTurns: new PeerTurns(1),
        isRead: () => false,
        takeOver: (order, handOver) => this.takeOver.run(order, handOver),
        change: (work) => work(),
      },
      this.peer,
      order,
    );
  }

  private async call(method: string, { replication, group = '', wanted = '', granted = '' }: CallParams): Promise<unknown> {
    if ((replication ?? this.replication.id) !== this.replication.id) throw new RsError('E_UNKNOWN_VOLUME', 'There is no such replication');
    if (method === 'replication-moment') return this.moment();
    if (method === 'replication-grant') return this.grant(wanted);
    if (method === 'replication-release') return this.release(granted);
    if (!this.commonGroups().includes(group) && !this.isOwn(group)) this.breach ??= 'A moment is confirmed that a follower lacks';
    return { removed: await this.sources.confirm(this.replication.id, group, this.asker) };
  }

  /** The source makes the next moment. */
  async moment(): Promise<{ readonly moment: SourceMoment; readonly nowMs: number }> {
    const { sources, asker } = this;
    this.clock.advance(1_000);
    if (this.hasClients) this.write();
    const next = sources.next(this.replication.id, asker, null);
    const snapshot = next.made === null ? (next.wanted[0]?.snapshot ?? '') : '';
    const moment = momentView(await sources.moment(this.replication.id, snapshot, asker, null, WHOLE_TURN));
    this.learn();
    return { moment, nowMs: this.clock.wallMs() };
  }

  /** Takes a moment of the source. Clients write at once afterwards. */
  private async take(copies: readonly ChunkedCopy[]): Promise<void> {
    this.learn();
    this.making = this.contents();
    await NO_HOLD.take(copies);
    if (this.hasClients) this.write();
  }

  /** Content of the volumes of the source now, by id. */
  contents(): ReadonlyMap<string, Buffer> {
    const { scene } = this.source;
    return new Map(SITE_VOLUMES.map((name) => [volumeIn(scene, name).manifest.id, volumeContent(scene, name)]));
  }

  private get sources(): SourceVerbs {
    const { verbs, snapshots } = this.source.scene;
    return new SourceVerbs({
      verbs,
      snapshots,
      log: { warn: () => undefined },
      isClient: () => true,
      opened: (members) => this.handOvers.cancel(members),
    });
  }

  private get replication(): Replication {
    const [first] = replicationsIn(this.source.scene.pools.states);
    if (first === undefined) throw new RsError('E_POOL', 'The pool of the source is not open');
    return first;
  }

  order(): ReplicationOrder {
    // A moment may exist although the source has crashed while it made it.
    this.learn();
    return orderOf(this.replication, () => true, ORDER_MOMENTS_MAX);
  }

  private learn(): void {
    for (const { group } of momentsOf(this.replication)) if (!this.model.has(group)) this.model.set(group, this.making);
  }

  /** Writes the blocks that differ, in any order; everything before the reported position is written. */
  private async pull(pull: Pull, progress: (progress: PullProgress) => void, cancel: AbortSignal): Promise<void> {
    const wanted = momentContent(this.source.scene, SITE_VOLUMES, pull.snapshot.id);
    const began = pull.isCompared ? fs.readFileSync(pull.file) : Buffer.alloc(wanted.length);
    const base = pull.since === null ? began : momentContent(this.source.scene, SITE_VOLUMES, pull.since);
    const blocks = Array.from({ length: pull.sizeBytes / SITE_BLOCK_BYTES }, (_, index) => index);
    const differ = blocks.filter(
      (index) => index * SITE_BLOCK_BYTES >= pull.fromBytes && !blockOf(base, index).equals(blockOf(wanted, index)),
    );
    const left = new Set(differ);
    // A pull that is stopped by the failure of a note ends after any number of blocks, which must not change the rest of the life.
    const random = randomFrom(this.random(1 << 30));
    const file = fs.openSync(pull.file, 'r+');
    try {
      for (let done = 0; left.size > 0; done++) {
        if (cancel.aborted || done === this.cutAfter) throw new RsError('E_UNREACHABLE', 'Server source has no path');
        const index = [...left][random(left.size)]!;
        fs.writeSync(file, blockOf(wanted, index), 0, SITE_BLOCK_BYTES, index * SITE_BLOCK_BYTES);
        left.delete(index);
        const positionBytes = (left.size === 0 ? blocks.length : Math.min(...left)) * SITE_BLOCK_BYTES;
        progress({ positionBytes, doneBytes: done, totalBytes: differ.length });
        await new Promise((resolve) => setImmediate(resolve));
      }
      if (this.swapsFile) replaceFile(pull.file);
    } finally {
      fs.closeSync(file);
      [this.cutAfter, this.swapsFile] = [null, false];
    }
  }
}
