// Computes the positions in the diagram. Pure. Invariant: positions depend on names and faults, not on figures. With more than
// CLIENTS_DRAWN clients, those with a fault are drawn first.

import type { Client, Path, Picture, Pool, Server, Volume } from '../model/picture.ts';
import { byName, groupsOf } from '../markup/lists.ts';
import { CLIENTS_DRAWN, VOLUMES_DRAWN } from '../limits.ts';

const WIDTH = 1180;
const CLIENT_WIDTH = 178;
const CLIENT_HEIGHT = 20;
const CLIENT_PITCH = 24;
const GAP = 12;
const SERVER_X = 660;
const HEAD = 36;
const CELL_PITCH = 14;
const POOL_HEAD = 20;
const PADDING = 14;
const ROWS_IN_ONE_COLUMN = 14;

interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
}

export interface PlacedClient extends Box {
  readonly client: Client;
  readonly height: number;
  readonly paths: number;
  readonly down: number;
}

export interface PlacedPool extends Box {
  /** The pool of the volumes; null for the volumes that are configured by sections of rssrvcfg. */
  readonly pool: Pool | null;
  readonly name: string;
  readonly volumes: readonly Volume[];
  /** Number of the pool's volumes that are not drawn. */
  readonly left: number;
  readonly perRow: number;
}

export interface PlacedServer extends Box {
  readonly server: Server;
  readonly height: number;
  readonly pools: readonly PlacedPool[];
}

/** All paths between a client and a server. */
export interface Trunk {
  /** Right edge of the columns with clients. The line runs between the rows of clients until it reaches this edge. */
  readonly edge: number;
  readonly x1: number;
  readonly y1: number;
  readonly x2: number;
  readonly y2: number;
  readonly paths: number;
  readonly down: number;
  readonly bytesPerSecond: number;
}

export interface Layout {
  readonly width: number;
  readonly height: number;
  readonly clients: readonly PlacedClient[];
  readonly servers: readonly PlacedServer[];
  readonly trunks: readonly Trunk[];
}

export function layoutOf(picture: Picture): Layout {
  const byClient = groupsOf(picture.paths, ({ client }) => client);
  const clients = placedClients(clientsDrawn(picture), byClient);
  const servers = placedServers(picture);
  const clientsEnd = Math.max(0, ...clients.map(({ y, height }) => y + height));
  const serversEnd = Math.max(0, ...servers.map(({ y, height }) => y + height));
  return { width: WIDTH, height: Math.max(clientsEnd, serversEnd, 40) + 4, clients, servers, trunks: trunksOf(clients, servers, byClient) };
}

export function clientsDrawn({ clients, paths }: Picture): readonly Client[] {
  if (clients.length <= CLIENTS_DRAWN) return byName(clients);
  const broken = new Set(paths.filter(isDown).map(({ client }) => client));
  const rankOf = ({ id, state }: Client): number => (state === 'silent' || broken.has(id) ? 0 : state === 'connected' ? 1 : 2);
  return byName(
    byName(clients)
      .toSorted((a, b) => rankOf(a) - rankOf(b))
      .slice(0, CLIENTS_DRAWN),
  );
}

function isDown({ state }: Path): boolean {
  return state !== 'up' && state !== 'retired' && state !== 'probation';
}

function placedClients(clients: readonly Client[], paths: ReadonlyMap<string, readonly Path[]>): PlacedClient[] {
  const columns = clients.length > ROWS_IN_ONE_COLUMN ? 2 : 1;
  const rows = Math.ceil(clients.length / columns);
  return clients.map((client, index) => {
    const own = paths.get(client.id) ?? [];
    return {
      client,
      x: 2 + Math.floor(index / rows) * (CLIENT_WIDTH + GAP),
      y: 2 + (index % rows) * CLIENT_PITCH,
      width: CLIENT_WIDTH,
      height: CLIENT_HEIGHT,
      paths: own.length,
      down: own.filter(isDown).length,
    };
  });
}

function placedServers({ servers, pools, volumes }: Picture): PlacedServer[] {
  const volumesOf = groupsOf(volumes, ({ server, pool }) => `${server}\n${pool ?? ''}`);
  const width = WIDTH - SERVER_X - 2;
  let top = 2;
  return byName(servers).map((server) => {
    const placed: PlacedPool[] = [];
    let y = top + HEAD;
    const own: (Pool | null)[] = [...byName(pools.filter((pool) => pool.server === server.id)), null];
    const perRow = Math.floor((width - 2 * PADDING) / CELL_PITCH);
    for (const pool of own) {
      const all = volumesOf.get(`${server.id}\n${pool?.id ?? ''}`) ?? [];
      if (pool === null && all.length === 0) continue;
      const shown = byName(all).slice(0, VOLUMES_DRAWN);
      const left = all.length - shown.length;
      placed.push({
        pool,
        name: pool?.name ?? 'without a pool',
        volumes: shown,
        left,
        x: SERVER_X + PADDING,
        y,
        width: width - 2 * PADDING,
        perRow,
      });
      y += POOL_HEAD + Math.ceil(shown.length / perRow) * CELL_PITCH + (left > 0 ? 16 : 0) + 8;
    }
    const box = { server, x: SERVER_X, y: top, width, height: y - top + 4, pools: placed };
    top = y + 4 + GAP;
    return box;
  });
}

function trunksOf(
  clients: readonly PlacedClient[],
  servers: readonly PlacedServer[],
  paths: ReadonlyMap<string, readonly Path[]>,
): Trunk[] {
  const edge = Math.max(0, ...clients.map(({ x, width }) => x + width));
  return clients.flatMap(({ client, x, y, width, height }) =>
    [...groupsOf(paths.get(client.id) ?? [], ({ server }) => server)].flatMap(([id, own]) => {
      const to = servers.find(({ server }) => server.id === id);
      if (to === undefined) return [];
      const bytesPerSecond = own.reduce((sum, path) => sum + (path.sentBytesPerSecond ?? 0) + (path.receivedBytesPerSecond ?? 0), 0);
      return [
        {
          edge,
          x1: x + width,
          y1: y + height / 2,
          x2: to.x,
          y2: to.y + 18,
          paths: own.length,
          down: own.filter(isDown).length,
          bytesPerSecond,
        },
      ];
    }),
  );
}
