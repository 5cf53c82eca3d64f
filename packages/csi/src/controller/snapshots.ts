// Snapshots, and group snapshots at one moment. A snapshot belongs to its volume or mirror, so its id names both. mirror-snapshots.ts has
// what differs for mirrors. Invariants: a snapshot that exists under the name of a call is returned and not made again. All snapshots of a
// group have the same moment, or the group is not made. A name belongs to one volume, mirror or set of volumes; a call for others is refused.

import type { MirrorSummary } from '@rsio/api/views/mirror-views';
import type { ManagedVolumeView, SnapshotView } from '@rsio/api/views/views';
import { toRsError } from '@rsio/base/lib/errors';
import { quoteText } from '@rsio/base/lib/units';
import { severalAtOnce } from '@rsio/base/structures/concurrency';
import { GROUP_VOLUMES_MAX, LIST_ENTRIES_MAX, ORDERS_AT_ONCE_MAX, PLACES_REMEMBERED_MAX } from '../limits.ts';
import { groupNameOf, parseGroupId, parseSnapshotId, parseVolumeId, type SnapshotId, snapshotNameOf } from '../product/ids.ts';
import { type Found, type Listed, uuidOf } from '../product/volumes.ts';
import { entriesOf, filled, invalid } from '../rpc/fields.ts';
import type { CsiSnapshot, GroupRequest, GroupSnapshotRequest, ListSnapshotsRequest, Timestamp } from '../rpc/messages.ts';
import { CsiError } from '../rpc/status.ts';
import { groupIdOf, snapshotMessage, timestampOf } from './answers.ts';
import type { ControllerParts } from './controller-parts.ts';
import { type FoundSnapshot, type MirrorSnapshots, snapshotsIn } from './mirror-snapshots.ts';
import { pageOf } from './pages.ts';

interface SnapshotParts extends ControllerParts {
  readonly mirrorSnapshots: MirrorSnapshots;
}

interface Group {
  readonly groupSnapshotId: string;
  readonly snapshots: readonly CsiSnapshot[];
  readonly creationTime: Timestamp;
  readonly readyToUse: boolean;
}

export class SnapshotRules {
  private readonly parts: SnapshotParts;
  /**
   * For each volume or replica, the names of its snapshots, and how many snapshots it had when the names were read. The driver forgets the names when
   * it makes or removes a snapshot. Another client that exchanges one snapshot for another makes the check for equal names weaker.
   */
  private readonly names = new Map<string, { readonly count: number; readonly names: readonly string[] }>();

  constructor(parts: SnapshotParts) {
    this.parts = parts;
  }

  async create(request: { readonly sourceVolumeId: string; readonly name: string }): Promise<{ readonly snapshot: CsiSnapshot }> {
    const name = snapshotNameOf(filled(request.name, 'name'));
    const text = filled(request.sourceVolumeId, 'source_volume_id');
    const mirror = await this.mirrorOf(text);
    if (mirror !== null) {
      const found = await this.parts.mirrorSnapshots.create(mirror, name, () =>
        this.refuseSameName(name, (volume) => volume.mirror === mirror.mirror),
      );
      for (const { of } of found.places) this.names.delete(uuidOf(of));
      return { snapshot: messageOf(found) };
    }
    const source = await this.source(text);
    const known = source.snapshots.find(({ snapshot }) => snapshot === name);
    if (known !== undefined) return { snapshot: messageOf(foundIn(source, known)) };
    await this.refuseSameName(name, ({ id }) => id === source.volume.id);
    const [made] = await this.taken([source], name);
    return { snapshot: messageOf(foundIn(source, made!)) };
  }

