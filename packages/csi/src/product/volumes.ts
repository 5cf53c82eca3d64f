// Finds volumes and mirrors on the servers by their ids. Remembers where a volume was, so that most look-ups ask one server for one
// volume. Invariant: a volume counts as missing only if every server of the namespace has answered.

import type { ManagedVolumeView, SnapshotView } from '@rsio/api/views/views';
import type { MirrorSummary } from '@rsio/api/views/mirror-views';
import { toRsError } from '@rsio/base/lib/errors';
import { quoteText } from '@rsio/base/lib/units';
import { ORDERS_AT_ONCE_MAX, PLACES_REMEMBERED_MAX } from '../limits.ts';
import { CsiError } from '../rpc/status.ts';
import { severalAtOnce } from '@rsio/base/structures/concurrency';
import type { Orders, Site } from './orders.ts';

export interface Found {
  readonly server: string;
  readonly volume: ManagedVolumeView;
  readonly snapshots: readonly SnapshotView[];
}

export interface Listed {
  readonly server: string;
  readonly volume: ManagedVolumeView;
}

interface VolumePlace {
  readonly server: string;
  readonly name: string;
  readonly universe: number;
}

export class Volumes {
  private readonly orders: Orders;
  /** Where each volume was last. The oldest entry is dropped first. */
  private readonly places = new Map<string, VolumePlace>();

  constructor(orders: Orders) {
    this.orders = orders;
  }

  /** Returns the volume with this name on a server; null if there is none. */
  async named(server: string, name: string): Promise<Found | null> {
    return this.shown({ server, name, universe: 0 });
  }

  /** Returns the volume at this place; null if there is none. */
  async shown({ server, name, universe }: VolumePlace): Promise<Found | null> {
    try {
      const { volume, snapshots } = await this.orders.at(server, 'volume-show', { name, universe });
      this.remember(server, volume);
      return { server, volume, snapshots };
    } catch (thrown) {
      if (toRsError(thrown).code === 'E_UNKNOWN_VOLUME') return null;
      throw thrown;
    }
  }

  /** Returns the volume with this id; null if no server has it. Throws UNAVAILABLE if a server that may have it does not answer. */
  async byId(uuid: string): Promise<Found | null> {
    const place = this.places.get(uuid);
    if (place !== undefined) {
      // The volume may have moved to another server, or this server may not answer. In both cases, all servers are asked.
      const found = await this.shown(place).catch(() => null);
      if (found !== null && found.volume.id === uuid) return found;
      this.places.delete(uuid);
    }
    const site = await this.orders.site();
    const all = await this.listed(site);
    // A volume of a shared pool is listed by its owner.
    const [listed] = all.filter(({ volume }) => volume.id === uuid);
    if (listed !== undefined) {
      const { server, volume } = listed;
      const found = await this.shown({ server, name: volume.name, universe: volume.universe });
      if (found !== null && found.volume.id === uuid) return found;
    }
    this.refuseGaps(site, `volume ${uuid}`);
    return null;
  }

  /** Returns all volumes of the servers that answer, each once. */
  async listed(site: Site): Promise<Listed[]> {
    const servers = site.places.filter(({ trouble }) => trouble === null).map(({ server }) => server);
    const lists = await severalAtOnce(servers, ORDERS_AT_ONCE_MAX, async (server) => {
      const { volumes } = await this.orders.at(server, 'volume-list', { pool: null });
      return volumes.map((volume) => ({ server, volume }));
    });
    const all = new Map<string, Listed>();
    for (const one of lists.flat()) {
      const { id } = one.volume;
      if (id === null) continue;
      const known = all.get(id);
      if (known === undefined || (known.volume.state !== 'served' && one.volume.state === 'served')) all.set(id, one);
    }
    for (const { server, volume } of all.values()) this.remember(server, volume);
    return [...all.values()];
  }

  /** Throws UNAVAILABLE, naming the server, if a server of the namespace does not answer. `what`: what was not found. */
  refuseGaps({ places }: Site, what: string): void {
    const silent = places.find(({ trouble }) => trouble !== null);
    if (silent !== undefined)
      throw new CsiError(
        'UNAVAILABLE',
        `The servers that answer do not have ${what}, and ${silent.trouble}: repeat the call when it answers`,
      );
  }

  /** Returns the mirror with this id; null if no voter knows it. Throws UNAVAILABLE if that is not certain. */
  async mirror(uuid: string): Promise<MirrorSummary | null> {
    const site = await this.orders.site();
    const { found, gap } = await this.mirrorOf(site, ({ mirror }) => mirror === uuid);
    if (found !== null) return found;
    if (gap !== null) throw new CsiError('UNAVAILABLE', `Mirror ${uuid} was not found, and ${gap}: repeat the call when it answers`);
    const replica = (await this.listed(site)).find(({ volume }) => volume.mirror === uuid);
    if (replica !== undefined)
      throw new CsiError(
        'UNAVAILABLE',
        `rsiod does not list mirror ${uuid}, and server ${replica.server} has its replica ${replica.volume.name}: repeat the call`,
      );
    return null;
  }

  /** Returns the mirror with this name, made by this driver or by a person; null if there is none. */
  async mirrorNamed(name: string): Promise<MirrorSummary | null> {
    const site = await this.orders.site();
    return (await this.mirrorOf(site, (one) => one.name === name && one.universe === 0)).found;
  }

  forget(uuid: string): void {
    this.places.delete(uuid);
  }

  /** Asks rsiod for its mirrors. Its list may be older than a mirror that was just created, and is then refreshed. */
  private async mirrorOf(
    { namespace }: Site,
    isWanted: (one: MirrorSummary) => boolean,
  ): Promise<{ readonly found: MirrorSummary | null; readonly gap: string | null }> {
    const ask = () => this.orders.own('mirrors', { namespace });
    const before = (await ask()).mirrors.find(isWanted);
    if (before !== undefined) return { found: before, gap: null };
    await this.orders.own('query', { refresh: true });
    const { mirrors, gaps } = await ask();
    return { found: mirrors.find(isWanted) ?? null, gap: gaps[0] ?? null };
  }

  private remember(server: string, { id, name, universe }: ManagedVolumeView): void {
    if (id === null) return;
    this.places.delete(id);
    this.places.set(id, { server, name, universe });
    if (this.places.size <= PLACES_REMEMBERED_MAX) return;
    const [oldest] = this.places.keys();
    if (oldest !== undefined) this.places.delete(oldest);
  }
}

/** Returns the id of a volume. A server gives an id to every volume that it serves. Throws UNAVAILABLE. */
export function uuidOf({ volume, server }: Pick<Found, 'volume' | 'server'>): string {
  if (volume.id !== null) return volume.id;
  throw new CsiError('UNAVAILABLE', `Server ${server} does not serve volume ${quoteText(volume.name)}: ${volume.reason ?? 'see its log'}`);
}
