// A gate of a real rsiod with secrets: hosts and the gate prove themselves, others do not get in, and a reload takes changed secrets.
// Rules: G42.

import { createHmac } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { beforeAll, expect, it } from 'vitest';
import { HOST_NQN } from '@rsio/gates/nvme/testing/nvme-host';
import { SocketHost } from '@rsio/gates/testing/socket-host';
import { clientConfig, startServer } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { freePort } from '../support/hosts/loopback.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const WAIT_MS = 60_000;
const OTHER = 'nqn.2020-01.org.example:other';

const hosts = useHosts('file');
let client: Host;
let address: string;
let port: number;
let nqn: string;
let file: string;
/** Lines of the secret-file, by NQN. */
const lines = new Map<string, string>();

beforeAll(async () => {
  const server = hosts.host();
  client = hosts.host();
  const network = await hosts.network(1);
  await startServer(server, network, { volumes: { oracle: { path: server.file('oracle.img'), size: '16m' } } });
  address = network.clientAddresses()[0]!;
  port = await freePort(address);
  file = client.file('gate.secrets');
  client.writeConfig('rsiod', clientConfig(network, { defaults: { attach: 'all' } }));
  await client.start('rsiod');
  for (const one of [HOST_NQN, OTHER]) lines.set(one, await client.rsconfigWell('gate', 'secret', one));
  save(HOST_NQN, OTHER);
  await client.rsconfigWell(
    'gate',
    'add',
    'g1',
    `${address}:${port}`,
    '--hosts',
    'all',
    '--offers',
    'oracle',
    '--secrets',
    file,
    '--reload',
  );
  ({ nqn } = (await client.call('gates', {})).gates[0]!);
  lines.set(nqn, await client.rsconfigWell('gate', 'secret', nqn));
  save(HOST_NQN, OTHER, nqn);
  await client.rsconfigWell('reload');
  await waitFor(async () => (await client.call('gates', {})).gates[0]?.listening.length === 1, WAIT_MS, 'The gate listens');
});

function save(...nqns: readonly string[]): void {
  writeFileSync(file, nqns.map((one) => lines.get(one)).join(''), { mode: 0o600 });
}

/** The key with which an NQN answers challenges. */
function transformed(text: string, one: string): Buffer {
  const key = Buffer.from(text, 'base64').subarray(0, 32);
  return createHmac('sha256', key).update(`${one}NVMe-over-Fabrics`).digest();
}

function encoded(one: string): string {
  return /DHHC-1:01:(.*):/.exec(lines.get(one)!)![1]!;
}

async function login(hostNqn: string, key: Buffer, gateKey?: Buffer): Promise<{ readonly admin: SocketHost; readonly io: SocketHost }> {
  const both = await SocketHost.both(port, { nqn, hostNqn, key, ...(gateKey === undefined ? {} : { gateKey }) }, address);
  hosts.onClean(() => {
    both.admin.close();
    both.io.close();
  });
  return both;
}

it('a host and the gate prove their secrets, and a host with another secret, or with none, does not get in', async () => {
  const [own, gates] = [transformed(encoded(HOST_NQN), HOST_NQN), transformed(encoded(nqn), nqn)];
  const { io } = await login(HOST_NQN, own, gates);
  const data = Buffer.alloc(4096, 'proven');
  expect(await io.writeBlock(5, 8, data)).toBe(0);
  expect((await io.readBlock(6, 8, 4096)).equals(data)).toBe(true);
  await expect(login(HOST_NQN, Buffer.alloc(32, 'x'))).rejects.toThrow('Authentication');
  await expect(login('nqn.2020-01.org.example:third', own)).rejects.toThrow('Connect');
  expect(client.log('rsiod')).toContain(`host ${HOST_NQN} was refused: its secret is not the one in ${file}`);
  expect(client.log('rsiod')).not.toContain(encoded(HOST_NQN).slice(0, 20));
  expect(await client.rsconfigWell('gate', 'show', 'g1')).toContain('Secrets     hosts authenticate\n');
});

it('a reload cuts off a host whose line is gone, and refuses a damaged file', async () => {
  const [kept, gone] = [
    await login(HOST_NQN, transformed(encoded(HOST_NQN), HOST_NQN)),
    await login(OTHER, transformed(encoded(OTHER), OTHER)),
  ];
  writeFileSync(file, `${HOST_NQN} DHHC-1:01:damaged:\n`);
  const { code, stderr } = await client.rsconfig('reload');
  expect([code, stderr.includes(`${file}:1: No secret for ${HOST_NQN}, or a damaged one`)]).toEqual([1, true]);
  expect(await gone.io.writeBlock(5, 0, Buffer.alloc(512))).toBe(0);
  save(HOST_NQN);
  await client.rsconfigWell('reload');
  await waitFor(() => gone.io.isClosed && gone.admin.isClosed, WAIT_MS, 'The host is cut off');
  expect(await kept.io.writeBlock(5, 0, Buffer.alloc(512))).toBe(0);
});
