// The commands about the peers of this server: servers that it connects to as a client, to copy volumes. The sections [peer] in rssrvcfg are
// edited here, and rssrv then connects. Invariant: no command prints a key, and no key is on a command line.

import { firstColumnOf } from '@rsio/api/manage/derived';
import { addPeer, removeServerSection } from '@rsio/common/config/rssrvcfg-edit';
import { changeServerFile } from '@rsio/api/manage/server-file';
import { defineCommand, usageError } from '../cli/context.ts';
import { keyFrom } from '../cli/key-file.ts';

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
  completes: firstColumnOf('peer list'),
  run: async (context, _, [name = '']) => {
    await changeServerFile(context, (document) => removeServerSection(document, 'peer', name));
    return undefined;
  },
});
