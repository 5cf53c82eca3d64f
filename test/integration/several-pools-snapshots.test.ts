// Snapshots of a stripe over two pools on XFS, with real daemons: two snapshots, one of them under writes of a client, are attached and
// read. The differences between the snapshots, a clone, a copy to one file, a rollback and a removal follow. several-files.test.ts in
// packages/rssrv/src/snapshots tests stops of the server. Rules: G26.

import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { expect, it } from 'vitest';
import { reflinkDisk } from '../support/devices/reflink-disk.ts';
import { startClient, startServer } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';

const [KIB, MIB] = [1024, 1024 ** 2];
const BLOCK = 4 * KIB;
const SIZE = 4 * MIB;

const hosts = useHosts();

interface Range {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

async function contentOf(client: Host, name: string): Promise<Buffer> {
  await client.rsconfigWell('-a', name);
  const nbd = await NbdIo.open(client.rsiodPaths.nbdSocket, `osl/${name}`);
  const pieces: Buffer[] = [];
  for (let offset = 0; offset < nbd.sizeBytes; offset += MIB) pieces.push(await nbd.read(offset, Math.min(MIB, nbd.sizeBytes - offset)));
  nbd.close();
  await client.rsconfigWell('-d', name);
  return Buffer.concat(pieces);
}

it('a stripe over two pools on XFS', { timeout: 300_000 }, async (context) => {
  const [server, client] = [hosts.host(), hosts.host()];
  const network = await hosts.network(1);
  await startServer(server, network, { volumes: {} });
  for (const name of ['a', 'b']) {
    const pool = path.join(reflinkDisk(hosts, hosts.host(), context), 'pool');
    mkdirSync(pool);
    await server.rsadmWell('pool', 'add', name, pool, '--reserve', '0%');
  }
  await server.rsadmWell('volume', 'create', 'db', '--size', '4m', '--stripe', '64k', '--pools', 'a,b');
  await startClient(client, network);
  await client.rsconfigWell('-a', 'db');
  const nbd = await NbdIo.open(client.rsiodPaths.nbdSocket, 'osl/db');
  hosts.onClean(() => nbd.close());
  const random = new SeededRandom(28);
  const model = Buffer.alloc(SIZE);
  const write = async (): Promise<number> => {
    const [offset, data] = [random.int(0, SIZE / BLOCK - 1) * BLOCK, random.bytes(BLOCK)];
    await nbd.write(offset, data);
    data.copy(model, offset);
    return offset;
  };
  for (let count = 0; count < 60; count++) await write();
  await server.rsadmWell('volume', 'snapshot', 'db@one');
  const first = Buffer.from(model);
  // During the second snapshot, the client writes to blocks that the test does not compare.
  const written = new Set<number>();
  for (let count = 0; count < 30; count++) written.add(await write());
  const second = Buffer.from(model);
  let isMade = false;
  const made = server.rsadmWell('volume', 'snapshot', 'db@two').finally(() => (isMade = true));
  const during = new Set<number>();
  while (!isMade) during.add(await write());
  await made;
  const contents = { one: await contentOf(client, 'db@one'), two: await contentOf(client, 'db@two') };
  expect(contents.one.equals(first)).toBe(true);
  const differing = blocksThatDiffer(contents.two, second);
  expect(differing.filter((offset) => !during.has(offset))).toEqual([]);
  const { ranges } = JSON.parse(await server.rsadmWell('volume', 'diff', 'db@one', 'db@two', '--json')) as {
    readonly ranges: readonly Range[];
  };
  const told = new Set(ranges.flatMap(({ offsetBytes, lengthBytes }) => blocksOf(offsetBytes, lengthBytes)));
  expect(blocksThatDiffer(contents.one, contents.two).filter((offset) => !told.has(offset))).toEqual([]);
  expect(told.size).toBeLessThanOrEqual(2 * (written.size + during.size) + 64);
  nbd.close();
  await client.rsconfigWell('-d', 'db');
  await server.rsadmWell('volume', 'clone', 'db@one', 'copy');
  await server.rsadmWell('volume', 'copy', 'db@two', 'flat', '--pool', 'a', '--wait');
  expect((await contentOf(client, 'flat')).equals(contents.two)).toBe(true);
  await server.rsadmWell('volume', 'rollback', 'db@one');
  expect((await contentOf(client, 'db')).equals(first)).toBe(true);
  expect((await contentOf(client, 'copy')).equals(first)).toBe(true);
  await server.rsadmWell('volume', 'remove', 'db@one', '--yes');
  expect((await contentOf(client, 'db@two')).equals(contents.two)).toBe(true);
  for (const name of ['a', 'b']) expect(await server.rsadmWell('pool', 'check', name)).not.toMatch(/belongs|missing/);
});

function blocksOf(offsetBytes: number, lengthBytes: number): number[] {
  const from = Math.floor(offsetBytes / BLOCK);
  return Array.from({ length: Math.ceil((offsetBytes + lengthBytes) / BLOCK) - from }, (_, index) => (from + index) * BLOCK);
}

function blocksThatDiffer(one: Buffer, other: Buffer): number[] {
  return blocksOf(0, SIZE).filter((offset) => one.compare(other, offset, offset + BLOCK, offset, offset + BLOCK) !== 0);
}