  async delete(snapshotId: string): Promise<object> {
    const id = parseSnapshotId(filled(snapshotId, 'snapshot_id'));
    if (id?.of.kind === 'mirror') {
      await this.parts.mirrorSnapshots.delete(id);
      return {};
    }
    const found = id === null ? null : await this.find(id);
    if (found === null) return {};
    const { server, volume } = found.of;
    const { snapshot } = found.snapshot;
    this.names.delete(uuidOf(found.of));
    try {
      const named = { name: volume.name, universe: volume.universe, snapshot };
      await this.parts.orders.at(server, 'volume-snapshot-remove', { ...named, request: this.parts.newId() });
    } catch (thrown) {
      if (toRsError(thrown).code !== 'E_UNKNOWN_SNAPSHOT') throw thrown;
    }
    return {};
  }

  /** Returns null if there is no such snapshot. */
  async find(wanted: SnapshotId): Promise<FoundSnapshot | null> {
    if (wanted.of.kind === 'mirror') return this.parts.mirrorSnapshots.find(wanted);
    const of = await this.parts.volumes.byId(wanted.of.uuid);
    const found = of?.snapshots.find(({ id }) => id === wanted.snapshot);
    return of === null || found === undefined ? null : foundIn(of, found);
  }

  async get(snapshotId: string): Promise<{ readonly snapshot: CsiSnapshot }> {
    const text = filled(snapshotId, 'snapshot_id');
    const id = parseSnapshotId(text);
    const found = id === null ? null : await this.find(id);
    if (found === null) throw new CsiError('NOT_FOUND', `Snapshot ${quoteText(text)} does not exist: name one that exists`);
    return { snapshot: messageOf(found) };
  }

  async list(
    request: ListSnapshotsRequest,
  ): Promise<{ readonly entries: readonly { readonly snapshot: CsiSnapshot }[]; readonly nextToken: string }> {
    const max = entriesOf(request.maxEntries, LIST_ENTRIES_MAX);
    const all = await this.wanted(request);
    const { page, nextToken } = pageOf(all, ({ snapshotId }) => snapshotId, request.startingToken, max);
    return { entries: page.map((snapshot) => ({ snapshot })), nextToken };
  }

  async createGroup({ name, sourceVolumeIds }: GroupRequest): Promise<{ readonly groupSnapshot: Group }> {
    const snapshotName = groupNameOf(filled(name, 'name'));
    if (sourceVolumeIds.length === 0) throw invalid('Field source_volume_ids is empty: name at least one volume');
    if (sourceVolumeIds.length > GROUP_VOLUMES_MAX || new Set(sourceVolumeIds).size !== sourceVolumeIds.length)
      throw invalid(`Field source_volume_ids names a volume twice or more than ${GROUP_VOLUMES_MAX} volumes: correct it`);
    const sources = await Promise.all(
      sourceVolumeIds.map(async (text) => {
        const mirror = await this.mirrorOf(filled(text, 'source_volume_ids'));
        if (mirror === null) return this.source(text);
        const why = `Mirror ${mirror.name} cannot be in a group snapshot, because it shares no moment with other volumes`;
        throw new CsiError('FAILED_PRECONDITION', `${why}: make its snapshot alone`);
      }),
    );
    const servers = new Set(sources.map(({ server }) => server));
    if (servers.size > 1)
      throw invalid(`The volumes of a group snapshot are on ${[...servers].join(' and ')}: only volumes of one server can have one moment`);
    const known = sources.flatMap(({ snapshots }) => snapshots.filter(({ snapshot }) => snapshot === snapshotName));
    if (known.length > 0 && (known.length !== sources.length || new Set(known.map(({ group }) => group)).size > 1))
      throw new CsiError('ALREADY_EXISTS', `Group snapshot ${quoteText(name)} exists with other volumes: choose another name`);
    const own = new Set(sources.map(({ volume }) => volume.id));
    await this.refuseSameName(snapshotName, ({ id }) => own.has(id));
    return { groupSnapshot: groupOf(sources, known.length > 0 ? known : await this.taken(sources, snapshotName)) };
  }

