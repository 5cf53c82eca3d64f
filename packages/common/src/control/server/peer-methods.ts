// The methods of rssrv about its peers: servers that it connects to as a client, to copy volumes. The rules for changing a table are in
// docs/CONTROL.md. Invariant: rssrv has a handler for each method (replication/peer-handlers.ts), and no answer has a key.

import { CONTROL_ANSWER_MS } from '../limits.ts';
import { method } from '../method-table.ts';
import { count, flag, list, number, object, type Of, orNull, text } from '../../lib/shape.ts';

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
  'peer-list': method('The peers of this server, and their connections', {}, object({ peers: list(PEER) }), CONTROL_ANSWER_MS),
} as const;
