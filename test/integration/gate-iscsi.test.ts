// An iSCSI gate of a real rsiod, used by the suite of libiscsi, by QEMU's initiator, and by a raw host that sees the same data as an NBD
// client. A server dies, and rsiod stands still, is killed, or loses the gate by a reload. Rules: D1, G40.

import { writeFileSync } from 'node:fs';
import { beforeAll, expect, it } from 'vitest';
import { needPrograms } from '@rsio/base/testing/needs';
import { systemClock } from '@rsio/base/lib/clock';
import { HOST } from '@rsio/gates/iscsi/testing/iscsi-host';
import { SocketInitiator } from '@rsio/gates/iscsi/testing/socket-initiator';
import { clientConfig, keyOf, serverConfig } from '../support/hosts/configs.ts';
import { emptyPool } from '../support/hosts/empty-pool.ts';
import type { Host } from '../support/hosts/host.ts';
import { type TestNetwork, useHosts } from '../support/hosts/hosts.ts';
import { freePort } from '../support/hosts/loopback.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { run } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { runSuite } from '../support/scenes/iscsi-suite.ts';

const WAIT_MS = 60_000;
const SUITE_MS = 300_000;
const BLOCK = 4096;
const STANDSTILL_MS = 2_500;
const hosts = useHosts('file');
let server: Host;
let client: Host;
let network: TestNetwork;
let port: number;
let secured: number;
const secrets = new Map<string, string>();

beforeAll(async () => {
  [server, client, network] = [hosts.host(), hosts.host(), await hosts.network(2)];
  const clients = { 'big-2': keyOf('big-2') };
  server.writeConfig('rssrv', serverConfig(network, { volumes: {}, pools: { fast: { path: await emptyPool(server) } }, clients }));
  await server.start('rssrv');
  for (const name of ['oracle', 'suite']) await server.rsadmWell('volume', 'create', name, '--size', '64m');
  client.writeConfig('rsiod', clientConfig(network, { defaults: { attach: 'all' } }));
  await client.start('rsiod');
  port = await freePort('127.0.0.1');
  secured = await freePort('127.0.0.1');
  for (const name of [HOST, 'iqn.2026-01.org.example:gate']) {
    const line = await client.rsconfigWell('gate', 'secret', name);
    secrets.set(name, line.trim().split(' ')[1] ?? '');
  }
  const file = client.file('secrets');
  writeFileSync(file, [...secrets].map((line) => `${line.join(' ')}\n`).join(''), { mode: 0o600 });
  await client.rsconfigWell('gate', 'add', 'hv', `127.0.0.1:${port}`, '--hosts', 'all', '--iscsi', '--offers', 'oracle,suite');
  const own = ['--iqn', 'iqn.2026-01.org.example:gate', '--secrets', file, '--offers', 'oracle'];
  await client.rsconfigWell('gate', 'add', 'safe', `127.0.0.1:${secured}`, '--hosts', HOST, '--iscsi', ...own, '--reload');
  await waitFor(async () => (await lunOf('suite')) > 0 && (await gate()).listening.length === 1, WAIT_MS, 'The gate listens');
});

async function gate(name = 'hv') {
  const { gates } = await client.call('gates', {});
  return gates.find((one) => one.name === name) ?? { nqn: '', hosts: [], listening: [], volumes: [] };
}

async function lunOf(volume: string): Promise<number> {
  return (await gate()).volumes.find(({ label }) => label.includes(`:${volume}@`))?.nsid ?? 0;
}

async function login(isid = '400001370000'): Promise<SocketInitiator> {
  const { nqn } = await gate();
  const lun = await lunOf('oracle');
  const host = await waitFor(() => SocketInitiator.login(port, { target: nqn, lun, isid }).catch(() => null), WAIT_MS, 'The host logs in');
  hosts.onClean(() => host.close());
  return host;
}

async function pass(ms: number): Promise<void> {
  await new Promise<void>((resolve) => systemClock.after(ms, resolve));
}

function block(text: string): Buffer {
  return Buffer.alloc(BLOCK, text);
}

it.for([
  ['SCSI', 215],
  ['iSCSI', 15],
] as const)('passes the tests of libiscsi for %s', { timeout: SUITE_MS }, async ([family, count], context) => {
  needPrograms(context, 'iscsi-test-cu');
  const url = `iscsi://127.0.0.1:${port}/${(await gate()).nqn}/${await lunOf('suite')}`;
  const { total, passed, failed, reports, skipped } = await runSuite({ url, mayLackReservations: false }, family, SUITE_MS);
  expect({ total, passed, failed, reports, skipped }).toEqual({ total: count, passed: count, failed: 0, reports: [], skipped: [] });
});

