// A gate of a real rsiod that requires TLS: a host with a key made by rsconfig, openssl as another TLS implementation, plain hosts, and an
// rsiod that stands still before it has read a write. Rules: D1, G43.

import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { beforeAll, expect, it } from 'vitest';
import { parseTlsKey } from '@rsio/common/config/gate-secrets';
import { needPrograms } from '@rsio/base/testing/needs';
import { GATE_QUIESCE_MS } from '@rsio/gates/limits';
import { capsule, HOST_NQN, icRequest } from '@rsio/gates/nvme/testing/nvme-host';
import { SocketHost } from '@rsio/gates/testing/socket-host';
import { tlsWarning } from '@rsio/gates/tls/gate-tls';
import { tlsPsks } from '@rsio/gates/tls/tls-psk';
import { clientConfig, startServer } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { freePort } from '../support/hosts/loopback.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const WAIT_MS = 60_000;
const BLOCK = 4096;

const hosts = useHosts('file');
let client: Host;
let address: string;
let port: number;
let nqn: string;
let tls: { readonly identity: string; readonly psk: Buffer };

beforeAll(async () => {
  const server = hosts.host();
  client = hosts.host();
  const network = await hosts.network(1);
  await startServer(server, network, { volumes: { oracle: { path: server.file('oracle.img'), size: '16m' } } });
  address = network.clientAddresses()[0]!;
  port = await freePort(address);
  client.writeConfig('rsiod', clientConfig(network, { defaults: { attach: 'all' } }));
  await client.start('rsiod');
  const file = client.file('gate.secrets');
  const line = await client.rsconfigWell('gate', 'secret', HOST_NQN, '--tls');
  writeFileSync(file, line, { mode: 0o600 });
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
    '--tls',
    '--reload',
  );
  ({ nqn } = (await client.call('gates', {})).gates[0]!);
  await waitFor(async () => (await client.call('gates', {})).gates[0]?.listening.length === 1, WAIT_MS, 'The gate listens');
  const key = parseTlsKey(line.trim().split(' ')[1]!)!;
  const [identity, psk] = [...tlsPsks(key, { hostNqn: HOST_NQN, nqn })].findLast(([one]) => one.startsWith('NVMe1'))!;
  tls = { identity, psk };
});

async function login(): Promise<{ readonly admin: SocketHost; readonly io: SocketHost }> {
  const both = await waitFor(() => SocketHost.both(port, { nqn, tls }, address).catch(() => null), WAIT_MS, 'The host logs in');
  hosts.onClean(() => {
    both.admin.close();
    both.io.close();
  });
  return both;
}

it('a host uses its volume over TLS, and plain hosts are refused', async () => {
  const { io } = await login();
  const data = Buffer.alloc(BLOCK, 'secure');
  expect(await io.writeBlock(5, 8, data)).toBe(0);
  expect((await io.readBlock(6, 8, BLOCK)).equals(data)).toBe(true);
  await expect(SocketHost.both(port, { nqn }, address)).rejects.toThrow('closed');
  await waitFor(() => client.log('rsiod').includes('it does not use TLS, which the gate requires'), WAIT_MS, 'The log says why');
  expect(client.log('rsiod')).not.toContain(tls.identity.split(' ')[3]!);
  expect(await client.rsconfigWell('gate', 'show', 'g1')).toContain('TLS         required\n');
});

it('openssl gets an answer to its greeting, and no session ticket', async (context) => {
  needPrograms(context, 'openssl');
  context.skip(tlsWarning() !== null, 'needs koffi');
  const options = ['-tls1_3', '-ciphersuites', 'TLS_AES_128_GCM_SHA256', '-groups', 'ffdhe3072', '-msg', '-quiet'];
  const child = spawn('openssl', [
    's_client',
    '-connect',
    `${address}:${port}`,
    '-psk',
    tls.psk.toString('hex'),
    '-psk_identity',
    tls.identity,
    ...options,
  ]);
  hosts.onClean(() => child.kill());
  let told = '';
  child.stdout.on('data', (bytes: Buffer) => (told += bytes.toString('latin1')));
  child.stdin.write(icRequest());
  // ICResp is 128 bytes long.
  await waitFor(() => told.includes('\x01\x00\x80\x00\x80\x00\x00\x00'), WAIT_MS, 'The gate answers');
  expect([told.includes('Finished'), told.includes('NewSessionTicket')]).toEqual([true, false]);
});

it('after rsiod has stood still, writes that lay encrypted in an old path do not revert a newer one (D1)', async () => {
  const [old, other] = [await login(), await login()];
  expect(await old.io.writeBlock(5, 0, Buffer.alloc(BLOCK, 'A'))).toBe(0);
  const { pid } = await client.call('daemon', {});
  process.kill(pid, 'SIGSTOP');
  old.admin.isSilent = true;
  for (let cid = 6; cid < 26; cid++)
    old.io.write(capsule({ opcode: 1, cid, nsid: 1, dwords: [0, 0, BLOCK / 512 - 1], data: Buffer.alloc(BLOCK, 'B') }));
  other.io.write(capsule({ opcode: 1, cid: 6, nsid: 1, dwords: [0, 0, BLOCK / 512 - 1], data: Buffer.alloc(BLOCK, 'C') }));
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  process.kill(pid, 'SIGCONT');
  expect(await other.io.next((answer) => answer.kind === 'done' && answer.cid === 6)).toMatchObject({ status: 0 });
  await new Promise((resolve) => setTimeout(resolve, GATE_QUIESCE_MS));
  expect((await other.io.readBlock(8, 0, BLOCK)).equals(Buffer.alloc(BLOCK, 'C'))).toBe(true);
});
