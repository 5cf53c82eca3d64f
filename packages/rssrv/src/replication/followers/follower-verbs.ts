// Changes followers on disk: makes them, begins and commits their moments. The caller makes one change at a time, except for `incoming`.
// Invariants: a moment exists once the description of its snapshot is committed, which happens only when its content has arrived whole and
// durably. An order is bound to the ids that it names; a follower that was promoted meanwhile is not changed. A volume that was the source
// becomes the follower, and never gets a second one beside it. Rules: T2, T3, T8, T9.

import type { ReplicationOrder, SourceMoment } from '@rsio/api/rssrv/replication-methods';
import { RsError } from '@rsio/base/lib/errors';
import { Asker } from '../../pools/asker.ts';
import { checkName, decideCreate, type Found, type PoolState, unusable, usableBytes, volumeText } from '../../pools/catalogue.ts';
import type { Manifest, WishMark } from '../../pools/disk/manifest.ts';
import { poolPaths } from '../../pools/disk/pool-paths.ts';
import { momentsIn } from '../../pools/follower-moments.ts';
import { checkOneFile, following } from '../../pools/follower-rules.ts';
import { momentIdOf } from '../../pools/mirror-sources.ts';
import { type Incoming, IncomingFiles } from '../../pools/moves/incoming-files.ts';
import type { PoolVerbs } from '../../pools/pool-verbs.ts';
import { withPending, withSnapshot } from '../../pools/repair/snapshot-repair.ts';
import { checkAllKnown } from '../../pools/source-marks.ts';
import { SnapshotFiles } from '../../pools/snapshots/snapshot-files.ts';
import type { SnapshotRecord } from '../../pools/snapshots/snapshot-record.ts';
import { checkRoom, snapshotsOf, timesOf } from '../../snapshots/snapshot-rules.ts';
import { FOLLOWER_STEP_MS } from '../limits.ts';
import { type CommonBase, commonBase, type OldSource } from './follower-plan.ts';

export type OrderMember = ReplicationOrder['members'][number];
export type SourceSnapshot = SourceMoment['snapshots'][number];

/** The peer whose order is carried out. `pools`: pools in which it may have followers; null for all. */
export interface OrderingPeer {
  readonly name: string;
  readonly pools: readonly string[] | null;
}

export class FollowerVerbs {
  private readonly verbs: PoolVerbs;

  constructor(verbs: PoolVerbs) {
    this.verbs = verbs;
  }

  /** Returns the followers of a replication, promoted ones included. */
  of(replication: string): readonly Found[] {
    return this.verbs.pools.states.flatMap((pool) =>
      [...pool.volumes.values()].flatMap((manifest) => (manifest.follower?.replication === replication ? { pool, manifest } : [])),
    );
  }

  /**
   * Makes the follower of a volume of the source. Throws like the creation of a volume, and E_POOL while a pool that may have the follower
   * is not open.
   */
  async create(order: ReplicationOrder, member: OrderMember, peer: OrderingPeer): Promise<void> {
    const { verbs } = this;
    await verbs.pools.measure();
    const { catalogue } = verbs;
    if (await this.goOn(order, member, peer.name)) return;
    const pool = poolFor(catalogue.pools, order, peer);
    const { name, universe, sizeBytes } = member;
    const begun = this.of(order.replication).filter(({ manifest }) => manifest.follower?.after !== undefined);
    checkNotOld(this.oldSources(order, peer.name), begun, peer.name);
    checkNotBegun(catalogue.pools, member, begun, peer.name);
    const remedy = `the follower needs its name, and rsadm volume rename ${volumeText(member)} NEW gives the volume another one`;
    checkName(catalogue, member, null, remedy);
    const blockSizeBytes = member.blockSizeBytes === 4096 ? 4096 : 512;
    const flags = { thick: false, readonly: false, shared: false, takeOver: null, takeOverForce: false };
    // No client may read the content before an administrator has said which clients may.
    const request = { name, universe, sizeBytes, blockSizeBytes, pool, clients: [], ...flags } as const;
    const asker = new Asker(null, { role: 'manage', pools: peer.pools, limitBytes: null });
    const planned = decideCreate(catalogue, request, asker, verbs.stamp(null));
    if (planned.pool.hasReflink === false)
      throw new RsError(
        'E_NO_REFLINK',
        `Pool ${planned.pool.name} cannot have followers, because its file system has no reflink: use XFS or btrfs`,
      );
    const source = { sourceId: member.id, sourceName: name, sourceUniverse: universe };
    const members = order.members.map(({ id }) => id);
    const follower = { replication: order.replication, peer: peer.name, ...source, members, promoted: null };
    const created = await verbs.onDisk(planned.pool, FOLLOWER_STEP_MS, (files) => files.create({ ...planned.manifest, follower }, []));
    verbs.pools.put(planned.pool.name, created);
    verbs.pools.created.add(created.id);
    try {
      await verbs.serve(planned.pool, null, created);
    } finally {
      verbs.pools.created.delete(created.id);
    }
  }

