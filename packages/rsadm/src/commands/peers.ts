// The commands about the peers of this server: servers that it connects to as a client, to copy volumes. The sections [peer] in rssrvcfg are
// edited here, and rssrv then connects. Invariant: no command prints a key, and no key is on a command line.

import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { alignColumns, toText } from '@rsio/common/cli/table';
import { addPeer, removeServerSection } from '@rsio/common/config/rssrvcfg-edit';
import type { PeerView } from '@rsio/api/rssrv/peer-methods';
import { SERVER_METHODS } from '@rsio/api/rssrv/server-methods';
import { formatTime } from '@rsio/base/log/log-line';
import { changeServerFile } from '@rsio/api/manage/server-file';
import { defineCommand, usageError } from '../cli/context.ts';
import { keyFrom } from '../cli/key-file.ts';

export const PEER_LIST = defineCommand({
  call: { by: 'words', words: 'peer list' },
  synopsis: 'peer list',
  summary: 'lists the servers from which this server can copy volumes',
  options: { json: JSON_OPTION },
  json: SERVER_METHODS['peer-list'].result,
  run: async (context, { json }) => {
    const answer = await context.call('peer-list', {});
    if (json) return printJson(context, answer);
    if (answer.peers.length === 0) context.note('No peer: rsadm peer add NAME --address A --key-file F connects to one');
    else context.out(peersTable(answer.peers));
    for (const { name, trouble } of answer.peers) if (trouble !== null) context.note(`Peer ${name}: ${trouble}`);
    return undefined;
  },
});

export const PEER_ADD = defineCommand({
  call: { by: 'words', words: 'peer add' },
  synopsis: 'peer add NAME --address A[,B] --key-file F|- [--nodename N]\n[--serverkey-file F|-] [--tls] [--pools P[,Q]]',
  summary: 'connects to another server, from which volumes are then copied',
  details: `NAME is the name of the other server, as in its [server] section. First make a
client for this server there, as with rsadm client add N, which prints the key.
With two or more addresses, the connection has as many paths. An address is
192.168.1.5, 192.168.1.5:5000 or [fd00::5]:5000. If all pools of --pools are
shared, the connection exists only while this server owns one of them.`,
  options: {
    address: { kind: 'text', value: 'A', help: 'addresses of the other server, separated by commas' },
    'key-file': { kind: 'text', value: 'F', help: 'file with the key of this server there, or - for stdin' },
    nodename: { kind: 'text', value: 'N', help: 'name of this server there; default: its own name' },
    'serverkey-file': { kind: 'text', value: 'F', help: 'file with the serverkey of the other server, or - for\nstdin' },
    tls: { kind: 'flag', help: 'encrypt the paths' },
    pools: { kind: 'text', value: 'P', help: 'pools in which the other server may make followers of its\nvolumes; default: all' },
  },
  operands: { min: 1, max: 1 },
  run: async (context, { address, 'key-file': keyFile, nodename, 'serverkey-file': serverkeyFile, tls, pools }, [name = '']) => {
    if (address === null || keyFile === null) throw usageError('A peer needs --address and --key-file');
    if (keyFile === '-' && serverkeyFile === '-') throw usageError('Several keys on stdin: give one of them in a file');
    const given: readonly (readonly [string, string | null])[] = [
      ['address', address],
      ['nodename', nodename],
      ['nodekey', keyFrom(keyFile)],
      ['serverkey', serverkeyFile === null ? null : keyFrom(serverkeyFile)],
      ['tls', tls ? 'on' : null],
      ['pools', pools],
    ];
    const entries = given.flatMap(([key, value]) => (value === null ? [] : [[key, value] as const]));
    await changeServerFile(context, (document) => addPeer(document, name, entries));
    return undefined;
  },
});

export const PEER_REMOVE = defineCommand({
  call: { by: 'words', words: 'peer remove' },
  synopsis: 'peer remove NAME',
  summary: 'ends the connection to another server',
  details: 'Copies from it stop. The volumes that were copied stay.',
  options: {},
  operands: { min: 1, max: 1 },
  completes: `"\${ask[@]}" peer list | tail -n +2 | cut -d' ' -f1`,
  run: async (context, _, [name = '']) => {
    await changeServerFile(context, (document) => removeServerSection(document, 'peer', name));
    return undefined;
  },
});

function peersTable(peers: readonly PeerView[]): string {
  const rows = peers.map(({ name, isConnected, pathsUp, addresses, sinceMs }) => {
    const since = sinceMs === 0 ? '-' : formatTime(sinceMs);
    return [name, isConnected ? 'connected' : 'absent', `${pathsUp} of ${addresses.length}`, since, addresses.join(' ')];
  });
  return toText(alignColumns(['PEER', 'STATE', '>PATHS', '>SINCE', 'ADDRESSES'], rows));
}
