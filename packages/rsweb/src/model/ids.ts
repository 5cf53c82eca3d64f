// The ids of the elements of a picture, and the pages about them. Pure. Invariant: a server and its clients name the same object alike, whichever
// of them tells of it first.

import { servedNameParts } from '@rsio/common/lib/volume-name';

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

/** `id`: the identity of the content; null if there is none yet. */
export function volumeId(id: string | null, server: string, name: string, universe: number): string {
  return id ?? `${server}:${name}@${universe}`;
}

/** Both ends of a path know its addresses. */
export function pathId(client: string, localAddress: string, server: string, address: string): string {
  return `${client}:${localAddress}>${server}:${address}`;
}

/** Takes apart what statistics and events call a volume: `oracle@0`, or `osl:oracle@0`. */
export function namedVolume(label: string): { readonly name: string; readonly universe: number } {
  const plain = label.slice(label.indexOf(':') + 1);
  const { volume, snapshot } = servedNameParts(plain);
  const universe = Number(/^\d+/.exec(snapshot ?? '0')?.[0] ?? 0);
  return { name: volume, universe };
}
