// Makes and removes snapshots of the volumes of the pools, clones them as new volumes, and rolls volumes back to them. snapshot-rules.ts
// decides, snapshot-files.ts changes the disk, and Moments holds the changes of clients. The caller makes one change at a time, except
// during the long steps in `turn.aside`. Invariants: a request for a snapshot is answered only when every chunk is cloned and the snapshot
// is durable (P2). Of the snapshots of one request, either all exist or none. While a snapshot is being made, `settleParts` does not change
// it, and the files of its volume are neither replaced nor extended. A request that is repeated after a crash is not executed again (A2).

// Design.
// A snapshot takes a long time, and other changes to pools must not wait for it. The steps of a snapshot therefore alternate between its
// turn in the queue of changes and `turn.aside`, during which other changes run. While the snapshot is `making` in the state of its pool,
// the catalogue refuses to grow, rename, remove or roll back its volume (E_BUSY).
//
//   in the turn of the change                              aside
//   1  answer a repeated request (A2); decide; `making`
//                                                          2  write dirty data of all files back
//   3  check again; begin the copies in all pools
//                                                          4  sync; the moment: changes wait, chunks are cloned (moments.ts, P1)
//                                                          5  make the copies durable
//   6  check again; write all descriptions under unfinished names
//   7  commit the first one: its NAME.json exists             <-- commit point of all snapshots of the request (P2)
//   8  settleParts, even after an error: finishes the other snapshots, or undoes all
//
//   nothing --1--> making --6--> pending --7, 8--> exists --last-removal has its id--> removed
//                    |              |
//                    '--------------'-- an error or a stop: settleParts or the next start settles it (snapshot-repair.ts)
//
//   clone      aside, clone the files into an unfinished folder; then check name and room again, and commit the volume
//   rollback   stop serving; prepare data.new and a snapshot of the current content; the manifest with data.new's stamp commits both
//   prove      the description of a replica's snapshot records that the holder has confirmed its term after the moment (M22)
//
// Never done here:
// - This class does not copy content byte by byte. On a file system without reflinks, it refuses a snapshot with E_NO_REFLINK.
// - After a step aside, this class does not trust earlier decisions: `again` and `cloneAside` check again.
// - This class does not remove a snapshot that a client has open: `whileUnread` refuses this, and admits no reader during a removal (N2).
// - This class does not hold changes of clients. moments.ts holds the changes, within its own limits.

import { assert } from '@rsio/base/lib/assert';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import { Asker, type Change, LOCAL_ASKER } from '../pools/asker.ts';
import {
  busyText,
  type Found,
  ownedBytes,
  partsOf,
  type PlacedPart,
  type PoolState,
  type Stamp,
  type VolumeName,
} from '../pools/catalogue.ts';
import type { Manifest } from '../pools/disk/manifest.ts';
import { poolPaths } from '../pools/disk/pool-paths.ts';
import type { PoolFiles } from '../pools/disk/pool-files.ts';
import { checkStamp, type PoolVerbs } from '../pools/pool-verbs.ts';
import type { Pools } from '../pools/pools.ts';
import type { Moments } from '../pools/snapshots/moment.ts';
import { isForOwner } from '../pools/snapshots/owned-bytes.ts';
import { checkUnneeded } from '../pools/snapshot-needs.ts';
import { SnapshotFiles } from '../pools/snapshots/snapshot-files.ts';
import type { SnapshotRecord } from '../pools/snapshots/snapshot-record.ts';
import { withMaking, withoutMaking, withoutSnapshot, withPending, withSnapshot } from '../pools/repair/snapshot-repair.ts';
import type { VolumeCopy } from '../pools/snapshots/volume-copy.ts';
import { MOMENT_WAIT_MS, SNAPSHOT_CHANGE_MS } from './limits.ts';
import { isDoneBy } from '../pools/requests/request-stamp.ts';
import type { Turn } from '../pools/requests/turn.ts';
import { limitMs, type OpenCopy, PartSteps } from './part-steps.ts';
import {
  decideClone,
  decideRollback,
  decideSnapshots,
  findAnySnapshot,
  type FoundSnapshot,
  type NewSnapshot,
  type PlannedRollback,
  proven,
  type SnapshotCosts,
  type SnapshotName,
  type SnapshotOrder,
  snapshotParts,
  type SnapshotRef,
  snapshotsOf,
  snapshotText,
} from './snapshot-rules.ts';