  /**
   * Returns the volumes of this server that the order would make followers of their own content: those that were closed for this change of
   * roles, those that have a moment of a volume of the order, and those from which such a volume was promoted, or that were promoted from it,
   * whatever their names are.
   */
  oldSources(order: ReplicationOrder, peer: string): readonly OldSource[] {
    const all = this.verbs.pools.states.flatMap((pool) => [...pool.volumes.values()].map((manifest): Found => ({ pool, manifest })));
    const candidates = all.filter(({ manifest }) => following(manifest) === null && manifest.follower?.replication !== order.replication);
    const closed = closedFor(candidates, order, peer);
    const group = closed.flatMap(({ manifest }) => manifest.replication?.handOver?.group ?? [])[0];
    const bases = candidates.map((found) => ({ found, bases: order.members.map(({ id }) => baseOf(found, order, id)) }));
    // A volume that has come back from an old backup, or whose source has, may have no moment in common. It is known by its mark if nothing
    // else is: no closed volume, no moment of another volume of the order, and no follower that goes on.
    const unknown = bases.filter((one) => one.bases.every((base) => base === null)).map(({ found }) => found);
    const paired = order.members.flatMap(({ id: sourceId, was }, index): readonly OldSource[] => {
      if (all.some(({ manifest }) => manifest.follower?.replication === order.replication && manifest.follower.sourceId === sourceId))
        return [];
      const known = bases.find((one) => one.bases[index] !== null);
      const base = known?.bases[index] ?? null;
      const old = known?.found ?? candidates.find(({ manifest }) => manifest.id === was);
      const isMarked = closed.length === 0 && this.earlier(order, sourceId, peer).length === 0;
      const promoted = isMarked ? unknown.find(({ manifest }) => manifest.follower?.sourceId === sourceId) : undefined;
      const found = old ?? promoted;
      if (found === undefined) return [];
      const { name, universe, replication } = found.manifest;
      const granted = replication?.handOver?.replication ?? null;
      const hasLast = group !== undefined && base !== null && momentIdOf(base) === group;
      return [{ sourceId, name, universe, granted, hasLast, wasPromoted: old === undefined }];
    });
    // What was closed for this change of roles is never passed by, although the other server hides its moments.
    return paired.length > 0
      ? paired
      : closed.map(({ manifest: { name, universe } }) => ({
          sourceId: '',
          name,
          universe,
          granted: order.replication,
          hasLast: false,
          wasPromoted: false,
        }));
  }

