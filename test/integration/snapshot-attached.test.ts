// A snapshot that is attached by name: it has the right content, no client can write to it, the lists show it correctly, and it stays
// attached when any of the processes ends and comes back. The server refuses to remove the snapshot, and names the client. The snapshots of
// this test are plain copies of files. The tests without devices share their daemons. Each test begins with nothing attached.
// Rules: N1, N2, G25.

import path from 'node:path';
import { expect, it } from 'vitest';
import { DeviceHost, needDevices } from '../support/devices/devices.ts';
import { startClient, startServer } from '../support/hosts/configs.ts';
import { emptyPool } from '../support/hosts/empty-pool.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { placeSnapshot } from '../support/hosts/placed-snapshot.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { needTool } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const KIB = 1024;
const COMES_BACK_MS = 30_000;
const OLD = Buffer.alloc(4 * KIB, 1);
const NEW = Buffer.alloc(4 * KIB, 2);

const hosts = useHosts();
let server: Host;
let client: Host;
const shared = useHosts('file');
let begun: Promise<void> | undefined;

/** Starts server and client. The content of volume oracle begins with OLD, and oracle has the snapshot monday. */
async function startWithSnapshot(): Promise<void> {
  begun ??= begin();
  await begun;
  await client.rsconfigWell('-d', '--force');
}

async function begin(): Promise<void> {
  [server, client] = [shared.host(), shared.host()];
  const network = await shared.network(2);
  const pool = await emptyPool(server);
  await startServer(server, network, { volumes: {}, pools: { fast: { path: pool } } });
  await server.rsadmWell('volume', 'create', 'oracle', '--size', '4m');
  await server.rsadmWell('volume', 'create', 'other', '--size', '4m');
  await startClient(client, network);
  await client.rsconfigWell('-a', 'oracle');
  const nbd = await open('osl/oracle');
  await nbd.write(0, OLD);
  await nbd.flush();
  nbd.close();
  await client.rsconfigWell('-d', 'oracle');
  await server.stop('rssrv');
  placeSnapshot(pool, 'oracle', 'monday');
  await server.start('rssrv');
  await client.pathsUp(2, COMES_BACK_MS);
}

async function open(name: string): Promise<NbdIo> {
  const nbd = await NbdIo.open(client.rsiodPaths.nbdSocket, name);
  hosts.onClean(() => nbd.close());
  return nbd;
}

async function refusal(...args: readonly string[]): Promise<string> {
  const { code, stderr } = await client.rsconfig(...args);
  expect(code).not.toBe(0);
  return stderr;
}

it('shows the content of its moment, and is attached, listed and detached by its own name', { timeout: 300_000 }, async () => {
  await startWithSnapshot();
  expect(await client.rsconfigWell('-a', 'oracle', 'oracle@monday')).toMatch(/osl:oracle@0@monday/);
  const [volume, snapshot] = [await open('osl/oracle'), await open('osl/oracle@monday')];
  await volume.write(0, NEW);
  await volume.flush();
  expect(await snapshot.read(0, OLD.length)).toEqual(OLD);
  expect(await volume.read(0, NEW.length)).toEqual(NEW);
  await expect(snapshot.write(0, NEW)).rejects.toThrow(/^Errno 1 /);
  expect(await client.rsconfigWell('-l')).toMatch(/^osl:oracle@0\n[^]*osl:oracle@0@monday read-only\n/);
  const { attachments } = await client.call('local', {});
  expect(attachments.map(({ name, readonly, servers }) => ({ name, readonly, servers }))).toEqual([
    { name: 'oracle', readonly: false, servers: 1 },
    { name: 'oracle@monday', readonly: true, servers: 1 },
  ]);
  expect(new Set(attachments.map(({ byId }) => byId)).size).toBe(2);
  // The list of the server has only volumes; an attached snapshot is in the list of attached volumes.
  expect(await client.rsconfigWell('-q')).not.toMatch(/monday/);
  expect(await client.rsconfigWell('-a', 'osl:oracle@0@monday')).toMatch(/osl:oracle@0@monday attached/);
  expect(await refusal('-a', 'oracle@sunday')).toMatch(/Volume oracle has no snapshot sunday/);
  expect(await refusal('-a', 'other@monday')).toMatch(/Volume other has no snapshot monday/);
  expect(await refusal('-a', 'nosuch@monday')).toMatch(/offers a volume nosuch/);
  expect(await refusal('-a', 'oracle@1@2')).toMatch(/is not the name of a volume or snapshot/);
  for (const nbd of [volume, snapshot]) nbd.close();
  await waitFor(() => client.rsconfigWell('-d', 'oracle@monday'), COMES_BACK_MS, 'The snapshot is detached');
  expect(await client.rsconfigWell('-l')).not.toMatch(/monday/);
});