export interface SnapshotVerbsPorts {
  readonly verbs: PoolVerbs;
  readonly moments: Moments;
  readonly log: Pick<Log, 'error'>;
  /** Returns the limit of a client in bytes; null if the client has no limit. */
  limitOf(node: string): number | null;
  /**
   * Executes the removal of a snapshot. Throws E_HELD, naming the clients, if clients have the snapshot open (N2). `name`: name of the
   * snapshot in texts, such as `oracle@monday`.
   */
  whileUnread<T>(snapshot: SnapshotRecord, name: string, work: () => Promise<T>): Promise<T>;
}

export interface RolledBack extends Found {
  /** The snapshot of the content before the rollback; null if this snapshot has been removed since then. */
  readonly kept: SnapshotRecord | null;
}

interface WantedClone {
  readonly source: FoundSnapshot;
  readonly to: VolumeName;
  readonly asker: Asker;
  readonly stamp: Stamp;
  readonly planned: Omit<Manifest, 'stamps'>;
}

/** What orders inside the server may do with snapshots: they name volumes and snapshots by ids. */
export interface SnapshotOrders {
  snapshot(wanted: readonly SnapshotOrder[], asker: Asker, requestId: null, turn: Turn): Promise<readonly FoundSnapshot[]>;
  remove(wanted: SnapshotRef, asker: Asker, requestId: null): Promise<Found>;
}

/** `onlyId`: the id that the named snapshot must have; null if any snapshot with the name is meant. */
type SnapshotToRemove = SnapshotName | (SnapshotName & { readonly onlyId: string | null }) | SnapshotRef;

export class SnapshotVerbs {
  private readonly pools: Pools;
  private readonly verbs: PoolVerbs;
  private readonly ports: SnapshotVerbsPorts;
  private readonly steps: PartSteps;

  constructor(ports: SnapshotVerbsPorts) {
    this.ports = ports;
    this.verbs = ports.verbs;
    this.pools = ports.verbs.pools;
    this.steps = new PartSteps(ports.verbs);
  }

  /**
   * Returns the orders for the snapshots, or null if this request has already made them. Throws if a rule or a limit forbids the snapshots.
   * Does not access the disk.
   */
  check(wanted: readonly NewSnapshot[], asker: Asker, requestId: string | null): readonly SnapshotOrder[] | null {
    asker.needs('manage', 'make snapshots');
    if (this.answer(wanted, requestId) !== null) return null;
    const found = decideSnapshots(this.verbs.catalogue, wanted, asker, this.verbs.stamp(requestId), this.costs(new Map()));
    return wanted.map((one, index) => ({ ...one, id: found[index]!.manifest.id }));
  }

  /** True while a snapshot of one of these volumes is being made. */
  isMaking(wanted: readonly VolumeName[]): boolean {
    return this.volumes.some((found) => {
      const { name, universe } = found.manifest;
      return busyText(found) !== null && wanted.some((one) => one.name === name && one.universe === universe);
    });
  }

  /** Makes snapshots of several volumes at one moment (P1). */
  async snapshot(wanted: readonly NewSnapshot[], asker: Asker, requestId: string | null, turn: Turn): Promise<readonly FoundSnapshot[]> {
    asker.needs('manage', 'make snapshots');
    const done = this.answer(wanted, requestId);
    if (done !== null) return done;
    const usedBytes = await this.usedBytes(wanted, asker);
    const decided = decideSnapshots(this.verbs.catalogue, wanted, asker, this.verbs.stamp(requestId), this.costs(usedBytes));
    assert(decided.length === wanted.length, 'A request gets other snapshots than it wants');
    const plan = decided.map((one) => ({ ...one, record: withEstimate(one.record, usedBytes) }));
    const opened: OpenCopy[] = [];
    let isBegun = false;
    try {
      for (const { pool, record } of plan) this.putRecord(pool, record, withMaking);
      await turn.aside(() => this.each(plan, (one) => this.steps.writeBack(one)));
      isBegun = true;
      // If a step before the commit point fails, `settleParts` undoes the change.
      for (const one of plan.map((before) => this.again(before))) opened.push(await this.steps.begin(one));
      await turn.aside(async () => {
        await this.copy(opened);
        await this.each(plan, (one) => this.steps.flush(one));
      });
      const prepared: FoundSnapshot[] = [];
      for (const one of plan) prepared.push(await this.steps.prepare(this.again(one)));
      await this.commitHome(prepared[0]!);
    } finally {
      // Do not wait for the close, because running clones may hang in a file system.
      for (const { copy } of opened) copy.close().catch((thrown: unknown) => this.ports.log.error(toRsError(thrown).message));
      for (const one of plan) this.endMaking(one, isBegun);
      await this.pools.settleParts();
    }
    return plan.map((one) => this.made(one));
  }