  /**
   * T9: makes the closed volumes of this server followers of those that have taken over. The home, whose manifest has the order, changes
   * last, so that an interrupted change goes on. Throws E_BUSY unless this server has granted just this, and has its last moment itself.
   */
  async followHanded(order: ReplicationOrder, peer: string): Promise<void> {
    const all = this.verbs.pools.states.flatMap((pool) => [...pool.volumes.values()].map((manifest): Found => ({ pool, manifest })));
    const closed = closedFor(all, order, peer);
    const handOver = closed.flatMap(({ manifest }) => manifest.replication?.handOver ?? []).find(({ group }) => group !== null);
    const members = order.members.map(({ id }) => id);
    const left = order.members.filter(({ id }) => !this.of(order.replication).some(({ manifest }) => manifest.follower?.sourceId === id));
    const pairs = left.map((member) => {
      const found = closed.find((one) => handOver !== undefined && isLast(one, order, member.id, handOver.group));
      if (found !== undefined && handOver !== undefined) return { found, member, handOver };
      throw new RsError('E_BUSY', `Volume ${volumeText(member)} has no closed source here that has the last moment`);
    });
    const isHome = ({ found }: (typeof pairs)[number]): boolean => (found.manifest.replication?.order ?? null) !== null;
    for (const { found, member, handOver } of [...pairs.filter((one) => !isHome(one)), ...pairs.filter(isHome)]) {
      const { replication: _order, ...own } = found.manifest;
      const source = { sourceId: member.id, sourceName: member.name, sourceUniverse: member.universe };
      const begun = { ...(handOver.group === null ? {} : { base: handOver.group }), after: newestPlace(found) };
      const manifest: Manifest = {
        ...own,
        follower: { replication: order.replication, peer, ...source, members, ...begun, promoted: null },
      };
      await this.verbs.whileUnserved(found, () => this.replace(found, manifest));
    }
  }

  /** Returns the followers of this volume of the peer under an earlier replication, which the peer has ended. */
  private earlier(order: ReplicationOrder, sourceId: string, peer: string): readonly Found[] {
    return this.verbs.pools.states.flatMap((pool) =>
      [...pool.volumes.values()].flatMap((manifest) => {
        const mark = following(manifest);
        return mark !== null && mark.sourceId === sourceId && mark.peer === peer && mark.replication !== order.replication
          ? { pool, manifest }
          : [];
      }),
    );
  }

  /**
   * T8: lets the follower of an ended replication go on with the new replication of the same volume, with its newest moment as its base.
   * Returns false if there is none.
   */
  private async goOn(order: ReplicationOrder, { id: sourceId }: OrderMember, peer: string): Promise<boolean> {
    const [found] = this.earlier(order, sourceId, peer);
    if (found?.manifest.follower === undefined) return false;
    const { base: _base, after: _after, wanted: _wanted, ...mark } = found.manifest.follower;
    const newest = momentsIn(found.manifest.follower, snapshotsOf(found).list).at(-1);
    const begun = newest === undefined ? {} : { base: momentIdOf(newest), after: newestPlace(found) };
    const follower = { ...mark, ...begun, replication: order.replication, members: order.members.map(({ id }) => id) };
    await this.replace(found, { ...found.manifest, follower });
    return true;
  }

  /**
   * Records at all followers what an order at this server wants; null: nothing any more. Throws E_USAGE once one of them is promoted: a
   * take-over that has begun goes on with the hand-over with which it began.
   */
  async want(replication: string, wanted: WishMark | null): Promise<void> {
    const promoted = this.of(replication).find(({ manifest }) => following(manifest) === null);
    if (promoted !== undefined)
      throw new RsError('E_USAGE', `Volume ${volumeText(promoted.manifest)} is the source already: volume replications shows both servers`);
    for (const { pool, manifest: was } of this.of(replication)) {
      if (following(was) === null || was.follower === undefined) continue;
      const { wanted: _before, ...follower } = was.follower;
      await this.replace({ pool, manifest: was }, { ...was, follower: wanted === null ? follower : { ...follower, wanted } });
    }
  }

  private async replace({ pool }: Found, manifest: Manifest): Promise<void> {
    await this.verbs.onDisk(pool, FOLLOWER_STEP_MS, (files) => files.replaceManifest(manifest));
    this.verbs.pools.put(pool.name, manifest);
  }

  /** Notes that the source of the follower is at this peer now. */
  async adopt(volumeId: string, peer: string): Promise<void> {
    const { verbs } = this;
    const { pool, manifest: was } = this.find(volumeId);
    if (was.follower === undefined) return;
    const manifest: Manifest = { ...was, follower: { ...was.follower, peer } };
    await verbs.onDisk(pool, FOLLOWER_STEP_MS, (files) => files.replaceManifest(manifest));
    verbs.pools.put(pool.name, manifest);
    await verbs.serve(pool, was, manifest);
  }

