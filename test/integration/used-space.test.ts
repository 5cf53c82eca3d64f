// What a list says about the space of volumes: after each change that an administrator makes, the list has exactly the volumes that exist, each
// with the bytes that its data file occupies. The oracle is stat(2) by path, which the server does not use for open volumes. occupied-bytes.test.ts
// tests files that are replaced under the server.

import { closeSync, openSync, statSync, writeSync } from 'node:fs';
import { callServer } from '@rsio/api/rssrv/call-server';
import { expect, it } from 'vitest';
import { makeReflinkDisk } from '../support/devices/reflink-disk.ts';
import { serverConfig, startServer } from '../support/hosts/configs.ts';
import { emptyPool } from '../support/hosts/empty-pool.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';

const MIB = 1024 * 1024;
const SECTOR_BYTES = 512;
const hosts = useHosts();

async function listed(server: Host) {
  return (await callServer(server.rssrvPaths.controlSocket, 'volume-list', { pool: null })).volumes;
}

/** Writes like another process, and does not sync, so that the server cannot know of the change by anything but the file. */
async function write(server: Host, name: string, mib: number): Promise<void> {
  const { path } = (await listed(server)).find((one) => one.name === name)!;
  const file = openSync(path!, 'r+');
  writeSync(file, Buffer.alloc(mib * MIB, 1), 0, mib * MIB, 0);
  closeSync(file);
}

async function expectList(server: Host, ...names: string[]): Promise<Map<string, number | null>> {
  const volumes = await listed(server);
  expect(volumes.map(({ name }) => name)).toEqual(names);
  for (const { name, path, usedBytes } of volumes) expect(usedBytes, name).toBe(statSync(path!).blocks * SECTOR_BYTES);
  return new Map(volumes.map(({ name, usedBytes }) => [name, usedBytes]));
}

it('a list has the volumes that exist, and the space of each, after every change', async () => {
  const server = hosts.host();
  const network = await hosts.network(1);
  const hasReflink = makeReflinkDisk(hosts, server) !== null;
  const pools = { fast: { path: await emptyPool(server, hasReflink ? 'reflink/pool' : 'pool'), reserve: '0%' } };
  await startServer(server, network, { volumes: {}, pools });
  const rsadm = (line: string): Promise<string> => server.rsadmWell(...line.split(' '));

  await rsadm('volume create data --size 16m');
  await rsadm('volume create log --size 4m --thick');
  expect((await expectList(server, 'data', 'log')).get('log')).toBeGreaterThanOrEqual(4 * MIB);
  await write(server, 'data', 8);
  expect((await expectList(server, 'data', 'log')).get('data')).toBeGreaterThanOrEqual(8 * MIB);

  await rsadm('volume grow log 8m');
  await rsadm('volume rename data db');
  await write(server, 'db', 10);
  await expectList(server, 'db', 'log');
  await rsadm('volume remove db --yes');
  await expectList(server, 'log');
  // Another volume gets the name, and then has nothing of the first one.
  await rsadm('volume create db --size 4m');
  expect((await expectList(server, 'db', 'log')).get('db')).toBeLessThan(MIB);
  await rsadm('volume rename db other');
  await rsadm('volume restore db');
  expect((await expectList(server, 'db', 'log', 'other')).get('db')).toBeGreaterThanOrEqual(10 * MIB);

  await server.kill('rssrv');
  await server.start('rssrv');
  await expectList(server, 'db', 'log', 'other');
  server.writeConfig('rssrv', serverConfig(network, { volumes: {}, pools: {} }));
  await rsadm('reload');
  await expectList(server);
  server.writeConfig('rssrv', serverConfig(network, { volumes: {}, pools }));
  await rsadm('reload');
  await expectList(server, 'db', 'log', 'other');
});

it('after a clone and a rollback, the list has the space of the new files', async (context) => {
  const server = hosts.host();
  const network = await hosts.network(1);
  context.skip(makeReflinkDisk(hosts, server) === null, 'needs xfsprogs and root');
  await startServer(server, network, { volumes: {}, pools: { fast: { path: await emptyPool(server, 'reflink/pool'), reserve: '0%' } } });
  const rsadm = (line: string): Promise<string> => server.rsadmWell(...line.split(' '));
  await rsadm('volume create data --size 16m');
  await rsadm('volume snapshot data@empty');
  await write(server, 'data', 8);
  await rsadm('volume snapshot data@full');
  await rsadm('volume clone data@full copy');
  expect((await expectList(server, 'copy', 'data')).get('copy')).toBeGreaterThanOrEqual(8 * MIB);
  await rsadm('volume rollback data@empty');
  expect((await expectList(server, 'copy', 'data')).get('data')).toBeLessThan(MIB);
  await write(server, 'data', 4);
  await expectList(server, 'copy', 'data');
});
