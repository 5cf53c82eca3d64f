// Makes the ids of the elements of a picture, and the paths of their pages. Pure. Invariant: an object has the same id whether its server
// or a client reports it.

import { servedNameParts } from '@rsio/base/lib/volume-name';

export function hrefOf(page: 'volume' | 'client' | 'server' | 'pool' | 'mirror', id: string): string {
  return `/${page}/${encodeURIComponent(id)}`;
}

export function serverId(name: string): string {
  return name;
}

export function clientId(name: string): string {
  return name;
}

export function poolId(server: string, name: string): string {
  return `${server}:${name}`;
}

/** Returns the id of an application as the client `reporter` sees it. */
export function applicationId(reporter: string, name: string): string {
  return `${reporter}:${name}`;
}

/** Returns the id of a work, a replication or a gate of the server or client `reporter`. A server and a client may have the same name. */
export function workId(by: 'server' | 'client', reporter: string, id: string): string {
  return `${by}:${reporter}:${id}`;
}

/** Returns the id of a volume in a picture. `id`: the volume's own id; null if the server has not assigned an id yet. */
export function volumeId(id: string | null, server: string, name: string, universe: number): string {
  return id ?? `${server}:${name}@${universe}`;
}

/**
 * Returns the id of a path. The id contains the addresses of both ends, which the server and the client both report, so that both reports
 * give the same id.
 */
export function pathId(client: string, localAddress: string, server: string, address: string): string {
  return `${client}:${localAddress}>${server}:${address}`;
}

/** Parses the label of a volume in statistics and events, such as `oracle@0` or `osl:oracle@0`. */
export function namedVolume(label: string): { readonly name: string; readonly universe: number } {
  const plain = label.slice(label.indexOf(':') + 1);
  const { volume, snapshot } = servedNameParts(plain);
  const universe = Number(/^\d+/.exec(snapshot ?? '0')?.[0] ?? 0);
  return { name: volume, universe };
}