it('stays attached over the end of every process, and the server does not take it away meanwhile', { timeout: 300_000 }, async () => {
  await startWithSnapshot();
  await client.rsconfigWell('-a', 'oracle@monday');
  const taken = [
    ['volume', 'remove', 'oracle', '--yes'],
    ['volume', 'rename', 'oracle', 'new'],
    ['volume', 'set', 'oracle', 'clients=venus'],
  ];
  const isRefused = async (): Promise<void> => {
    for (const args of taken)
      expect((await server.rsadm(...args)).stderr).toMatch(/snapshot oracle@monday is attached, and node .* has held it/);
  };
  await isRefused();
  const reads = async (): Promise<boolean> => {
    const nbd = await NbdIo.open(client.rsiodPaths.nbdSocket, 'osl/oracle@monday');
    try {
      return (await nbd.read(0, OLD.length)).equals(OLD);
    } finally {
      nbd.close();
    }
  };
  const comesBack = (): Promise<unknown> => waitFor(() => reads().catch(() => false), COMES_BACK_MS, 'The snapshot is read');
  const before = (await client.call('local', {})).attachments[0];
  await client.kill('rsiod');
  await isRefused();
  await client.start('rsiod');
  await comesBack();
  expect((await client.call('local', {})).attachments[0]).toMatchObject({ name: 'oracle@monday', id: before?.id });
  await server.kill('rssrv');
  await server.start('rssrv');
  await isRefused();
  await comesBack();
  await client.stop('rsiod');
  await server.stop('rssrv');
  await server.start('rssrv');
  await client.start('rsiod');
  await comesBack();
  await waitFor(() => client.rsconfigWell('-d', 'oracle@monday'), COMES_BACK_MS, 'The snapshot is detached');
  await server.rsadmWell('volume', 'remove', 'oracle', '--yes');
});

it('is a read-only block device under its own name, with the file system of its moment', { timeout: 300_000 }, async (context) => {
  needDevices(context);
  needTool(context, 'mkfs.ext4', 'e2fsprogs');
  const devices = new DeviceHost(hosts);
  const { host } = devices;
  await devices.ready;
  const network = await hosts.network(1);
  const pool = await emptyPool(host);
  await startServer(host, network, { volumes: {}, pools: { fast: { path: pool } } });
  await host.rsadmWell('volume', 'create', 'oracle', '--size', '16m');
  await host.stop('rssrv');
  await devices.well('mkfs.ext4 -q "$1"/volumes/*/data', pool);
  placeSnapshot(pool, 'oracle', 'monday');
  await host.start('rssrv');
  await startClient(host, network, { defaults: { device: 'block' } });
  await host.rsconfigWell('-a', 'oracle', 'oracle@monday');
  const [block, snapshot, folder] = [
    path.join(host.root, 'dev/av0/oracle'),
    path.join(host.root, 'dev/av0/oracle@monday'),
    host.file('mnt/x'),
  ];
  await devices.well('mkdir "$2"; mount "$1" "$2"; echo new > "$2/file"; umount "$2"', block, folder);
  expect(await devices.well('mount -o ro,noload "$1" "$2"; ls "$2"; umount "$2"', snapshot, folder)).toBe('lost+found\n');
  expect(await devices.well('blockdev --getro "$1"', snapshot)).toBe('1\n');
  expect((await devices.shell('dd if=/dev/zero of="$1" bs=4k count=1 conv=notrunc', snapshot)).code).not.toBe(0);
  await host.rsconfigWell('-d', 'oracle@monday');
  expect((await devices.shell('test -e "$1"', snapshot)).code).not.toBe(0);
  expect((await devices.shell('test -e "$1"', block)).code).toBe(0);
});