it("QEMU's initiator writes an image and reads it back, with CHAP", async (context) => {
  needPrograms(context, 'qemu-img', 'qemu-io');
  const secret = `secret,id=s,data=${secrets.get(HOST) ?? ''}`;
  const lun = (await gate('safe')).volumes[0]?.nsid ?? 0;
  const target = `driver=iscsi,transport=tcp,portal=127.0.0.1:${secured},target=iqn.2026-01.org.example:gate,lun=${lun},initiator-name=${HOST}`;
  const io = (options: string, ...commands: string[]) =>
    run('qemu-io', ['--object', secret, '--image-opts', options, ...commands.flatMap((one) => ['-c', one])]);
  const refused = await io(target, 'read 0 512');
  if (refused.stderr.includes("Unknown driver 'iscsi'")) return context.skip('the Debian package qemu-block-extra is missing');
  expect(refused.stderr).toContain('Failed to log in');
  const good = await io(
    `${target},user=${HOST},password-secret=s`,
    ...[
      'write -P 65 0 1M',
      'write -P 66 1M 64k',
      'discard 2M 1M',
      'write -z 3M 1M',
      'flush',
      'read -P 65 0 1M',
      'read -P 66 1M 64k',
      'read -P 0 3M 1M',
    ],
  );
  expect([good.code, good.stdout.includes('failed'), good.stderr]).toEqual([0, false, '']);
  const host = await login();
  expect((await host.readBlock(2 ** 20 / 512, BLOCK)).equals(block('B'))).toBe(true);
});

it('programs of the gate do not get the volume, and the host is named as its user', async () => {
  const host = await login();
  expect(await host.writeBlock(8, block('gate'))).toMatchObject({ status: 0 });
  expect((await host.readBlock(8, BLOCK)).equals(block('gate'))).toBe(true);
  await expect(NbdIo.open(client.rsiodPaths.nbdSocket, 'osl/oracle')).rejects.toThrow();
  const shown = await client.rsconfigWell('gate', 'show', 'hv');
  expect(shown).toMatch(/^Target {6}iqn\.2026-01\.internal\.rsio:[0-9a-f]{20}$/m);
  expect(shown).toMatch(/^ *LUN {2}VOLUME +SIZE {2}STATE$/m);
  expect(await client.rsconfigWell('-lvv')).toMatch(/^ +g: hv lun \d+$/m);
  const { code, stderr } = await client.rsconfig('-d', 'oracle');
  expect([code, stderr.includes('in use by 1 host of gate hv')]).toEqual([1, true]);
});

it('a host waits for a server that is killed and comes again, and sees no error', async () => {
  const host = await login();
  expect(await host.writeBlock(0, block('before'))).toMatchObject({ status: 0 });
  await server.kill('rssrv');
  const written = host.writeBlock(0, block('meanwhile'));
  await server.start('rssrv');
  expect(await written).toMatchObject({ status: 0 });
  expect((await host.readBlock(0, BLOCK)).equals(block('meanwhile'))).toBe(true);
});

it('after rsiod has stood still, a write that lay in the session which the host has given up does not revert a newer one (D1)', async () => {
  const [first, second] = [await login(), await login('400001370001')];
  for (const host of [first, second]) expect(await host.writeBlock(0, block('A'))).toMatchObject({ status: 0 });
  const { pid } = await client.call('daemon', {});
  process.kill(pid, 'SIGSTOP');
  // B waits unread in the first path. The host gives this path up, and sends B and then C over the second path.
  first.isSilent = true;
  first.write(first.writeCommand(0, block('B')));
  second.write(Buffer.concat([second.writeCommand(0, block('B')), second.writeCommand(0, block('C'))]));
  await pass(STANDSTILL_MS);
  process.kill(pid, 'SIGCONT');
  for (let count = 0; count < 2; count++) expect((await second.next(({ opcode }) => opcode === 0x21)).head[3]).toBe(0);
  expect((await second.readBlock(0, BLOCK)).equals(block('C'))).toBe(true);
  await waitFor(() => first.isClosed, WAIT_MS, 'The session of the host that answers no ping is closed');
  expect((await second.readBlock(0, BLOCK)).equals(block('C'))).toBe(true);
});

it('a host finds the volume under its number after rsiod was killed; a reload without the gate cuts it off', async () => {
  const host = await login();
  const lun = await lunOf('oracle');
  expect(await host.writeBlock(0, block('kept'))).toMatchObject({ status: 0 });
  expect(await host.run([0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0])).toMatchObject({ status: 0 });
  await client.kill('rsiod');
  await waitFor(() => host.isClosed, WAIT_MS, 'The connection is closed');
  await client.start('rsiod');
  await waitFor(async () => (await lunOf('oracle')) === lun, WAIT_MS, 'The volume is attached again');
  const again = await login();
  expect((await again.readBlock(0, BLOCK)).equals(block('kept'))).toBe(true);
  await client.rsconfigWell('gate', 'remove', 'hv', '--reload');
  await waitFor(() => again.isClosed, WAIT_MS, 'The connection is closed');
});
