// Changes followers on disk: makes them, begins and commits their moments. The caller makes one change at a time, except for `incoming`.
// Invariants: a moment exists once the description of its snapshot is committed, which happens only when its content has arrived whole and
// durably. An order is bound to the ids that it names; a follower that was promoted meanwhile is not changed. Rules: T2, T3, T8.

import type { ReplicationOrder, SourceMoment } from '@rsio/common/control/server/replication-methods';
import { RsError } from '@rsio/common/lib/errors';
import { Asker } from '../../pools/asker.ts';
import { checkName, decideCreate, type Found, type PoolState, unusable, usableBytes, volumeText } from '../../pools/catalogue.ts';
import type { Manifest } from '../../pools/disk/manifest.ts';
import { poolPaths } from '../../pools/disk/pool-paths.ts';
import { following } from '../../pools/follower-rules.ts';
import { SNAPSHOTS_MAX } from '../../pools/limits.ts';
import { type Incoming, IncomingFiles } from '../../pools/moves/incoming-files.ts';
import type { PoolVerbs } from '../../pools/pool-verbs.ts';
import { withPending, withSnapshot } from '../../pools/repair/snapshot-repair.ts';
import { SnapshotFiles } from '../../pools/snapshots/snapshot-files.ts';
import type { SnapshotRecord } from '../../pools/snapshots/snapshot-record.ts';
import { snapshotsOf } from '../../snapshots/snapshot-rules.ts';
import { FOLLOWER_STEP_MS } from '../limits.ts';
import { type CommonBase, commonBase } from './follower-plan.ts';

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
    const pool = poolFor(catalogue.pools, order, peer);
    const { name, universe, sizeBytes } = member;
    checkNotOld(catalogue.pools, order, member, peer.name);
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

  /** Makes `incoming`, which has the whole snapshot, a snapshot of the follower. */
  async commit(volumeId: string, { group, momentMs, place }: SourceMoment, from: SourceSnapshot): Promise<void> {
    const { verbs } = this;
    const found = await this.grown(this.find(volumeId), from.sizeBytes);
    const { pool, manifest } = found;
    const { list, pending } = snapshotsOf(found);
    if (list.length >= SNAPSHOTS_MAX)
      throw new RsError('E_LIMIT', `Volume ${volumeText(manifest)} has ${SNAPSHOTS_MAX} snapshots, and no more are allowed: remove some`);
    const record: SnapshotRecord = {
      id: verbs.stamp(null).newId(),
      name: freeName([...list, ...pending], from.snapshot),
      volumeId: manifest.id,
      sizeBytes: from.sizeBytes,
      blockSizeBytes: manifest.blockSizeBytes,
      createdMs: Math.max(momentMs, (list.at(-1)?.createdMs ?? -1) + 1),
      creator: null,
      group: { id: group, poolId: pool.identity?.id ?? '', volumeId },
      rollback: null,
      ...(manifest.follower === undefined ? {} : { replication: manifest.follower.replication }),
      origin: { snapshot: from.id, group, ...(place === null ? {} : { place }) },
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

  /** Gives a follower the size of its source, so that the pool promises enough. */
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
  return wanted;
}

/** Throws E_EXISTS if the volume with the name was the source earlier, so that it can become the follower. */
function checkNotOld(pools: readonly PoolState[], order: ReplicationOrder, member: OrderMember, peer: string): void {
  for (const pool of pools)
    for (const manifest of pool.volumes.values()) {
      if (manifest.name !== member.name || manifest.universe !== member.universe) continue;
      if (commonBase(order, { sourceId: member.id, snapshots: snapshotsOf({ pool, manifest }).list }) === null) continue;
      const names = order.members.map(volumeText).join(' ');
      throw new RsError(
        'E_EXISTS',
        `Volume ${volumeText(manifest)} exists, and has a moment of its source: rsadm volume demote ${names} --for ${peer} makes it the follower`,
        { volume: volumeText(manifest) },
      );
    }
}

function freeName(taken: readonly Pick<SnapshotRecord, 'name'>[], name: string): string {
  let free = name;
  for (let number = 2; taken.some((one) => one.name === free); number++) free = `${name}-${number}`;
  return free;
}