  /** Makes `incoming` ready for this snapshot, and returns what it has. Continues what an earlier run has left, if it fits. */
  async prepare(
    volumeId: string,
    { id, sizeBytes }: SourceSnapshot,
    base: CommonBase | null,
  ): Promise<{ readonly file: string; readonly state: Incoming }> {
    const found = this.find(volumeId);
    const { pool } = found;
    // An earlier release has made followers of volumes of several files. Their first file is no base.
    checkOneFile(found.manifest, 'get moments');
    const since = base?.since ?? null;
    const state = await this.onDisk(pool, volumeId, async (incoming) => {
      const known = await incoming.read();
      const isFit = known !== null && known.snapshot === id && known.base === since && known.sizeBytes === sizeBytes;
      const isWhole = known?.positionBytes === sizeBytes;
      if (isFit && (known.isCompared !== true || isWhole)) return known;
      if (base !== null) return incoming.begin(base.own, { snapshot: id, base: since, sizeBytes });
      // Whatever has arrived, was carried here, or is an older moment may have much in common with the snapshot.
      if (known !== null) return incoming.again(known, { snapshot: id, sizeBytes, positionBytes: isFit ? known.positionBytes : 0 });
      const own = snapshotsOf(found).list.at(-1)?.name ?? null;
      return incoming.begin(own, { snapshot: id, base: null, sizeBytes, isCompared: own !== null });
    });
    return { file: poolPaths.incoming(poolPaths.volume(pool.path, volumeId)), state };
  }

  /**
   * Gives a follower without a moment the content of another volume of its pool, so that its first moment copies only what differs. Throws
   * E_USAGE if the follower or the volume does not fit, and E_HELD if a client has the volume.
   */
  async seed(found: Found, from: Found): Promise<void> {
    this.checkSeed(found, from);
    const { pool, manifest } = found;
    await this.onDisk(pool, manifest.id, (incoming) => incoming.seed(from.manifest, manifest.sizeBytes));
  }

  /** Throws the refusals of `seed`. */
  checkSeed({ pool, manifest }: Found, from: Found): void {
    const [text, other] = [volumeText(manifest), volumeText(from.manifest)];
    const refuse = (why: string): RsError => new RsError('E_USAGE', `${text} cannot begin with the content of ${other}: ${why}`);
    if (following(manifest) === null) throw refuse(`${text} follows no volume; volume replications shows the followers`);
    if (from.manifest.id === manifest.id || following(from.manifest) !== null)
      throw refuse(`${other} is a follower itself: name the volume with what was carried`);
    if (snapshotsOf({ pool, manifest }).list.length > 0)
      throw refuse(`${text} has a moment of its source already, and copies only what differs`);
    if (from.pool.name !== pool.name)
      throw refuse(`it is in pool ${from.pool.name}, and ${text} in pool ${pool.name}: rsadm volume move ${other} --pool ${pool.name}`);
    if (from.manifest.layout.kind !== 'simple')
      throw refuse(`it has several files: rsadm volume copy ${other} NEW --pool ${pool.name} makes one with one file`);
    this.verbs.checkUnheld(from);
  }

  /**
   * Records how much of `incoming` is durable. Throws E_SPACE if the pool is nearly full, because writes of clients to a full pool would
   * wait.
   */
  async arrived(volumeId: string, state: Incoming, leftBytes: number): Promise<void> {
    await this.onDisk(this.find(volumeId).pool, volumeId, (incoming) => incoming.note(state));
    // A fast pull fills a small pool before the server looks at its space again by itself.
    await this.verbs.pools.measure();
    const { pool, manifest } = this.find(volumeId);
    if (usableBytes(pool) < Math.min(leftBytes, ROOM_BYTES))
      throw new RsError('E_SPACE', `The next moment of ${volumeText(manifest)} would fill pool ${pool.name}: make room there`, {
        pool: pool.name,
      });
  }

