// A replica of a mirror at a real server, as a raw client sees it: a volume becomes a replica. The intent map of the replica follows the
// writes, survives a kill of the server, and has all bits set if its file cannot be read. If the test runs as root, the server process is
// unprivileged and gets the map as a descriptor. Unit tests in packages/rssrv/src/mirrors cover the rules of the map. Rules: M2.

import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { callServer } from '@rsio/api/rssrv/call-server';
import { FEATURE } from '@rsio/protocol/wire/features';
import { OP } from '@rsio/protocol/wire/frames';
import { MIRROR_REGION_BYTES } from '@rsio/protocol/wire/limits';
import { IOCTL, ListAnswer, OpenAnswer, OpenRequest } from '@rsio/protocol/wire/messages';
import { VOTE, VOTED } from '@rsio/protocol/wire/mirror-messages';
import * as votes from '@rsio/protocol/wire/mirror-messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { expect, it } from 'vitest';
import { keyOf, serverConfig } from '../support/hosts/configs.ts';
import { emptyPool } from '../support/hosts/empty-pool.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { RawClient, type RawRequest } from '../support/peers/raw-peer.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const MIRROR = 'c'.repeat(32);
const REGION_SECTORS = MIRROR_REGION_BYTES / 512;
const REGIONS = 12;

const hosts = useHosts();

async function body(client: RawClient, request: RawRequest): Promise<Buffer> {
  const answer = await client.call(request);
  expect(answer.handle === STATUS.OK ? '' : answer.body.toString('latin1')).toBe('');
  return answer.body;
}

async function vote(client: RawClient, aux: number, request: Buffer) {
  const answer = await body(client, { op: OP.VOTE, aux, body: request });
  const decoded = votes.VoteAnswer.decode(answer, 0, answer.length);
  expect([decoded.voted, decoded.sentence]).toEqual([VOTED.DONE, '']);
  return decoded;
}

async function open(client: RawClient): Promise<number> {
  const request = OpenRequest.encode({ name: 'db', universe: 0, readonly: false, mirror: { mirror: MIRROR, number: 1 } });
  const answer = await body(client, { op: OP.OPEN, body: request });
  return OpenAnswer.decode(answer, 0, answer.length).handle;
}

/** Returns the regions whose bits are set. */
async function marked(client: RawClient, handle: number): Promise<number[]> {
  const request = votes.MirrorMapRequest.encode({ first: 0 });
  const answer = await body(client, { op: OP.IOCTL, handle, aux: IOCTL.MIRROR_MAP, body: request });
  const { regions, bits } = votes.MirrorMapAnswer.decode(answer, 0, answer.length);
  return Array.from({ length: regions }, (_, region) => region).filter((region) => (bits[region >> 3]! & (1 << (region & 7))) !== 0);
}

async function clear(client: RawClient, handle: number, ranges: readonly number[]): Promise<void> {
  await body(client, { op: OP.IOCTL, handle, aux: IOCTL.MIRROR_CLEAR, body: votes.MirrorClearRequest.encode({ ranges }) });
}

