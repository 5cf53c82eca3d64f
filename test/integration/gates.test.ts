// A gate of a real rsiod, used by a raw NVMe/TCP host: the same data as over NBD, paths that fail, a server that dies, and an rsiod that
// stands still, is killed, or loses the gate by a reload. Rules: D1, G40.

import { appendFileSync, readFileSync } from 'node:fs';
import { beforeAll, expect, it } from 'vitest';
import { systemClock } from '@rsio/base/lib/clock';
import { GATE_QUIESCE_MS } from '@rsio/gates/limits';
import { capsule } from '@rsio/gates/nvme/testing/nvme-host';
import { SocketHost } from '@rsio/gates/testing/socket-host';
import { clientConfig, startServer } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { type TestNetwork, useHosts } from '../support/hosts/hosts.ts';
import { freePort } from '../support/hosts/loopback.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const WAIT_MS = 60_000;
const BLOCK = 4096;
const STANDSTILL_MS = 2_500;

const hosts = useHosts('file');
let server: Host;
let client: Host;
let network: TestNetwork;
let address: string;
let ports: readonly [number, number];
let nqn: string;

beforeAll(async () => {
  [server, client, network] = [hosts.host(), hosts.host(), await hosts.network(2)];
  await startServer(server, network, { volumes: { oracle: { path: server.file('oracle.img'), size: '16m' } } });
  address = network.clientAddresses()[0]!;
  ports = [await freePort(address), await freePort(address)];
  client.writeConfig('rsiod', clientConfig(network, { defaults: { attach: 'all' } }));
  await client.start('rsiod');
  await client.rsconfigWell(
    'gate',
    'add',
    'g1',
    `${address}:${ports[0]},${address}:${ports[1]}`,
    '--hosts',
    'all',
    '--offers',
    'oracle',
    '--reload',
  );
  nqn = (await gate()).nqn;
  await waitFor(async () => (await gate()).listening.length === 2, WAIT_MS, 'The gate listens');
});

async function gate() {
  const [found] = (await client.call('gates', {})).gates;
  return found ?? { nqn: '', hosts: [], listening: [], volumes: [] };
}

async function login(path: 0 | 1 = 0): Promise<{ readonly admin: SocketHost; readonly io: SocketHost }> {
  const both = await waitFor(() => SocketHost.both(ports[path], { nqn }, address).catch(() => null), WAIT_MS, 'The host logs in');
  hosts.onClean(() => {
    both.admin.close();
    both.io.close();
  });
  return both;
}

function block(text: string): Buffer {
  return Buffer.alloc(BLOCK, text);
}

async function pass(ms: number): Promise<void> {
  await new Promise<void>((resolve) => systemClock.after(ms, resolve));
}

function write(cid: number, data: Buffer): Buffer {
  return capsule({ opcode: 1, cid, nsid: 1, dwords: [0, 0, BLOCK / 512 - 1], data });
}

it('programs of the gate do not get the volume, and the host is named as its user', async () => {
  const { io } = await login();
  expect(await io.writeBlock(5, 8, block('gate'))).toBe(0);
  expect((await io.readBlock(6, 8, BLOCK)).equals(block('gate'))).toBe(true);
  await expect(NbdIo.open(client.rsiodPaths.nbdSocket, 'osl/oracle')).rejects.toThrow();
  expect(
    readFileSync(server.file('oracle.img'))
      .subarray(BLOCK, 2 * BLOCK)
      .equals(block('gate')),
  ).toBe(true);
  expect(await client.rsconfigWell('-l', '-vv')).not.toContain('nbd+unix');
  const shown = await client.rsconfigWell('gate', 'show', 'g1');
  expect(JSON.parse(await client.rsconfigWell('gate', 'show', 'g1', '--json'))).toMatchObject({ name: 'g1', nqn, volumes: [{ nsid: 1 }] });
  expect(shown).toMatch(/^NSID {2}VOLUME +SIZE {2}STATE\n +1 {2}osl:oracle@0 +16m {2}active$/m);
  const { code, stderr } = await client.rsconfig('-d', 'oracle');
  expect([code, stderr.includes('in use by 1 host of gate g1')]).toEqual([1, true]);
});

