// ListVolumes, ControllerGetVolume, GetCapacity and ValidateVolumeCapabilities: which volumes exist, and which are possible.
// Nothing here changes anything. Invariant: a list has only volumes that the driver has created, so that an orchestrator never claims
// volumes of others.

import { roomBytes } from '@rsio/api/views/capacity';
import type { PoolView } from '@rsio/api/views/views';
import { quoteText } from '@rsio/base/lib/units';
import { LIST_ENTRIES_MAX, SIZE_UNIT_BYTES } from '../limits.ts';
import { isUnfinished, parseVolumeId } from '../product/ids.ts';
import type { Site } from '../product/orders.ts';
import { topologyOf, TOPOLOGY_KEY } from '../product/topology.ts';
import { type Listed, uuidOf } from '../product/volumes.ts';
import { entriesOf, filled, isForSeveralWriters, usesOf } from '../rpc/fields.ts';
import type { CapacityRequest, Condition, CsiVolume, ListRequest, ValidateRequest } from '../rpc/messages.ts';
import { CsiError, toCsiError } from '../rpc/status.ts';
import { conditionOf, mirrorCondition, publishedNodes, volumeMessage } from './answers.ts';
import type { ControllerParts } from './controller-parts.ts';
import type { Mirrors } from './mirrors.ts';
import { pageOf } from './pages.ts';
import { mutableSettingsOf, parametersOf } from './parameters.ts';

interface ListingParts extends ControllerParts {
  readonly mirrors: Mirrors;
}

interface Entry {
  readonly volume: CsiVolume;
  readonly status: { readonly publishedNodeIds: readonly string[]; readonly volumeCondition: Condition };
}

export class Listing {
  private readonly parts: ListingParts;

  constructor(parts: ListingParts) {
    this.parts = parts;
  }

  async list({ maxEntries, startingToken }: ListRequest): Promise<{ readonly entries: readonly Entry[]; readonly nextToken: string }> {
    const max = entriesOf(maxEntries, LIST_ENTRIES_MAX);
    const site = await this.parts.orders.site();
    const listed = await this.parts.volumes.listed(site);
    this.parts.volumes.refuseGaps(site, 'all volumes');
    const entries = entriesFrom(listed, site);
    const { page, nextToken } = pageOf(entries, ({ volume }) => volume.volumeId, startingToken, max);
    return { entries: page, nextToken };
  }

  async get(volumeId: string): Promise<Entry> {
    const id = parseVolumeId(filled(volumeId, 'volume_id'));
    const site = await this.parts.orders.site();
    if (id?.kind === 'mirror') {
      const mirror = await this.parts.volumes.mirror(id.uuid);
      if (mirror !== null) {
        const volume = volumeMessage({ kind: 'mirror', uuid: id.uuid, sizeBytes: mirror.sizeBytes ?? 0 }, site, null, null);
        const publishedNodeIds = [...new Set((await this.parts.mirrors.nodes(mirror, site)).flat())];
        return { volume, status: { publishedNodeIds, volumeCondition: mirrorCondition(mirror) } };
      }
    }
    const found = id?.kind !== 'volume' ? null : await this.parts.volumes.byId(id.uuid);
    if (found === null) throw new CsiError('NOT_FOUND', `Volume ${quoteText(volumeId)} does not exist: name one that exists`);
    return entryOf(found, site);
  }

  async capacity({ volumeCapabilities, parameters, accessibleTopology }: CapacityRequest): Promise<object> {
    if (volumeCapabilities.length > 0) usesOf(volumeCapabilities);
    const { server, servers, pool } = parametersOf(parameters);
    const site = await this.parts.orders.site();
    const segment = accessibleTopology?.segments[TOPOLOGY_KEY];
    if (segment !== undefined && segment !== topologyOf(site).segments[TOPOLOGY_KEY]) return { availableCapacity: 0 };
    const named = servers ?? (server === null ? site.places.map((place) => place.server) : [server]);
    const rooms = await Promise.all(named.map((one) => this.roomOn(one, pool)));
    // Each replica of a mirror needs the whole size.
    const bytes = servers === null ? Math.max(0, ...rooms) : Math.min(...rooms);
    const whole = Math.floor(bytes / SIZE_UNIT_BYTES) * SIZE_UNIT_BYTES;
    return { availableCapacity: whole, maximumVolumeSize: { value: whole }, minimumVolumeSize: { value: SIZE_UNIT_BYTES } };
  }