it('the map of a replica has what was written, after a kill of the server, too', async () => {
  const [host, network] = [hosts.host(), await hosts.network(1)];
  const pool = await emptyPool(host);
  host.writeConfig(
    'rssrv',
    serverConfig(network, {
      volumes: {},
      pools: { fast: { path: pool, reserve: '0%' } },
      server: { witness: 'yes' },
      rights: { venus: 'manage' },
    }),
  );
  await host.start('rssrv');
  await host.rsadmWell('volume', 'create', 'db', '--size', `${4 * REGIONS}m`);
  const instance = 1;
  const login = async (): Promise<RawClient> => {
    const hello = { features: [FEATURE.MIRROR], instance };
    const to = { address: network.serverAddresses[0] ?? '', port: network.port };
    const client = await RawClient.begin(to, { node: 'venus', nodekey: keyOf('venus'), namespaceid: 200, hello });
    hosts.onClean(() => client.close());
    return client;
  };
  let client = await login();
  await vote(client, VOTE.FOUND, votes.VoteFound.encode({ mirror: MIRROR, name: 'db', universe: 0 }));
  await vote(client, VOTE.CLAIM, votes.VoteClaim.encode({ mirror: MIRROR, number: 1, takesOver: false }));
  const placed = await vote(client, VOTE.PLACE, votes.VotePlace.encode({ mirror: MIRROR, number: 1, volume: 'db', universe: 0 }));
  expect(placed.replica).toMatchObject({ volume: 'db', sizeBytes: REGIONS * MIRROR_REGION_BYTES });
  const list = await body(client, { op: OP.LIST });
  expect(ListAnswer.decode(list, 0, list.length).volumes).toMatchObject([{ name: 'db', mirror: MIRROR }]);
  expect(await host.rsadmWell('volume', 'show', 'db')).toContain(`replica:   of mirror ${MIRROR}`);
  expect((await host.rsadm('volume', 'remove', 'db', '--yes')).stderr).toContain(`replica of mirror ${MIRROR}, and cannot be removed`);

  let handle = await open(client);
  const all = Array.from({ length: REGIONS }, (_, region) => region);
  expect(await marked(client, handle)).toEqual(all);
  await clear(client, handle, [0, REGIONS]);
  expect(await marked(client, handle)).toEqual([]);
  const data = Buffer.alloc(1_024, 0x5a);
  await body(client, { op: OP.WRITE, handle, lba: 3 * REGION_SECTORS - 1, count: 2, body: data });
  await body(client, { op: OP.DISCARD, handle, lba: 7 * REGION_SECTORS, count: 8 });
  await body(client, { op: OP.WRITE, handle, lba: 3 * REGION_SECTORS, count: 2, body: data });
  await clear(client, handle, [7, 1]);
  expect(await marked(client, handle)).toEqual([2, 3]);
  // Grows the replica as the client of the mirror does.
  const grown = { name: 'db', universe: 0, sizeBytes: (REGIONS + 2) * MIRROR_REGION_BYTES, pool: null, mirror: MIRROR, request: null };
  await callServer(host.rssrvPaths.controlSocket, 'volume-grow', grown);
  // The server process may learn the new size only after the client has got the answer.
  await waitFor(async () => (await marked(client, handle)).length === 4, 5_000, 'the map of the new size');
  expect(await marked(client, handle)).toEqual([2, 3, REGIONS, REGIONS + 1]);
  await clear(client, handle, [REGIONS, 1]);
  await body(client, { op: OP.WRITE, handle, lba: 5 * REGION_SECTORS, count: 2, body: data });
  expect(await marked(client, handle)).toEqual([2, 3, 5, REGIONS + 1]);

  await host.kill('rssrv');
  await host.start('rssrv');
  client = await login();
  handle = await open(client);
  // Bits that were cleared without a sync may be set again after a crash of the machine, but not after a crash of the process.
  expect(await marked(client, handle)).toEqual([2, 3, 5, REGIONS + 1]);
  const read = await body(client, { op: OP.READ, handle, lba: 3 * REGION_SECTORS - 1, count: 1 });
  expect(read.equals(data.subarray(0, 512))).toBe(true);
  await body(client, { op: OP.CLOSE, handle });

  const id = (await host.rsadmWell('volume', 'show', 'db', '--json')).match(/"id": ?"([0-9a-f-]{36})"/)?.[1] ?? '';
  writeFileSync(path.join(pool, 'volumes', id, 'mirror.map'), 'damaged');
  handle = await open(client);
  expect(await marked(client, handle)).toEqual(Array.from({ length: REGIONS + 2 }, (_, region) => region));
  // The process of the session may write to the log later than it sends its answers.
  const isTold = (): boolean => /intent map .*mirror.map of replica db is not used, because it is too short/.test(host.log('rssrv'));
  await waitFor(isTold, 5_000, 'the log says why the map is not used');
  await vote(client, VOTE.CLAIM, votes.VoteClaim.encode({ mirror: MIRROR, number: 2, takesOver: false }));
  await vote(client, VOTE.UNPLACE, votes.VoteTerm.encode({ mirror: MIRROR, number: 2 }));
  expect(await host.rsadmWell('volume', 'show', 'db')).not.toContain('replica');
});
