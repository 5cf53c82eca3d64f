// Makes the inventory of all servers: the volumes of pools and of sections, with the clients that hold them. Invariants: a server that does
// not answer is listed with the reason and does not hide the other servers; the wait for such a server takes at most INVENTORY_WAIT_MS.

import type { VolumeView } from '@rsio/api/rsiod/methods';
import type { ServerMethods } from '@rsio/api/rssrv/server-methods';
import { type ManagedVolumeView, REMOVED, VOLUME } from '@rsio/api/views/views';
import { list, object, type Of, orNull, text, word } from '@rsio/base/lib/shape';
import { alignColumns, toText } from '@rsio/common/cli/table';
import { heldText, extraCells, extraHeadings, keptText, poolsText, volumeText } from '@rsio/api/views/server-tables';
import { shownSize } from '@rsio/base/lib/units';
import { formatTime } from '@rsio/base/log/log-line';
import type { CommandContext } from '../../cli/context.ts';
import { INVENTORY_WAIT_MS } from '../../limits.ts';
import type { Asked } from '@rsio/api/manage/asked-servers';
import { askAll, type PlaceFilter, placesOf } from './servers.ts';

const SERVER_STATES = ['answered', 'listed', 'silent'] as const;

export const INVENTORY_SHAPE = object({
  servers: list(
    object({
      namespace: text(),
      server: text(),
      state: word(SERVER_STATES, 'listed: the server told only what this client may attach; silent: it did not answer'),
      error: orNull(object({ code: text('Stable: E_...'), message: text() }), 'Why the server did not answer in full; null if it did'),
      volumes: list(VOLUME),
      removed: list(REMOVED, 'Removed volumes that can be restored'),
    }),
  ),
});

export type Inventory = Of<typeof INVENTORY_SHAPE>;
type ServerInventory = Inventory['servers'][number];

/** Asks all servers for their volumes. If `pool` is not null, the inventory contains only the volumes of this pool. */
export async function takeInventory(
  context: Pick<CommandContext, 'call' | 'clock'>,
  filter: PlaceFilter,
  pool: string | null,
): Promise<Inventory> {
  const places = await placesOf(context, filter);
  const asked = await askAll(context, places, 'volume-list', { pool }, INVENTORY_WAIT_MS);
  return { servers: asked.map((one) => inventoryOf(one, pool)) };
}

function inventoryOf({ place, result, error }: Asked<ServerMethods['volume-list']['result']>, pool: string | null): ServerInventory {
  const { namespace, server, isConnected, listed } = place;
  const at = { namespace, server };
  if (result !== null) return { ...at, state: 'answered', error: null, volumes: result.volumes, removed: result.removed };
  const shown = error === null ? null : { code: error.code, message: error.message };
  if (!isConnected) return { ...at, state: 'silent', error: shown, volumes: [], removed: [] };
  // A server that does not have this pool counts as a server that answered without volumes.
  if (error?.code === 'E_UNKNOWN_POOL') return { ...at, state: 'answered', error: shown, volumes: [], removed: [] };
  return { ...at, state: 'listed', error: shown, volumes: pool === null ? listed.map(listedVolume) : [], removed: [] };
}

/** Converts an entry of a server's list for this client. */
function listedVolume({ name, universe, id, blocks, blockSizeBytes, readonly, shared, holders, mirror }: VolumeView): ManagedVolumeView {
  return {
    name,
    universe,
    id,
    state: 'served',
    reason: null,
    sizeBytes: blocks * blockSizeBytes,
    usedBytes: null,
    blockSizeBytes,
    readonly,
    shared,
    thick: false,
    pool: null,
    path: null,
    layout: null,
    clients: null,
    takeOver: null,
    takeOverForce: false,
    owner: null,
    createdMs: null,
    holders,
    waitsForSpace: false,
    fullPool: null,
    limits: null,
    halt: null,
    bridged: null,
    snapshots: 0,
    schedule: null,
    image: null,
    mirror,
    follows: null,
    reflink: null,
  };
}

/** Returns a sentence for each server whose part of the inventory is missing or incomplete. */
export function gaps({ servers }: Inventory): string[] {
  return servers.flatMap(({ server, namespace, state, error }) => {
    if (state === 'silent') return [error?.message ?? `Server ${server} of ${namespace} does not answer`];
    if (state !== 'listed') return [];
    return [`Server ${server} of ${namespace} shows only what this client may attach: ${error?.message ?? 'it gave no reason'}`];
  });
}

/** Errors which mean that the server has answered, but shows this client nothing besides its list of volumes. */
const ANSWERS: readonly string[] = ['E_VERSION', 'E_RIGHTS', 'E_UNKNOWN_POOL'];

/** True if every server has answered. */
export function isComplete({ servers }: Inventory): boolean {
  return servers.every(({ error }) => error === null || ANSWERS.includes(error.code));
}

/** Returns the output of `volume list`; null if no server has a volume. */
export function inventoryTable({ servers }: Inventory, nowMs: number): string | null {
  const extra = extraHeadings(servers.flatMap(({ volumes }) => volumes));
  const rows = inOrder(servers, ({ volumes }) => volumes).map(({ at, volume }) => [
    `${at.namespace}:${volumeText(volume)}`,
    shownSize(volume.sizeBytes),
    shownSize(volume.usedBytes),
    at.server,
    poolsText(volume),
    String(volume.snapshots),
    heldText(volume),
    ...extraCells(volume, extra, nowMs),
  ]);
  const columns = ['VOLUME', '>SIZE', '>USED', 'SERVER', 'POOL', '>SNAPSHOTS', 'HELD BY', ...extra];
  return rows.length === 0 ? null : toText(alignColumns(columns, rows));
}

/** Returns the output of `volume list --removed`; null if no server has a removed volume. */
export function removedInventory({ servers }: Inventory, nowMs: number): string | null {
  const rows = inOrder(servers, ({ removed }) => removed).map(({ at, volume }) => [
    `${at.namespace}:${volumeText(volume)}`,
    shownSize(volume.sizeBytes),
    at.server,
    volume.pool,
    formatTime(volume.removedMs),
    volume.by ?? '-',
    keptText(volume.untilMs - nowMs),
  ]);
  return rows.length === 0 ? null : toText(alignColumns(['VOLUME', '>SIZE', 'SERVER', 'POOL', 'REMOVED', 'BY', 'KEPT FOR'], rows));
}

/** Sorts the volumes of all servers by namespace (in the order of the configuration), name and universe. */
function inOrder<V extends { readonly name: string; readonly universe: number }>(
  servers: readonly ServerInventory[],
  volumesOf: (server: ServerInventory) => readonly V[],
): { readonly at: ServerInventory; readonly volume: V }[] {
  const namespaces = [...new Set(servers.map(({ namespace }) => namespace))];
  const rows = servers.flatMap((at) => volumesOf(at).map((volume) => ({ at, volume })));
  return rows.toSorted(
    (a, b) =>
      namespaces.indexOf(a.at.namespace) - namespaces.indexOf(b.at.namespace) ||
      compare(a.volume.name, b.volume.name) ||
      a.volume.universe - b.volume.universe ||
      compare(a.at.server, b.at.server),
  );
}

function compare(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1;
}