it('hosts that count with Compare and Write lose no step', async () => {
  const both = [await login(0), await login(1)];
  const AT = 64;
  await both[0]!.io.writeBlock(5, AT, Buffer.alloc(512));
  const one = { nsid: 1, dwords: [AT, 0, 0] };
  const count = async ({ io }: (typeof both)[number]): Promise<void> => {
    for (let steps = 0; steps < 100; ) {
      const old = await io.readBlock(6, AT, 512);
      const next = Buffer.alloc(512);
      next.writeUInt32LE(old.readUInt32LE(0) + 1);
      const first = capsule({ ...one, opcode: 5, cid: 7, flags: 0x41, data: old });
      io.write(Buffer.concat([first, capsule({ ...one, opcode: 1, cid: 8, flags: 0x42, data: next })]));
      const done = [await io.next(({ kind }) => kind === 'done'), await io.next(({ kind }) => kind === 'done')];
      const codes = done.map((answer) => (answer.kind === 'done' ? `${answer.cid} ${answer.status}` : '')).join();
      expect(['7 0,8 0', `7 ${0x4285},8 9`]).toContain(codes);
      if (codes === '7 0,8 0') steps++;
    }
  };
  await Promise.all(both.map(count));
  expect((await both[0]!.io.readBlock(9, AT, 512)).readUInt32LE(0)).toBe(2 * 100);
});

it('a host waits for a server that is killed and comes again, and sees no error', async () => {
  const { io } = await login();
  expect(await io.writeBlock(5, 0, block('before'))).toBe(0);
  await server.kill('rssrv');
  const written = io.writeBlock(6, 0, block('meanwhile'));
  await server.start('rssrv');
  expect(await written).toBe(0);
  expect((await io.readBlock(7, 0, BLOCK)).equals(block('meanwhile'))).toBe(true);
});

it('after rsiod has stood still, a write that lay in the path which the host has given up does not revert a newer one (D1)', async () => {
  const first = await login(0);
  const second = await login(1);
  expect(await first.io.writeBlock(5, 0, block('A'))).toBe(0);
  const { pid } = await client.call('daemon', {});
  process.kill(pid, 'SIGSTOP');
  // B waits unread in the first path. The host gives this path up, and sends B and then C over the second path.
  first.admin.isSilent = true;
  first.io.write(write(6, block('B')));
  second.io.write(Buffer.concat([write(6, block('B')), write(7, block('C'))]));
  await pass(STANDSTILL_MS);
  process.kill(pid, 'SIGCONT');
  for (const cid of [6, 7])
    expect(await second.io.next((answer) => answer.kind === 'done' && answer.cid === cid)).toMatchObject({ status: 0 });
  expect((await second.io.readBlock(8, 0, BLOCK)).equals(block('C'))).toBe(true);
  await pass(GATE_QUIESCE_MS);
  expect((await second.io.readBlock(9, 0, BLOCK)).equals(block('C'))).toBe(true);
  expect([second.io.isClosed, second.admin.isClosed]).toEqual([false, false]);
});

it('a host logs in again after rsiod was killed and started, and finds the volume under its number', async () => {
  const { io, admin } = await login();
  expect(await io.writeBlock(5, 0, block('kept'))).toBe(0);
  expect((await io.run({ opcode: 0, cid: 6, nsid: 1 })).kind).toBe('done');
  await client.kill('rsiod');
  await waitFor(() => admin.isClosed, WAIT_MS, 'The connection is closed');
  await client.start('rsiod');
  await waitFor(async () => (await gate()).volumes.length === 1, WAIT_MS, 'The volume is attached again');
  const again = await login();
  expect((await again.io.readBlock(7, 0, BLOCK)).equals(block('kept'))).toBe(true);
});

it('a reload without the gate cuts its hosts off; with data processes, the file is refused', async () => {
  const { admin } = await login();
  await client.rsconfigWell('gate', 'remove', 'g1', '--reload');
  await waitFor(() => admin.isClosed, WAIT_MS, 'The connection is closed');
  expect((await client.call('gates', {})).gates).toEqual([]);
  appendFileSync(client.rsiodPaths.configFile, `\n[gate g1]\naddress = ${address}:${ports[0]}\nhosts = all\n`);
  const { code, stderr } = await client.rsconfig('check');
  expect([code, stderr]).toEqual([0, '']);
});
