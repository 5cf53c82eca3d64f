// With real daemons, one file of a stripe over two pools on XFS moves to a third pool. A client writes during the move and loses nothing, a
// snapshot also moves, and afterwards the old pool has no file of the volume. part-moves.test.ts in packages/rssrv/src/jobs/moves tests
// stops of the server. Rules: G28.

import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { expect, it } from 'vitest';
import { reflinkDisk } from '../support/devices/reflink-disk.ts';
import { startClient, startServer } from '../support/hosts/configs.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';

const [KIB, MIB] = [1024, 1024 ** 2];
const BLOCK = 4 * KIB;
const SIZE = 4 * MIB;

const hosts = useHosts();

async function contentOf(nbd: NbdIo): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for (let offset = 0; offset < SIZE; offset += MIB) pieces.push(await nbd.read(offset, MIB));
  return Buffer.concat(pieces);
}

it('a file of a stripe moves under writes', { timeout: 300_000 }, async (context) => {
  const [server, client] = [hosts.host(), hosts.host()];
  const network = await hosts.network(1);
  await startServer(server, network, { volumes: {} });
  const pools: Record<string, string> = {};
  for (const name of ['a', 'b', 'c']) {
    const pool = path.join(reflinkDisk(hosts, hosts.host(), context), 'pool');
    mkdirSync(pool);
    pools[name] = pool;
    await server.rsadmWell('pool', 'add', name, pool, '--reserve', '0%');
  }
  await server.rsadmWell('volume', 'create', 'db', '--size', '4m', '--stripe', '64k', '--pools', 'a,b');
  await startClient(client, network);
  await client.rsconfigWell('-a', 'db');
  const nbd = await NbdIo.open(client.rsiodPaths.nbdSocket, 'osl/db');
  hosts.onClean(() => nbd.close());
  const random = new SeededRandom(49);
  const model = Buffer.alloc(SIZE);
  const write = async (): Promise<void> => {
    const [offset, data] = [random.int(0, SIZE / BLOCK - 1) * BLOCK, random.bytes(BLOCK)];
    await nbd.write(offset, data);
    data.copy(model, offset);
  };
  for (let count = 0; count < 100; count++) await write();
  await server.rsadmWell('volume', 'snapshot', 'db@one');
  const first = Buffer.from(model);
  let isMoved = false;
  const moved = server.rsadmWell('volume', 'move', 'db', '--from', 'b', '--pool', 'c', '--wait').finally(() => (isMoved = true));
  while (!isMoved) await write();
  expect(await moved).toMatch(/^db@0: its files of pool b are now in pool c/);
  for (let count = 0; count < 20; count++) await write();
  expect((await contentOf(nbd)).equals(model)).toBe(true);
  await client.rsconfigWell('-a', 'db@one');
  const snapshot = await NbdIo.open(client.rsiodPaths.nbdSocket, 'osl/db@one');
  expect((await contentOf(snapshot)).equals(first)).toBe(true);
  snapshot.close();
  await client.rsconfigWell('-d', 'db@one');
  const folders = (pool: string): string[] =>
    ['parts', 'moving', 'volumes'].flatMap((one) => (existsSync(path.join(pool, one)) ? readdirSync(path.join(pool, one)) : []));
  expect(folders(pools['b']!)).toEqual([]);
  expect(folders(pools['c']!)).toHaveLength(2);
  await expect(server.rsadmWell('volume', 'move', 'db', '--pool', 'c')).rejects.toThrow(/--from Q/);
  // The next start finds the file in the third pool, and the client continues.
  await server.kill('rssrv');
  await server.start('rssrv');
  await write();
  expect((await contentOf(nbd)).equals(model)).toBe(true);
  for (const name of Object.keys(pools)) expect(await server.rsadmWell('pool', 'check', name)).not.toMatch(/belongs|missing/);
});
