// Table of the section [peer NAME] of rssrvcfg: a server that this server connects to as a client, to copy volumes from it. The reader is
// reader/peers.ts.

import { needed, optional, withDefault } from './entries.ts';
import { NAMESPACEID_MAX } from '@rsio/base/lib/limits';
import * as types from './value-types.ts';

export const PEER_SECTION = {
  hasName: true,
  occurs: 'any number',
  below: null,
  lines: null,
  help: 'A server that this server connects to as a client, to copy volumes from it. NAME is the name in [server] of the other server, which proves it',
  keys: {
    address: needed(types.peerAddresses, 'Addresses of the peer, one path for each. The kernel chooses the address of this server'),
    port: optional(types.port, 'Port of the addresses without one. Inherited from [namespace]'),
    nodename: optional(types.name, 'Name of this server in [clients] of the peer. Default: the name in [server]'),
    nodekey: needed(types.keyText, 'Key of this server in [clients] of the peer'),
    serverkey: optional(types.keyText, 'Key with which the peer must prove its identity; the peer sets the same key in its [server]'),
    namespaceid: optional(types.integer(0, NAMESPACEID_MAX), 'Number of the namespace of the peer. Inherited from [namespace]'),
    tls: withDefault(types.offOn, 'off', 'Whether paths to the peer are encrypted with TLS 1.3; with on, a peer that refuses is not used'),
    digest: withDefault(types.offOn, 'off', 'Whether frames carry CRC-32 checksums in addition to the checksums of TCP'),
    pools: withDefault(types.poolNames, 'all', 'Pools of this server in which orders of the peer may make followers of its volumes'),
  },
} as const;

/**
 * Name of a server as a client of its peers, which rsconfig peer add gives it: a server and an rsiod on one machine often have one name, and a
 * client has one session.
 */
export const peerClientOf = (server: string): string => `peer-${server}`;
