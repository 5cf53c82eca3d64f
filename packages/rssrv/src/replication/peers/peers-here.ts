// Which peers this server connects to. Pure. A peer with `pools`, all of which are shared, is for the owner of one of them: the servers of a
// farm have this peer with one nodename, and a client can be only one of them at a time. Invariant: every other peer is connected always.

import type { PeerConfig } from '@rsio/common/config/schema/types';
import type { PoolState } from '../../pools/catalogue.ts';

type Pool = Pick<PoolState, 'name' | 'isShared' | 'ownership'>;

export function peersHere(peers: readonly PeerConfig[], pools: readonly Pool[]): readonly PeerConfig[] {
  return peers.filter((peer) => awayFrom(peer, pools) === null);
}

/** Returns why this server does not connect to the peer now; null if it does. */
export function awayFrom({ pools: names }: Pick<PeerConfig, 'pools'>, pools: readonly Pool[]): string | null {
  if (names === null || names.length === 0) return null;
  const owned = names.map((name) => pools.find((pool) => pool.name === name));
  const isAway = owned.every((pool) => pool !== undefined && pool.isShared && pool.ownership === null);
  return isAway ? `It is for the owner of pool ${names.join(', ')}, and this server is not the owner now: see rsadm farm` : null;
}