  async deleteGroup({ groupSnapshotId, snapshotIds }: GroupSnapshotRequest): Promise<object> {
    const group = parseGroupId(filled(groupSnapshotId, 'group_snapshot_id'));
    if (group === null) return {};
    for (const text of bounded(snapshotIds)) {
      const id = parseSnapshotId(text);
      const found = id === null ? null : await this.find(id);
      if (found === null) continue;
      if (found.snapshot.group !== group)
        throw invalid(`Snapshot ${text} does not belong to group snapshot ${groupSnapshotId}: correct the list`);
      await this.delete(text);
    }
    return {};
  }

  async getGroup({ groupSnapshotId, snapshotIds }: GroupSnapshotRequest): Promise<{ readonly groupSnapshot: Group }> {
    const text = filled(groupSnapshotId, 'group_snapshot_id');
    const group = parseGroupId(text);
    const missing = new CsiError(
      'NOT_FOUND',
      `Group snapshot ${quoteText(text)} does not exist with these snapshots: name those that exist`,
    );
    if (group === null || snapshotIds.length === 0) throw missing;
    const found = await Promise.all(
      bounded(snapshotIds).map(async (one) => {
        const id = parseSnapshotId(one);
        return id === null ? null : this.find(id);
      }),
    );
    const whole = found.flatMap((one) => (one === null || one.snapshot.group !== group ? [] : [one]));
    if (whole.length !== snapshotIds.length) throw missing;
    return {
      groupSnapshot: groupOf(
        whole.map(({ of }) => of),
        whole.map(({ snapshot }) => snapshot),
      ),
    };
  }

  /** Returns the mirror with this id; null if it does not exist, or if the id is of a volume. */
  private async mirrorOf(text: string): Promise<MirrorSummary | null> {
    const id = parseVolumeId(text);
    return id?.kind === 'mirror' ? this.parts.volumes.mirror(id.uuid) : null;
  }

  private async source(text: string): Promise<Found> {
    const id = parseVolumeId(text);
    const found = id?.kind !== 'volume' ? null : await this.parts.volumes.byId(id.uuid);
    if (found === null) throw new CsiError('NOT_FOUND', `Volume ${quoteText(text)} does not exist: name one that exists`);
    return found;
  }

  private async taken(sources: readonly Found[], snapshot: string): Promise<readonly SnapshotView[]> {
    const [{ server } = { server: '' }] = sources;
    const snapshots = sources.map(({ volume: { name, universe } }) => ({ name, universe, snapshot }));
    for (const source of sources) this.names.delete(uuidOf(source));
    try {
      return (await this.parts.orders.at(server, 'volume-snapshot', { snapshots, request: this.parts.newId() })).snapshots;
    } catch (thrown) {
      if (toRsError(thrown).code !== 'E_EXISTS') throw thrown;
      // A driver that was killed may already have made the same snapshots.
      const again = await Promise.all(sources.map((source) => this.parts.volumes.byId(uuidOf(source))));
      const made = again.flatMap((one) => one?.snapshots.filter((each) => each.snapshot === snapshot) ?? []);
      if (made.length !== sources.length || new Set(made.map(({ group }) => group)).size > 1) throw thrown;
      return made;
    }
  }

  /**
   * Throws ALREADY_EXISTS if another volume or mirror has a snapshot with this name, because names of snapshots are unique for orchestrators.
   * `isOwn`: the volume, or a replica of the mirror, for which the name is wanted.
   */
  private async refuseSameName(name: string, isOwn: (volume: ManagedVolumeView) => boolean): Promise<void> {
    const others = (await this.withSnapshots()).filter(({ volume }) => !isOwn(volume));
    const owner = (
      await severalAtOnce(others, ORDERS_AT_ONCE_MAX, async (one) => ((await this.namesOf(one)).includes(name) ? one : null))
    ).find((one) => one !== null);
    if (owner !== undefined)
      throw new CsiError('ALREADY_EXISTS', `Snapshot ${name} exists, and is of volume ${owner.volume.name}: choose another name`);
  }

