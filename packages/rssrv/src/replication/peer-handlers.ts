// Executes the methods about the peers of this server. The states come from the processes of the peers (peers/peer-process.ts). Invariant: no
// answer has a key.

import type { PEER_METHODS } from '@rsio/api/rssrv/peer-methods';
import type { PeerConfig } from '@rsio/common/config/schema/types';
import type { HandlersOf } from '@rsio/common/control/control-server';
import { printEndpoint } from '@rsio/base/lib/units';
import type { PoolState } from '../pools/catalogue.ts';
import type { Peers } from './peers/peers.ts';
import { awayFrom } from './peers/peers-here.ts';

export function peerHandlers(
  peers: Pick<Peers, 'state'>,
  configs: readonly PeerConfig[],
  pools: readonly PoolState[],
): HandlersOf<typeof PEER_METHODS> {
  return {
    'peer-list': () => ({
      peers: configs.map((config) => {
        const { name, addresses } = config;
        const { isConnected = false, pathsUp = 0, sinceMs = 0, trouble = awayFrom(config, pools) } = peers.state(name) ?? {};
        return {
          name,
          addresses: addresses.map(({ address, port }) => printEndpoint(address, port)),
          isConnected,
          pathsUp,
          sinceMs,
          trouble,
        };
      }),
    }),
  };
}