  /**
   * Makes `incoming`, which has the whole snapshot, a snapshot of the follower. `unknown`: group of the newest moment that the follower has, if
   * its mirror does not know that one.
   */
  async commit(volumeId: string, { group, momentMs, place }: SourceMoment, from: SourceSnapshot, unknown: string | null): Promise<void> {
    const { verbs } = this;
    const found = await this.grown(this.find(volumeId), from.sizeBytes);
    const { pool, manifest } = found;
    const { list, pending } = snapshotsOf(found);
    checkRoom(manifest, list);
    const record: SnapshotRecord = {
      id: verbs.stamp(null).newId(),
      name: freeName([...list, ...pending], from.snapshot),
      volumeId: manifest.id,
      sizeBytes: from.sizeBytes,
      blockSizeBytes: manifest.blockSizeBytes,
      ...timesOf(Math.max(Math.min(momentMs, verbs.stamp(null).nowMs), (list.at(-1)?.createdMs ?? -1) + 1), momentMs),
      creator: null,
      group: { id: group, poolId: pool.identity?.id ?? '', volumeId },
      rollback: null,
      ...(manifest.follower === undefined ? {} : { replication: manifest.follower.replication }),
      origin: { snapshot: from.id, group, ...(place === null ? {} : { place }), ...(unknown === null ? {} : { unknown }) },
      request: null,
    };
    const note = (change: typeof withPending): void => verbs.pools.putSnapshots(pool.name, volumeId, (all) => change(all, record));
    const folder = poolPaths.volume(pool.path, volumeId);
    note(withPending);
    try {
      await verbs.onDisk(pool, FOLLOWER_STEP_MS, async (files) => {
        const incoming = await new IncomingFiles(files, volumeId).read();
        if (incoming?.snapshot !== from.id || incoming.positionBytes !== incoming.sizeBytes || incoming.sizeBytes !== from.sizeBytes)
          throw new RsError('E_BUSY', `The next moment of volume ${volumeText(manifest)} has not arrived whole: it is copied again`);
        const snapshots = new SnapshotFiles(files);
        await snapshots.prepareFrom(record, poolPaths.incoming(folder));
        await snapshots.commit(record.name, folder);
      });
      note(withSnapshot);
    } finally {
      await verbs.pools.settleParts();
    }
    await this.onDisk(pool, volumeId, (incoming) => incoming.discard());
  }

  /**
   * Gives a follower the size of its source, so that the pool promises enough. Neither `limit` nor `overcommit` of the pool keeps it from
   * this: a replication that stops loses more than a pool that promises too much.
   */
  private async grown({ pool, manifest: was }: Found, sizeBytes: number): Promise<Found> {
    if (sizeBytes <= was.sizeBytes) return { pool, manifest: was };
    const { verbs } = this;
    const manifest: Manifest = { ...was, sizeBytes };
    await verbs.onDisk(pool, FOLLOWER_STEP_MS, async (files) => {
      await files.extend(was.id, was.sizeBytes, sizeBytes, false);
      await files.replaceManifest(manifest);
    });
    verbs.pools.put(pool.name, manifest);
    await verbs.serve(pool, was, manifest);
    return { pool, manifest };
  }

  /** Returns the follower. Throws E_BUSY if its pool is away, or if it does not follow any more. */
  find(volumeId: string): Found {
    for (const pool of this.verbs.pools.states) {
      const manifest = pool.volumes.get(volumeId);
      if (manifest === undefined) continue;
      if (pool.trouble !== null) throw unusable(pool);
      if (following(manifest) !== null) return { pool, manifest };
      throw new RsError('E_BUSY', `Volume ${volumeText(manifest)} does not follow any more: it was promoted`);
    }
    throw new RsError('E_POOL', `The pool of the follower with id ${volumeId} is not open: mount it, then run rsadm reload`);
  }

  private onDisk<T>({ name }: PoolState, volumeId: string, work: (incoming: IncomingFiles) => Promise<T>): Promise<T> {
    return this.verbs.pools.onDisk(name, FOLLOWER_STEP_MS, (files) => work(new IncomingFiles(files, volumeId)));
  }
}

