// Table of the sections and keys of the file of a namespace: what all its servers have in common. namespace-file.ts reads the file,
// namespace-edit.ts compares it with the rssrvcfg of a server.

import type { FileSchema } from './entries.ts';
import { needed, optional, withDefault } from './entries.ts';
import { bandwidthType, burstType, iopsType } from './io-limits.ts';
import { PEER_SECTION } from './peer-section.ts';
import { SCHEMA } from './schema.ts';
import * as types from './value-types.ts';

const anyNumber = { hasName: true, occurs: 'any number', below: null, lines: null } as const;
const serverKeys = SCHEMA.rssrvcfg.namespace.keys;

/** What a client may do. */
const LIMITS = {
  iops: optional(iopsType, 'Maximum READ, WRITE, DISCARD and ZERO requests per second of a client, over all its volumes of one server'),
  bandwidth: optional(bandwidthType, 'Maximum bytes per second in READ and WRITE requests of a client, over all its volumes of one server'),
  burst: optional(burstType, 'Time for which unused iops and bandwidth accumulate for a later burst'),
} as const;

const state = withDefault(
  types.choice('present', 'absent'),
  'present',
  'Whether the servers have it (absent: each server removes it, also one that was away when the section was changed)',
);

export const NAMESPACE_SECTIONS = {
  namespace: {
    ...anyNumber,
    occurs: 'once',
    help: 'The namespace of the servers. A key that is not set stays on each server as it is',
    keys: {
      namespaceid: needed(serverKeys.namespaceid.type, 'Number of the namespace; a server with another number refuses the file'),
      namespacekey: optional(types.keyText, serverKeys.namespacekey.help),
      'namespacekey-file': optional(types.filledText, 'File with the namespacekey, relative to the folder of this file'),
      explore: optional(serverKeys.explore.type, serverKeys.explore.help),
      tls: optional(serverKeys.tls.type, serverKeys.tls.help),
      tenants: optional(serverKeys.tenants.type, serverKeys.tenants.help),
    },
  },
  group: {
    ...anyNumber,
    help: 'Rights and limits that several clients have. A limit applies to each client alone',
    keys: {
      rights: optional(
        types.filledText,
        'Right of each client of the group, as in [rights] of rssrvcfg, such as manage pool=fast limit=500g',
      ),
      ...LIMITS,
    },
  },
  client: {
    ...anyNumber,
    help: 'A client of all servers of the namespace',
    keys: {
      key: optional(types.keyText, 'Key of the client. A server that has another key accepts both, until the client uses this one'),
      'key-file': optional(types.filledText, 'File with the key, relative to the folder of this file'),
      group: optional(types.name, 'Name of a [group] whose rights and limits the client has, unless its section sets its own'),
      rights: optional(
        types.filledText,
        'Right of the client, as in [rights] of rssrvcfg; use if neither the section nor the group sets it. A pool that a server does not have is left out there',
      ),
      ...LIMITS,
      state,
    },
  },
  peer: {
    ...anyNumber,
    help: 'A server from which one server of the namespace copies volumes; several servers have a section each with the same NAME',
    keys: {
      server: needed(types.name, 'Name of the server that connects to the peer'),
      ...PEER_SECTION.keys,
      nodekey: optional(types.keyText, PEER_SECTION.keys.nodekey.help),
      'nodekey-file': optional(types.filledText, 'File with the nodekey, relative to the folder of this file'),
      'serverkey-file': optional(types.filledText, 'File with the serverkey, relative to the folder of this file'),
      state,
    },
  },
} as const satisfies FileSchema;

/** The keys that name a file with a key, each with the key that takes its place. */
export const KEY_FILES = {
  'namespacekey-file': 'namespacekey',
  'key-file': 'key',
  'nodekey-file': 'nodekey',
  'serverkey-file': 'serverkey',
} as const;
