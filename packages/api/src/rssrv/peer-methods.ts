// The methods of rssrv about its peers: servers that it connects to as a client, to copy volumes. The rules for changing a table are in
// docs/CONTROL.md. Invariant: rssrv has a handler for each method (replication/peer-handlers.ts), and no answer has a key.

import { count, flag, list, number, object, type Of, orNull, text } from '@rsio/base/lib/shape';
import { serverMethod } from './server-method.ts';

export const PEER = object({
  name: text(),
  addresses: list(text(), 'As ADDRESS:PORT; one path for each'),
  isConnected: flag(),
  pathsUp: count(),
  sinceMs: number('When the peer was connected, or lost'),
  trouble: orNull(text('Why the peer or one of its paths is not connected'), 'null: all paths are up'),
});
export type PeerView = Of<typeof PEER>;

export const PEER_METHODS = {
  'peer-list': serverMethod({
    help: 'The peers of this server, and their connections',
    right: null,
    reads: true,
    params: {},
    result: object({ peers: list(PEER) }),
    command: { byHand: 'peer list', because: 'rsadm has its texts' },
  }),
} as const;