  /** Makes snapshots of volumes that are not served, so that no client changes them. Either all snapshots exist afterwards, or none. */
  async snapshotUnserved(wanted: readonly NewSnapshot[]): Promise<readonly FoundSnapshot[]> {
    const plan = decideSnapshots(this.verbs.catalogue, wanted, LOCAL_ASKER, this.verbs.stamp(null), this.costs(new Map()));
    const prepared: FoundSnapshot[] = [];
    try {
      for (const one of plan) {
        this.note(one.pool, one.record);
        prepared.push(await this.steps.makePrepared(one));
      }
      await this.commitHome(prepared[0]!);
    } finally {
      await this.pools.settleParts();
    }
    return plan.map((one) => this.made(one));
  }

  /** Copies the volumes at one moment. */
  private async copy(opened: readonly OpenCopy[]): Promise<void> {
    for (const one of opened) await this.steps.sync(one);
    await this.takeMoment(
      opened.flatMap(({ files }) => files.map(({ pool }) => pool)),
      opened.map(({ copy }) => copy),
    );
  }

  private async each(plan: readonly FoundSnapshot[], work: (one: FoundSnapshot) => Promise<void>): Promise<void> {
    for (const one of plan) await work(one);
  }

  /**
   * Returns a snapshot that is being made, with the current state of its pool. Throws E_POOL if the pool cannot be used, or was closed and
   * opened again while the snapshot was being made. A pool that was opened again has no record of the unfinished snapshot. Other changes
   * may therefore have changed the volume.
   */
  private again({ pool: before, manifest: { id, name }, record }: FoundSnapshot): FoundSnapshot {
    const found = this.volumes.find(({ manifest }) => manifest.id === id);
    const { making = [], pending = [] } = found === undefined ? {} : snapshotsOf(found);
    const isKnown = [...making, ...pending].some((one) => one.id === record.id);
    if (found !== undefined && found.pool.trouble === null && isKnown) return { ...found, record };
    const closed = found === undefined ? 'it is not open' : 'it was closed, and opened again';
    throw new RsError('E_POOL', `Pool ${before.name} with volume ${name} can no longer be used: ${found?.pool.trouble ?? closed}`, {
      pool: before.name,
    });
  }

  /** Lets `settleParts` finish the snapshot or undo it. `isBegun`: true if files of the snapshot may exist. */
  private endMaking({ manifest: { id }, record }: FoundSnapshot, isBegun: boolean): void {
    const found = this.volumes.find(({ manifest }) => manifest.id === id);
    if (found === undefined || !snapshotsOf(found).making.some((one) => one.id === record.id)) return;
    this.putRecord(found.pool, record, isBegun ? withPending : withoutMaking);
  }

  /**
   * Durably records that a snapshot of a replica is proven, so that the snapshot counts as a snapshot of the mirror. `id`: id of the
   * snapshot that the holder has ordered.
   */
  async prove(wanted: SnapshotName, id: string, asker: Asker): Promise<FoundSnapshot> {
    const { verbs, pools } = this;
    asker.needs('manage', 'make snapshots');
    const found = this.found(wanted, asker, 'make snapshots');
    const { pool, manifest, record } = found;
    const { moment } = record;
    if (record.id !== id || moment === undefined)
      throw new RsError('E_UNKNOWN_SNAPSHOT', `Snapshot ${snapshotText(wanted)} was replaced meanwhile: make it again`);
    if (moment.isProven) return found;
    const proven: SnapshotRecord = { ...record, moment: { ...moment, isProven: true } };
    await verbs.onDisk(pool, SNAPSHOT_CHANGE_MS, (files) => new SnapshotFiles(files).rewrite(proven));
    pools.putSnapshots(pool, manifest.id, (all) => withSnapshot({ ...all, list: all.list.filter((one) => one.id !== id) }, proven));
    return { pool: this.poolNow(pool), manifest, record: proven };
  }

