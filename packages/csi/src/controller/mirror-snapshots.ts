// Snapshots of mirrors. rsiod of the controller attaches the mirror for the moment of a snapshot, and gives it back. The servers of the
// replicas keep the snapshots, under one id (M22). Invariants: a snapshot counts only where the mirror has confirmed it. The driver holds a
// mirror only while no node has it published. A snapshot counts as absent, and is removed, only if every server with a replica answers.

import { provenAmong } from '@rsio/api/manage/volumes/proven-snapshots';
import type { SnapshotView } from '@rsio/api/views/views';
import type { MirrorSummary } from '@rsio/api/views/mirror-views';
import { toRsError } from '@rsio/base/lib/errors';
import { outcomesAtOnce } from '@rsio/base/structures/concurrency';
import { ORDERS_AT_ONCE_MAX } from '../limits.ts';
import type { SnapshotId, VolumeId } from '../product/ids.ts';
import type { Found } from '../product/volumes.ts';
import { CsiError } from '../rpc/status.ts';
import { publishedNodes } from './answers.ts';
import type { ControllerParts } from './controller-parts.ts';
import type { MirrorUse } from './mirror-use.ts';

/** A snapshot at one server. `of`: the volume, or the replica of the mirror there. */
interface SnapshotPlace {
  readonly of: Found;
  readonly snapshot: SnapshotView;
}

export interface FoundSnapshot extends SnapshotPlace {
  readonly source: VolumeId;
  /** All servers that have it, the first one as above. A snapshot of a volume has one. */
  readonly places: readonly SnapshotPlace[];
}

interface Replicas {
  readonly found: readonly Found[];
  /** Why another server may have a replica with snapshots, too; null if all have answered. */
  readonly gap: string | null;
}

interface MirrorSnapshotParts extends ControllerParts {
  readonly use: MirrorUse;
}

/** After these errors of rsiod, the same call may succeed later. Their usual statuses would say that it cannot. */
const FLEETING: readonly string[] = ['E_VOLUME', 'E_UNKNOWN_VOLUME'];

export class MirrorSnapshots {
  private readonly parts: MirrorSnapshotParts;

  constructor(parts: MirrorSnapshotParts) {
    this.parts = parts;
  }

  /** Makes the snapshot, unless the mirror has it already. `checkName` throws if another volume or mirror has a snapshot of this name. */
  async create(mirror: MirrorSummary, name: string, checkName: () => Promise<void>): Promise<FoundSnapshot> {
    const { orders, use, newId } = this.parts;
    const site = await orders.site();
    const replicas = await this.replicas(mirror);
    const known = namedIn(mirror, replicas, name);
    if (known !== null) {
      await use.giveBack(mirror, site);
      return known;
    }
    const way = `rsconfig volume snapshot ${mirror.name}@${name} there makes it, with the right manage; or repeat the call when no node has the mirror`;
    const nodes = [...new Set(replicas.found.flatMap(({ volume }) => publishedNodes(volume, site)))];
    if (nodes.length > 0)
      throw new CsiError(
        'FAILED_PRECONDITION',
        `Only node ${nodes.join(', ')}, which has mirror ${mirror.name}, can make its snapshot: ${way}`,
      );
    await checkName();
    const { namespace, universe } = mirror;
    const order = { namespace, name: mirror.name, universe, snapshot: name, id: newId() };
    try {
      await use.during(mirror, () => orders.own('mirror-snapshot', order));
    } catch (thrown) {
      if (thrown instanceof CsiError)
        throw thrown.status === 'FAILED_PRECONDITION' ? new CsiError(thrown.status, `${thrown.message}: ${way}`) : thrown;
      const { code, message } = toRsError(thrown);
      if (FLEETING.includes(code)) throw new CsiError('UNAVAILABLE', `${message} [${code}]: repeat the call`);
      // A driver that was killed may have made the snapshot meanwhile.
      if (code !== 'E_EXISTS') throw thrown;
      const made = namedIn(mirror, await this.replicas(mirror), name);
      if (made === null) throw thrown;
      return made;
    }
    const made = namedIn(mirror, await this.replicas(mirror), name);
    if (made === null) throw new CsiError('ABORTED', `Snapshot ${mirror.name}@${name} was made, and removed at once: repeat the call`);
    return made;
  }