  private async namesOf({ volume: { id, snapshots: count } }: Listed): Promise<readonly string[]> {
    const uuid = id ?? '';
    const known = this.names.get(uuid);
    if (known?.count === count) return known.names;
    const shown = await this.parts.volumes.byId(uuid);
    const names = shown?.snapshots.flatMap(({ snapshot, moment }) => (moment?.isProven === false ? [] : [snapshot])) ?? [];
    if (this.names.size >= PLACES_REMEMBERED_MAX) this.names.clear();
    this.names.set(uuid, { count, names });
    return names;
  }

  /** Returns the volumes and replicas that the driver has created and that have snapshots. */
  private async withSnapshots(): Promise<Listed[]> {
    const site = await this.parts.orders.site();
    const listed = await this.parts.volumes.listed(site);
    return listed.filter(({ volume }) => volume.owner === site.nodename && volume.snapshots > 0);
  }

  /** Returns all snapshots of the volumes and mirrors that the driver has created. */
  private async all(): Promise<FoundSnapshot[]> {
    const found = await severalAtOnce(await this.withSnapshots(), ORDERS_AT_ONCE_MAX, ({ volume }) =>
      this.parts.volumes.byId(volume.id ?? ''),
    );
    const shown = found.flatMap((of) => (of === null ? [] : [of]));
    const mirrors = [...new Set(shown.flatMap(({ volume: { mirror } }) => (mirror === null ? [] : [mirror])))];
    const ofMirror = (uuid: string): readonly Found[] => shown.filter(({ volume }) => volume.mirror === uuid);
    const plain = shown.filter(({ volume }) => volume.mirror === null);
    return [...plain.flatMap(snapshotsOf), ...mirrors.flatMap((uuid) => snapshotsIn(uuid, ofMirror(uuid)))];
  }

  private async wanted({ snapshotId, sourceVolumeId }: ListSnapshotsRequest): Promise<CsiSnapshot[]> {
    if (snapshotId !== '') {
      const id = parseSnapshotId(snapshotId);
      const found = id === null ? null : await this.find(id);
      return found === null ? [] : [messageOf(found)];
    }
    if (sourceVolumeId !== '') {
      const id = parseVolumeId(sourceVolumeId);
      if (id?.kind === 'mirror') return (await this.parts.mirrorSnapshots.list(id.uuid)).map(messageOf);
      const of = id === null ? null : await this.parts.volumes.byId(id.uuid);
      return of === null ? [] : snapshotsOf(of).map(messageOf);
    }
    return (await this.all()).map(messageOf);
  }
}

function foundIn(of: Found, snapshot: SnapshotView): FoundSnapshot {
  return { of, snapshot, source: { kind: 'volume', uuid: uuidOf(of) }, places: [{ of, snapshot }] };
}

function snapshotsOf(of: Found): FoundSnapshot[] {
  return of.snapshots.map((snapshot) => foundIn(of, snapshot));
}

function messageOf({ snapshot, source }: FoundSnapshot): CsiSnapshot {
  return snapshotMessage(snapshot, source);
}

function bounded(snapshotIds: readonly string[]): readonly string[] {
  if (snapshotIds.length > GROUP_VOLUMES_MAX) throw invalid(`Field snapshot_ids has more than ${GROUP_VOLUMES_MAX} entries: remove some`);
  return snapshotIds;
}

function groupOf(sources: readonly Found[], snapshots: readonly SnapshotView[]): Group {
  const [first] = snapshots;
  const id = groupIdOf(first!);
  const messages = snapshots.map((snapshot) => {
    const of = sources.find(({ volume }) => volume.name === snapshot.name && volume.universe === snapshot.universe) ?? sources[0]!;
    return snapshotMessage(snapshot, { kind: 'volume', uuid: uuidOf(of) }, id);
  });
  return { groupSnapshotId: id, snapshots: messages, creationTime: timestampOf(first!.createdMs), readyToUse: true };
}