  /** Throws E_UNKNOWN_SNAPSHOT if the snapshot does not have the id `onlyId`. */
  async remove(wanted: SnapshotToRemove, asker: Asker, requestId: string | null): Promise<Found> {
    const onlyId = 'onlyId' in wanted ? wanted.onlyId : null;
    asker.needs('manage', 'remove snapshots');
    const done = this.removedBy(requestId);
    if (done !== null) return done;
    const found = this.found(wanted, asker, 'remove snapshots');
    const { pool, manifest, record } = found;
    const text = snapshotText({ ...manifest, snapshot: record.name });
    if (onlyId !== null && record.id !== onlyId)
      throw new RsError('E_UNKNOWN_SNAPSHOT', `Snapshot ${text} is not the one with id ${onlyId}, but a later one of that name: it stays`);
    checkUnneeded(this.pools.states, found, asker);
    const parts = snapshotParts(this.verbs.catalogue, record);
    await this.ports.whileUnread(record, text, async () => {
      try {
        await this.steps.doubt(parts);
        await this.verbs.onDisk(pool, limitMs(record), (files) => new SnapshotFiles(files).remove(record, requestId));
        const removal = { id: record.id, name: record.name, request: requestId };
        this.pools.putSnapshots(pool, manifest.id, (snapshots) => withoutSnapshot(snapshots, removal));
      } finally {
        if (parts.length > 0) await this.pools.settleParts();
      }
    });
    return { pool: this.poolNow(pool), manifest };
  }

  /** Creates a volume as a clone of the snapshot, in the same pools. */
  async clone(wanted: SnapshotName, to: VolumeName, asker: Asker, requestId: string | null, turn: Turn): Promise<Found> {
    asker.needs('manage', 'clone snapshots');
    const done = this.verbs.doneBy(requestId);
    if (done !== null) return done;
    await this.pools.measure();
    const found = this.found(wanted, asker, 'clone snapshots');
    const source = proven(found);
    const stamp = this.verbs.stamp(requestId);
    const planned = decideClone(this.verbs.catalogue, source, to, asker, stamp);
    return this.cloneAside({ source, to, asker, stamp, planned }, turn);
  }

  /**
   * Makes the files of the new volume in `turn.aside`. Before the commit, checks again that the name is free and that the pools have room.
   */
  private async cloneAside({ source, to, asker, stamp, planned }: WantedClone, turn: Turn): Promise<Found> {
    const { pools, verbs } = this;
    const { id } = planned;
    const places = [source.pool, ...snapshotParts(this.verbs.catalogue, source.record).map(({ pool }) => pool)];
    pools.making.add(id);
    let manifest: Manifest;
    try {
      await turn.aside(() => this.steps.cloneAside(source, planned));
      const now = this.found({ id: source.manifest.id, snapshotId: source.record.id }, asker, 'clone snapshots');
      if (now.pool.identity?.id !== source.pool.identity?.id)
        throw new RsError('E_BUSY', `Volume ${source.manifest.name} changed its pool while its snapshot was cloned: try again`);
      const { pool } = now;
      const whole = decideClone(this.verbs.catalogue, now, to, asker, stamp);
      assert(whole.id === id, 'A clone changes its id before its commit');
      manifest = await verbs.withNewParts(partsOf(this.verbs.catalogue, whole), this.steps.putAside(id), async (stamps) => {
        const created = await verbs.onDisk(pool, SNAPSHOT_CHANGE_MS, (files) => new SnapshotFiles(files).commitAside(whole, stamps));
        pools.put(pool, created);
        return created;
      });
    } finally {
      pools.making.delete(id);
      await this.steps.dropAside(id, places).catch((thrown: unknown) => this.ports.log.error(toRsError(thrown).message));
    }
    const pool = this.poolNow(source.pool);
    await verbs.serve(pool, null, manifest);
    return { pool, manifest };
  }

  /**
   * Replaces the content of a volume with that of a snapshot. No client may be using the volume. The previous content of the volume becomes
   * a snapshot.
   */
  async rollback(wanted: SnapshotName, asker: Asker, requestId: string | null): Promise<RolledBack> {
    asker.needs('manage', 'roll volumes back');
    const done = this.verbs.doneBy(requestId);
    if (done !== null) return { ...done, kept: this.keptBy(requestId) };
    const found = this.found(wanted, asker, 'roll volumes back');
    const target = proven(found);
    const makeNext = (files: SnapshotFiles, was: Manifest): Promise<string> => files.makeNext(target.record, was);
    const planned = decideRollback(this.verbs.catalogue, target, asker.node, this.verbs.stamp(requestId));
    return this.replaceContent(target, planned, makeNext, this.steps.clone(target));
  }

