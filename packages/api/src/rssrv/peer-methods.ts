// The methods of rssrv about its peers: servers that it connects to as a client, to copy volumes. The rules for changing a table are in
// docs/CONTROL.md. Invariant: rssrv has a handler for each method (replication/peer-handlers.ts), and no answer has a key.

import { count, flag, list, number, object, type Of, orNull, text } from '@rsio/base/lib/shape';
import { alignColumns, toText } from '@rsio/common/cli/table';
import { formatTime } from '@rsio/base/log/log-line';
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

function peersTable(peers: readonly PeerView[]): string {
  const rows = peers.map(({ name, isConnected, pathsUp, addresses, sinceMs }) => {
    const since = sinceMs === 0 ? '-' : formatTime(sinceMs);
    return [name, isConnected ? 'connected' : 'absent', `${pathsUp} of ${addresses.length}`, since, addresses.join(' ')];
  });
  return toText(alignColumns(['PEER', 'STATE', '>PATHS', '>SINCE', 'ADDRESSES'], rows));
}

export const PEER_METHODS = {
  'peer-list': serverMethod({
    help: 'The peers of this server, and their connections',
    right: 'admin',
    reads: true,
    params: {},
    result: object({ peers: list(PEER) }),
    command: {
      words: 'peer list',
      about: 'server',
      only: 'rsadm',
      summary: 'lists the servers from which this server can copy volumes',
      example: 'peer list',
      says: ({ peers }) => ({
        ...(peers.length === 0 ? {} : { block: peersTable(peers) }),
        notes: [
          ...(peers.length === 0 ? ['No peer: rsadm peer add NAME --address A --key-file F connects to one'] : []),
          ...peers.flatMap(({ name, trouble }) => (trouble === null ? [] : [`Peer ${name}: ${trouble}`])),
        ],
      }),
    },
  }),
} as const;
