// The command that makes two servers peers of each other, so that volumes of each can follow volumes of the other. It is a part of a file of
// the namespace (spread.ts). Invariant: the keys are new, are in no output, and go to these two servers only.

import { JSON_OPTION } from '@rsio/common/cli/command';
import { newKey } from '@rsio/common/cli/new-key';
import { peerClientOf } from '@rsio/common/config/schema/peer-section';
import { RsError } from '@rsio/base/lib/errors';
import { printEndpoint } from '@rsio/base/lib/units';
import { type CommandContext, defineCommand, usageError } from '../../cli/context.ts';
import { PLACE_OPTIONS } from '../server-volumes/door.ts';
import type { Place } from '@rsio/api/manage/asked-servers';
import { callAt } from '../server-volumes/servers.ts';
import { ended, serversOf } from './clients.ts';
import { checkEncrypted, type Entry, PLAIN_OPTION, type Section, SPREAD, type Spread, spreadPart } from './spread.ts';

export const PEER_ADD = defineCommand({
  call: { by: 'words', words: 'peer add' },
  synopsis: 'peer add A B [--plain] [--namespace N]',
  summary: 'makes two servers peers, for replication in both directions',
  details: `Each of the servers A and B gets a section [peer] of the other (rssrvcfg(5)),
with the addresses at which this client reaches it, and a client for the other,
peer-A or peer-B, with the right copy. The paths are encrypted. Volumes of each
can follow volumes of the other then. This client needs the right admin at both.
rsadm peer add adds a peer of another namespace, or with other settings.`,
  options: { ...PLAIN_OPTION, namespace: PLACE_OPTIONS.namespace, json: JSON_OPTION },
  json: SPREAD,
  operands: { min: 2, max: 2 },
  run: async (context, { plain, namespace, json }, names) => {
    const [a, b] = await pairOf(context, namespace, names);
    if (!plain) await checkEncrypted(context, [a, b]);
    for (const [place, other] of [
      [a, b],
      [b, a],
    ] as const) {
      const { peers } = await callAt(context, place, 'peer-list', {});
      const { clients } = await callAt(context, place, 'client-list', {});
      const client = peerClientOf(other.server);
      const rest = [
        ...(peers.some(({ name }) => name === other.server) ? [`rsadm peer remove ${other.server}`] : []),
        ...(clients.some(({ name }) => name === client) ? [`rsadm client remove ${client}`] : []),
      ];
      // Its keys may be in use, and are in no file but that of the server.
      if (rest.length > 0)
        throw new RsError(
          'E_EXISTS',
          `Server ${place.server} has a peer ${other.server} or a client ${client} already: nothing was changed; there, ${rest.join(' and ')} removes it`,
        );
    }
    const addresses = [await addressesOf(context, a), await addressesOf(context, b)];
    if (addresses[0]!.every(({ address }) => isLoopback(address)) !== addresses[1]!.every(({ address }) => isLoopback(address)))
      throw new RsError(
        'E_USAGE',
        `This client reaches one of ${a.server} and ${b.server} at addresses of its own machine, which the other cannot use: run rsadm peer add there`,
      );
    const [ofA, ofB] = addresses.map((all) => all.map(({ address, port }) => printEndpoint(address, port)).join(','));
    const [keyOfA, keyOfB] = [newKey(), newKey()];
    const halves = [
      { place: a, sections: half(b.server, keyOfB, a.server, keyOfA, ofB!) },
      { place: b, sections: half(a.server, keyOfA, b.server, keyOfB, ofA!) },
    ];
    const give = async (plan: boolean): Promise<Spread[]> => {
      const all = [];
      for (const { place, sections } of halves) all.push(...(await spreadPart(context, [place], sections, { clients: 'new', plan })));
      return all;
    };
    const planned = await give(true);
    if (planned.some(({ error }) => error !== null)) return ended(context, json, planned.map(undone));
    const done = await give(false);
    const half_ = done.find(({ error }) => error === null);
    if (half_ !== undefined && done.some(({ error }) => error !== null))
      context.note(`Only ${half_.place.server} has its half: given again, the command says how to remove it`);
    return ended(context, json, done);
  },
});

/** What the server `self` gets: the other one as a client, and as a peer. */
function half(other: string, keyOfOther: string, self: string, keyOfSelf: string, address: string): Section[] {
  const peer: readonly Entry[] = [
    ['server', self],
    ['address', address],
    ['nodename', peerClientOf(self)],
    ['nodekey', keyOfSelf],
    ['tls', 'on'],
  ];
  return [
    {
      header: `client ${peerClientOf(other)}`,
      entries: [
        ['key', keyOfOther],
        ['rights', 'copy'],
      ],
    },
    { header: `peer ${other}`, entries: peer },
  ];
}

function undone(planned: Spread): Spread {
  return planned.error === null
    ? { ...planned, answer: null, error: new RsError('E_BUSY', 'Not done, because the other server refuses') }
    : planned;
}

/** Returns the two servers, which must be connected: one that has only its half would try in vain. */
async function pairOf(context: CommandContext, namespace: string | null, [a = '', b = '']: readonly string[]): Promise<[Place, Place]> {
  if (a === b) throw usageError('A server is no peer of itself: give two servers');
  const all = await serversOf(context, { server: null, namespace });
  const found = (name: string): Place => {
    const place = all.find(({ server }) => server === name);
    if (place === undefined)
      throw usageError(
        `No server ${name} in namespace ${all[0]?.namespace ?? '-'}: there are ${all.map(({ server }) => server).join(', ')}`,
      );
    if (!place.isConnected) throw new RsError('E_NO_PATH', `Server ${name} is away: ${place.trouble}`, { server: name });
    return place;
  };
  return [found(a), found(b)];
}

const isLoopback = (address: string): boolean => address.startsWith('127.') || address === '::1';

/** Returns the addresses at which this client reaches a server. */
async function addressesOf(
  { call }: CommandContext,
  { namespace, server }: Place,
): Promise<readonly { readonly address: string; readonly port: number }[]> {
  const { namespaces } = await call('query', { refresh: false });
  const found = namespaces.find(({ name }) => name === namespace)?.servers.find(({ name }) => name === server);
  const all = found?.addresses ?? [];
  return all.filter((one, index) => all.findIndex(({ address, port }) => address === one.address && port === one.port) === index);
}