  /**
   * Replaces the content of a volume. No client may be using the volume. The previous content becomes a snapshot. `makeNext` makes the new
   * data file beside the current data file, and returns the stamp of the new file. `makePart` makes a file of the volume in another pool.
   */
  async replaceContent(
    { pool, manifest: was }: Found,
    { manifest: next, kept: planned }: PlannedRollback,
    makeNext: (files: SnapshotFiles, was: Manifest) => Promise<string>,
    makePart: (part: PlacedPart, index: number) => Promise<string | null>,
  ): Promise<RolledBack> {
    const { verbs, pools } = this;
    assert(next.id === was.id && planned.volumeId === was.id, 'A volume gets the content of a change of another volume');
    await this.checkKept({ pool, manifest: was }, planned);
    const [replaced, added] = [partsOf(this.verbs.catalogue, was), partsOf(this.verbs.catalogue, next)];
    const onDisk = <T>(work: (files: PoolFiles) => Promise<T>): Promise<T> => verbs.onDisk(pool, limitMs(was), work);
    return verbs.whileUnserved({ pool, manifest: was }, async () => {
      const stamp = await onDisk((files) => makeNext(new SnapshotFiles(files), was));
      const kept: SnapshotRecord = { ...planned, rollback: stamp };
      this.note(pool, kept);
      let manifest = next;
      try {
        await verbs.withNewParts(added, makePart, async (stamps) => {
          manifest = { ...next, stamps: [stamp, ...stamps] };
          await this.steps.makePrepared({ pool, manifest: was, record: kept });
          await this.steps.doubt(replaced);
          await onDisk((files) => files.replaceManifest(manifest));
          pools.put(pool, manifest);
          await onDisk((files) => new SnapshotFiles(files).putNext(was.id));
        });
      } finally {
        await pools.settleParts();
      }
      const made = this.made({ pool, manifest, record: kept });
      return { ...made, kept: made.record };
    });
  }

  /** Throws E_RIGHTS if the client would exceed its limit with the snapshot of the previous content. */
  private async checkKept(found: Found, { creator }: SnapshotRecord): Promise<void> {
    const limitBytes = creator === null ? null : this.ports.limitOf(creator);
    if (limitBytes === null) return;
    const payer = new Asker(creator, { role: 'manage', pools: null, limitBytes });
    payer.checkLimit(ownedBytes(this.verbs.catalogue, creator), await this.steps.usedBytes(found));
  }

  /** Returns the snapshot that the request has made of the previous content; null if this snapshot has been removed since then. */
  keptBy(requestId: string | null): SnapshotRecord | null {
    return this.madeBy(requestId)[0]?.record ?? null;
  }

  /**
   * Copies volumes at one moment. The first parameter has the pools of the volumes. Nests one call of `onDisk` for each
   * pool. `onDisk` refuses a pool that does not answer, and throws E_TIMEOUT if the moment takes too long.
   */
  takeMoment([pool, ...others]: readonly PoolState[], copies: readonly VolumeCopy[]): Promise<void> {
    if (pool === undefined) return this.ports.moments.take(copies);
    const sizeBytes = copies.reduce((sum, copy) => sum + copy.sizeBytes, 0);
    const rest = others.filter(({ name }) => name !== pool.name);
    return this.pools.onDisk(pool, MOMENT_WAIT_MS + limitMs({ sizeBytes }), () => this.takeMoment(rest, copies));
  }

  /**
   * Commits the snapshot of the home. This commit is the commit point of the group. `settleParts` then commits the other snapshots of the
   * group.
   */
  private async commitHome({ pool, manifest, record }: FoundSnapshot): Promise<void> {
    assert(record.volumeId === manifest.id, 'A snapshot is committed to another volume');
    await this.verbs.onDisk(pool, SNAPSHOT_CHANGE_MS, (files) =>
      new SnapshotFiles(files).commit(record.name, poolPaths.volume(pool.path, manifest.id)),
    );
    this.pools.putSnapshots(pool, manifest.id, (snapshots) => withSnapshot(snapshots, record));
  }

