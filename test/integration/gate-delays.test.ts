// Gates of a real rsiod whose host is delayed one way: what it had sent over the first path arrives when it has repeated it over the second one, and
// has written something newer. A proxy delays the first path; nothing stands still. Rules: D1, G40.

import { beforeAll, expect, it } from 'vitest';
import { systemClock } from '@rsio/base/lib/clock';
import { GATE_QUIESCE_MS } from '@rsio/gates/limits';
import { SocketInitiator } from '@rsio/gates/iscsi/testing/socket-initiator';
import { capsule } from '@rsio/gates/nvme/testing/nvme-host';
import { SocketHost } from '@rsio/gates/testing/socket-host';
import { clientConfig, startServer } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { freePort } from '../support/hosts/loopback.ts';
import { DelayingProxy } from '../support/io/delaying-proxy.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const [WAIT_MS, BLOCK] = [60_000, 4096];
const ADDRESS = '127.0.0.1';
const hosts = useHosts('file');
let client: Host;
let ports: { readonly nvme: number; readonly iscsi: number };

beforeAll(async () => {
  const [server, network] = [hosts.host(), await hosts.network(1)];
  client = hosts.host();
  await startServer(server, network, { volumes: { oracle: { path: server.file('oracle.img'), size: '16m' } } });
  ports = { nvme: await freePort(ADDRESS), iscsi: await freePort(ADDRESS) };
  client.writeConfig('rsiod', clientConfig(network, { defaults: { attach: 'all' } }));
  await client.start('rsiod');
  await client.rsconfigWell('gate', 'add', 'n', `${ADDRESS}:${ports.nvme}`, '--hosts', 'all', '--offers', 'oracle');
  await client.rsconfigWell('gate', 'add', 'i', `${ADDRESS}:${ports.iscsi}`, '--hosts', 'all', '--iscsi', '--offers', 'oracle', '--reload');
  await waitFor(
    async () => (await gates()).every(({ listening, volumes }) => listening.length * volumes.length === 1),
    WAIT_MS,
    'The gates listen',
  );
});

async function gates() {
  return (await client.call('gates', {})).gates;
}

async function gateOf(protocol: 'nvme' | 'iscsi') {
  return (await gates()).find((one) => one.protocol === protocol)!;
}

async function proxyTo(port: number): Promise<{ readonly proxy: DelayingProxy; readonly port: number }> {
  const own = await freePort(ADDRESS);
  const proxy = await DelayingProxy.listen(ADDRESS, own, port);
  hosts.onClean(() => proxy.close());
  return { proxy, port: own };
}

function block(text: string): Buffer {
  return Buffer.alloc(BLOCK, text);
}

async function pass(ms: number): Promise<void> {
  await new Promise<void>((resolve) => systemClock.after(ms, resolve));
}

it('NVMe: a write that arrives 0.6 s late does not revert a newer one, and its path is closed', async () => {
  const { nqn } = await gateOf('nvme');
  const { proxy, port } = await proxyTo(ports.nvme);
  const [first, second] = [await SocketHost.both(port, { nqn }, ADDRESS), await SocketHost.both(ports.nvme, { nqn }, ADDRESS)];
  for (const { admin, io } of [first, second])
    hosts.onClean(() => {
      admin.close();
      io.close();
    });
  expect(await first.io.writeBlock(5, 0, block('A'))).toBe(0);
  proxy.outMs = 600;
  proxy.isDeaf = true;
  first.admin.isSilent = true;
  first.io.write(capsule({ opcode: 1, cid: 6, nsid: 1, dwords: [0, 0, BLOCK / 512 - 1], data: block('B') }));
  expect(await second.io.writeBlock(6, 0, block('B'))).toBe(0);
  expect(await second.io.writeBlock(7, 0, block('C'))).toBe(0);
  const { figures } = await gateOf('nvme');
  await waitFor(async () => (await gateOf('nvme')).figures.commands > figures.commands, WAIT_MS, 'The late write arrives');
  expect((await second.io.readBlock(8, 0, BLOCK)).equals(block('C'))).toBe(true);
  await waitFor(async () => (await gateOf('nvme')).figures.cut === 2, GATE_QUIESCE_MS + WAIT_MS, 'The first path is closed unread');
  expect((await second.io.readBlock(9, 0, BLOCK)).equals(block('C'))).toBe(true);
  expect(await second.io.writeBlock(10, 0, block('D'))).toBe(0);
});

it('iSCSI: a write that arrives 6 s late does not revert a newer one, and its session is closed', async () => {
  const { nqn: target, volumes } = await gateOf('iscsi');
  const lun = volumes[0]!.nsid;
  const { proxy, port } = await proxyTo(ports.iscsi);
  const first = await SocketInitiator.login(port, { target, lun });
  const second = await SocketInitiator.login(ports.iscsi, { target, lun, isid: '400001370001' });
  for (const one of [first, second]) hosts.onClean(() => one.close());
  expect(await first.writeBlock(0, block('A'))).toMatchObject({ status: 0 });
  proxy.outMs = 6_000;
  first.isSilent = true;
  const { figures } = await gateOf('iscsi');
  first.write(first.writeCommand(0, block('B')));
  for (const text of ['B', 'C']) expect(await second.writeBlock(0, block(text))).toMatchObject({ status: 0 });
  await waitFor(
    async () => (await gateOf('iscsi')).figures.commands > figures.commands + 2,
    WAIT_MS,
    'The late write arrives, or its session is closed',
  ).catch(() => undefined);
  await pass(1_000);
  expect((await second.readBlock(0, BLOCK)).equals(block('C'))).toBe(true);
  await waitFor(() => first.isClosed, WAIT_MS, 'The first session is closed unread');
  expect((await second.readBlock(0, BLOCK)).equals(block('C'))).toBe(true);
  expect((await gateOf('iscsi')).figures.cut).toBeGreaterThan(0);
});

it('iSCSI: a host that answers no ping, but sends pings and commands, does not stay connected', async () => {
  const { nqn: target, volumes } = await gateOf('iscsi');
  const host = await SocketInitiator.login(ports.iscsi, { target, lun: volumes[0]!.nsid, isid: '400001370002' });
  hosts.onClean(() => host.close());
  host.isSilent = true;
  await waitFor(async () => (await host.readBlock(0, BLOCK).catch(() => null)) === null, WAIT_MS, 'The session is closed');
});