  /** Returns null if there is no such snapshot. Throws UNAVAILABLE if a server that may have it does not answer. */
  async find({ of, snapshot }: SnapshotId): Promise<FoundSnapshot | null> {
    const mirror = await this.parts.volumes.mirror(of.uuid);
    if (mirror === null) return null;
    const replicas = await this.replicas(mirror);
    const found = snapshotsIn(of.uuid, replicas.found).find((one) => one.snapshot.id === snapshot);
    if (found === undefined && replicas.gap !== null) throw missing(replicas.gap);
    return found ?? null;
  }

  /** Returns the snapshots of the mirror with this id. */
  async list(uuid: string): Promise<readonly FoundSnapshot[]> {
    const mirror = await this.parts.volumes.mirror(uuid);
    return mirror === null ? [] : snapshotsIn(uuid, (await this.replicas(mirror)).found);
  }

  /**
   * Removes the snapshot from all servers. An earlier snapshot with the same name, on a server that was away, goes first: otherwise it would
   * appear when the later one is gone. Throws UNAVAILABLE before the first removal if a server does not answer.
   */
  async delete({ of, snapshot }: SnapshotId): Promise<void> {
    const mirror = await this.parts.volumes.mirror(of.uuid);
    if (mirror === null) return;
    const { found, gap } = await this.replicas(mirror);
    if (gap !== null) throw missing(gap);
    const wanted = snapshotsIn(of.uuid, found).find((one) => one.snapshot.id === snapshot)?.snapshot;
    if (wanted === undefined) return;
    const all = found.flatMap((replica) => replica.snapshots.map((one) => ({ replica, one })));
    const named = all.filter(({ one }) => one.snapshot === wanted.snapshot && one.moment?.mirror === of.uuid);
    for (const { replica, one } of named.toSorted((a, b) => Number(a.one.id === snapshot) - Number(b.one.id === snapshot))) {
      const { name, universe } = replica.volume;
      const order = { name, universe, snapshot: one.snapshot, onlyId: one.id, request: this.parts.newId() };
      try {
        await this.parts.orders.at(replica.server, 'volume-snapshot-remove', order);
      } catch (thrown) {
        if (toRsError(thrown).code !== 'E_UNKNOWN_SNAPSHOT') throw thrown;
      }
    }
  }

  /** Asks the servers that have a replica, by the configuration of most voters. */
  private async replicas({ name, mirror, replicas, state, voters, majority }: MirrorSummary): Promise<Replicas> {
    const asked = await outcomesAtOnce(replicas, ORDERS_AT_ONCE_MAX, (one) =>
      this.parts.volumes.shown({ server: one.server, name: one.volume, universe: one.universe }),
    );
    const found = asked.flatMap(({ value }) => (value?.volume.mirror === mirror ? [value] : []));
    const silent = asked.findIndex(({ thrown }) => thrown !== null);
    const isCertain = state === 'known' && voters.filter(({ answers }) => answers).length >= majority;
    const away = `server ${replicas[silent]?.server ?? ''}, which has a replica of mirror ${name}, does not answer`;
    if (silent >= 0) return { found, gap: `${away} (${toRsError(asked[silent]?.thrown).message})` };
    return { found, gap: isCertain ? null : `most voters of mirror ${name} do not answer, so that its replicas are not certain` };
  }
}

/** Returns the confirmed snapshots of a mirror that these replicas have. */
export function snapshotsIn(uuid: string, replicas: readonly Found[]): readonly FoundSnapshot[] {
  // The order of the servers makes the times in repeated answers equal: each server has its own clock.
  const sorted = replicas.toSorted((one, other) => (one.server < other.server ? -1 : 1));
  const proven = provenAmong(
    uuid,
    sorted.map((place) => ({ place, snapshots: place.snapshots })),
  );
  return proven.flatMap(({ view: { id }, places }) => {
    const at = places.flatMap((of) => of.snapshots.filter((one) => one.id === id).map((snapshot) => ({ of, snapshot })));
    const [first] = at;
    return first === undefined ? [] : [{ ...first, source: { kind: 'mirror', uuid }, places: at }];
  });
}

function namedIn({ mirror }: MirrorSummary, { found }: Replicas, name: string): FoundSnapshot | null {
  return snapshotsIn(mirror, found).find(({ snapshot }) => snapshot.snapshot === name) ?? null;
}

function missing(gap: string): CsiError {
  return new CsiError('UNAVAILABLE', `Not all snapshots are known, because ${gap}: repeat the call when it answers`);
}