  async validate({ volumeId, volumeContext, volumeCapabilities, parameters, mutableParameters }: ValidateRequest): Promise<object> {
    filled(volumeId, 'volume_id');
    if (volumeCapabilities.length === 0) usesOf(volumeCapabilities);
    const { volume } = await this.get(volumeId);
    try {
      parametersOf(parameters);
      mutableSettingsOf(mutableParameters);
      const isForMany = usesOf(volumeCapabilities).some(isForSeveralWriters);
      if (isForMany && !(await this.isShared(volume.volumeId))) return { confirmed: null, message: 'The volume is for one node at a time' };
    } catch (thrown) {
      const { status, message } = toCsiError(thrown);
      if (status !== 'INVALID_ARGUMENT') throw thrown;
      return { confirmed: null, message };
    }
    return { confirmed: { volumeContext, volumeCapabilities, parameters, mutableParameters }, message: '' };
  }

  private async isShared(volumeId: string): Promise<boolean> {
    const id = parseVolumeId(volumeId);
    return id?.kind === 'volume' && ((await this.parts.volumes.byId(id.uuid))?.volume.shared ?? false);
  }

  /** Returns the bytes of the largest volume that fits into one pool of the server. A server that does not answer has no room. */
  private async roomOn(server: string, pool: string | null): Promise<number> {
    try {
      const { pools } = await this.parts.orders.at(server, 'pool-list', {});
      return Math.max(0, ...pools.filter(({ name }) => pool === null || name === pool).map(roomOf));
    } catch (thrown) {
      if (toCsiError(thrown).status === 'UNAVAILABLE') return 0;
      throw thrown;
    }
  }
}

/** A pool may promise more than it has, up to its limit, but a new volume should find free space for all of its size. */
function roomOf(pool: PoolView): number {
  return pool.state === 'ready' ? Math.max(0, roomBytes(pool)) : 0;
}

/**
 * Returns the entries of the volumes that the driver has created. A mirror is one entry, and counts as published only to nodes that all its
 * replicas name. If a server was away, the orchestrator therefore publishes the mirror again.
 */
function entriesFrom(listed: readonly Listed[], site: Site): Entry[] {
  const entries = new Map<string, Entry>();
  for (const one of listed) {
    const { volume } = one;
    if (volume.owner !== site.nodename || isUnfinished(volume.name)) continue;
    const entry = entryOf(one, site);
    const { volumeId } = entry.volume;
    const before = entries.get(volumeId);
    entries.set(volumeId, before === undefined ? entry : joined(before, entry));
  }
  return [...entries.values()];
}

function joined({ volume, status: one }: Entry, { status: other }: Entry): Entry {
  const publishedNodeIds = one.publishedNodeIds.filter((node) => other.publishedNodeIds.includes(node));
  return {
    volume,
    status: { publishedNodeIds, volumeCondition: one.volumeCondition.abnormal ? one.volumeCondition : other.volumeCondition },
  };
}

function entryOf(one: Listed, site: Site): Entry {
  const { volume } = one;
  const kind = volume.mirror === null ? 'volume' : 'mirror';
  const whole = { kind, uuid: volume.mirror ?? uuidOf(one), sizeBytes: volume.sizeBytes ?? 0 } as const;
  return {
    volume: volumeMessage(whole, site, null, null),
    status: { publishedNodeIds: publishedNodes(volume, site), volumeCondition: conditionOf(volume) },
  };
}