  private note(pool: PoolState, record: SnapshotRecord): void {
    this.putRecord(pool, record, withPending);
  }

  private putRecord(pool: PoolState, record: SnapshotRecord, change: typeof withPending): void {
    this.pools.putSnapshots(pool, record.volumeId, (snapshots) => change(snapshots, record));
  }

  /** Returns the finished snapshot. Throws E_POOL if `settleParts` could not finish the snapshot. */
  private made({ pool, manifest, record }: FoundSnapshot): FoundSnapshot {
    const now = this.poolNow(pool);
    const made = snapshotsOf({ pool: now, manifest }).list.find(({ id }) => id === record.id);
    if (made !== undefined) return { pool: now, manifest, record: made };
    const text = snapshotText({ ...manifest, snapshot: record.name });
    const why = now.trouble ?? 'see the log of rssrv';
    throw new RsError('E_POOL', `Snapshot ${text} is not finished, because pool ${pool.name} cannot be used: ${why}`, { pool: pool.name });
  }

  private costs(usedBytes: ReadonlyMap<string, number>): SnapshotCosts {
    return { usedBytes, limitOf: (node) => this.ports.limitOf(node) };
  }

  /** Returns the bytes that the volumes occupy, by volume id. Leaves out volumes whose snapshots count towards no limit. */
  private async usedBytes(wanted: readonly NewSnapshot[], asker: Asker): Promise<ReadonlyMap<string, number>> {
    const used = new Map<string, number>();
    for (const { pool, manifest } of this.volumes) {
      const isMeant = ({ id, name, universe }: NewSnapshot): boolean =>
        id === undefined ? name === manifest.name && universe === manifest.universe : id === manifest.id;
      const one = wanted.find(isMeant);
      if (one === undefined || pool.trouble !== null) continue;
      const limitBytes = !isForOwner(one) ? asker.rights.limitBytes : manifest.owner === null ? null : this.ports.limitOf(manifest.owner);
      if (limitBytes !== null) used.set(manifest.id, await this.steps.usedBytes({ pool, manifest }));
    }
    return used;
  }

  private found(wanted: SnapshotName | SnapshotRef, asker: Asker, what: Change): FoundSnapshot {
    return findAnySnapshot(this.verbs.catalogue, wanted, asker, what);
  }

  private poolNow(pool: PoolState): PoolState {
    return this.pools.states.find(({ identity }) => identity !== null && identity.id === pool.identity?.id) ?? pool;
  }

  /**
   * Returns the snapshots that this request has already made, or null if it has made none. Throws E_POOL if only some of these snapshots
   * are visible.
   */
  private answer(wanted: readonly NewSnapshot[], requestId: string | null): readonly FoundSnapshot[] | null {
    const done = this.madeBy(requestId);
    if (done.length === 0) return null;
    if (done.length === wanted.length) return done;
    throw new RsError(
      'E_POOL',
      `Only ${done.length} of the ${wanted.length} snapshots of this request can be seen: the pools of the others are not open, or they were removed since`,
    );
  }

  /** Returns the snapshots that this request has made. Throws E_USAGE if the id of the request was used with other parameters. */
  private madeBy(stamp: string | null): FoundSnapshot[] {
    if (stamp === null) return [];
    checkStamp(stamp);
    return this.volumes.flatMap((found) =>
      snapshotsOf(found)
        .list.filter(({ request }) => isDoneBy(stamp, request))
        .map((record) => ({ ...found, record })),
    );
  }

  /** Returns the volume whose snapshot this request has removed, or null. */
  private removedBy(stamp: string | null): Found | null {
    if (stamp === null) return null;
    checkStamp(stamp);
    return this.volumes.find((found) => isDoneBy(stamp, snapshotsOf(found).removal?.request ?? null)) ?? null;
  }

  private get volumes(): Found[] {
    return this.pools.states.flatMap((pool) => [...pool.volumes.values()].map((manifest) => ({ pool, manifest })));
  }
}

/**
 * Returns the record with the bytes that the files of the volume occupy. Until the snapshot is made, the bytes in the record count towards
 * the limit.
 */
function withEstimate(record: SnapshotRecord, used: ReadonlyMap<string, number>): SnapshotRecord {
  const usedBytes = used.get(record.volumeId);
  return usedBytes === undefined ? record : { ...record, usedBytes };
}