/** Room that a pool must have for the pull to go on, unless less is left: what a fast pull writes from one look at the space to the next. */
const ROOM_BYTES = 256 * 1024 * 1024;

/** Returns the name of the pool for a new follower; null if the server may choose it. */
function poolFor(
  pools: readonly PoolState[],
  { pool: wanted }: Pick<ReplicationOrder, 'pool'>,
  { name, pools: allowed }: OrderingPeer,
): string | null {
  if (wanted !== null && allowed !== null && !allowed.includes(wanted))
    throw new RsError(
      'E_RIGHTS',
      `Peer ${name} may not have followers in pool ${wanted}: its section [peer ${name}] has pools = ${allowed.join(', ')}`,
    );
  // A pool that is not open may already have the follower.
  const places = wanted === null ? pools : pools.filter((one) => one.name === wanted);
  const closed = places.find(({ isOpen, trouble }) => !isOpen || trouble !== null);
  if (closed !== undefined) throw unusable(closed);
  checkAllKnown(places, 'A volume that cannot be read may be the follower');
  return wanted;
}

/** T8: throws E_EXISTS if this server has a volume that was the source, so that it would get a second one. */
function checkNotOld(old: readonly OldSource[], begun: readonly Found[], peer: string): void {
  const [first] = old;
  if (first === undefined) return;
  const names = [...begun.map(({ manifest }) => manifest), ...old].map(volumeText);
  throw new RsError(
    'E_EXISTS',
    `Volume ${volumeText(first)} exists, and ${first.wasPromoted ? 'was promoted from it' : 'was its source'}: rsadm volume demote ${names.join(' ')} --for ${peer} makes it the follower`,
    { volume: volumeText(first) },
  );
}

/**
 * T10: throws E_EXISTS if a demotion that has made other volumes followers of the order was interrupted before this one, which has no moment
 * in common. `begun`: those others.
 */
function checkNotBegun(pools: readonly PoolState[], { name, universe }: OrderMember, begun: readonly Found[], peer: string): void {
  const own = pools.flatMap(({ volumes }) => [...volumes.values()]).find((one) => one.name === name && one.universe === universe);
  if (own === undefined || begun.length === 0) return;
  const names = [...begun.map(({ manifest }) => manifest), own].map(volumeText).join(' ');
  throw new RsError(
    'E_EXISTS',
    `Volume ${volumeText(own)} exists, and is no follower yet: rsadm volume demote ${names} --for ${peer} goes on with the demotion, ` +
      `and rsadm volume rename ${volumeText(own)} NEW keeps the volume as it is`,
    { volume: volumeText(own) },
  );
}

/** Returns the volumes that this server has closed for the peer that offers this order. */
function closedFor(all: readonly Found[], { replication }: ReplicationOrder, peer: string): readonly Found[] {
  return all.filter(({ manifest }) => {
    const handOver = manifest.replication?.handOver;
    return handOver !== undefined && handOver.replication === replication && handOver.server === peer;
  });
}

/** Returns the newest snapshot of a volume whose content the volume of the order has as well; null if there is none. */
function baseOf(found: Found, order: ReplicationOrder, sourceId: string): SnapshotRecord | null {
  const { list } = snapshotsOf(found);
  const common = commonBase(order, { sourceId, snapshots: list });
  return common === null ? null : (list.find(({ name }) => name === common.own) ?? null);
}

function isLast(found: Found, order: ReplicationOrder, sourceId: string, group: string | null): boolean {
  const base = baseOf(found, order, sourceId);
  return base !== null && momentIdOf(base) === group;
}

/** Returns the place of the newest snapshot: later ones are made after a role has changed. */
export function newestPlace(found: Found): number {
  return snapshotsOf(found).list.at(-1)?.createdMs ?? 0;
}

function freeName(taken: readonly Pick<SnapshotRecord, 'name'>[], name: string): string {
  let free = name;
  for (let number = 2; taken.some((one) => one.name === free); number++) free = `${name}-${number}`;
  return free;
}
