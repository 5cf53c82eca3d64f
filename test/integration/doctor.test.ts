// rsconfig doctor on a healthy client, and on prepared faults with real files, servers and daemons: it names each fault, its location and
// its remedy. Tests of the netlab cover faults of cards and cables, and unit tests cover the judgement alone. All tests use one server, and
// tests with a running daemon share one client. Each test leaves server and client healthy. One test runs the program rsconfig; the others
// run the command in this process.

import { chmodSync, statSync, utimesSync } from 'node:fs';
import net from 'node:net';
import { beforeAll, beforeEach, expect, it } from 'vitest';
import { type ClientConfigOptions, clientConfig, serverConfig, startClient } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { freePort } from '../support/hosts/loopback.ts';
import { type TestNetwork, useHosts } from '../support/hosts/hosts.ts';
import { runHere } from '../support/programs/here.ts';
import type { RunResult } from '../support/programs/programs.ts';

interface Finding {
  readonly check: string;
  readonly severity: 'error' | 'warning' | 'ok';
  readonly object: string;
  readonly what: string;
  readonly where: string | null;
  readonly remedy: string | null;
  readonly commands: readonly string[];
}

const shared = useHosts('file');
const hosts = useHosts();
const DOCTOR_MS = 90_000;
/** An address for documentation, which no machine has. */
const NOWHERE = '203.0.113.77';
let network: TestNetwork;
/** A client whose daemon does not run. */
let client: Host;
/** A client with its own node name whose daemon runs. */
let running: Host;

beforeAll(async () => {
  network = await shared.network(2);
  const server = shared.host();
  server.writeConfig('rssrv', serverConfig(network, { volumes: { oracle: { type: 'null', size: '1g' } } }));
  await server.start('rssrv');
  running = shared.host();
  await startClient(running, network, { node: 'venus', client: 1 });
});

beforeEach(() => {
  client = hosts.host();
});

function lineOf(text: string, line: string): string {
  return `${client.rsiodPaths.configFile}:${text.split('\n').indexOf(line) + 1}`;
}

/** Runs the command in this process, which gives the same answer as the program. */
function doctor(host: Host, ...args: readonly string[]): Promise<RunResult> {
  return runHere('rsconfig', ['--root', host.root, 'doctor', ...args], DOCTOR_MS);
}

/**
 * Runs doctor with a configuration. Returns the exit code and the faults. Omits the fault that rsiod does not run, unless `daemonToo` is
 * set.
 */
async function examined(text: string, options: { readonly daemonToo?: boolean } = {}) {
  client.writeConfig('rsiod', text);
  return faults(client, options.daemonToo === true);
}

async function faults(host: Host, daemonToo: boolean): Promise<{ code: number | null; found: Finding[] }> {
  const { code, stdout } = await doctor(host, '--json');
  const { findings } = JSON.parse(stdout) as { findings: Finding[] };
  return { code, found: findings.filter(({ severity, check }) => severity !== 'ok' && (daemonToo || check !== 'rsiod')) };
}

function config(options: ClientConfigOptions = {}): string {
  return clientConfig(network, options);
}

it('a healthy client: exit code 0, no finding of a fault, and a last line that sums up', async () => {
  const { code, stdout, stderr } = await running.rsconfig('doctor');
  expect({ code, stdout }).toMatchObject({ code: 0 });
  expect(stderr).toBe('rsconfig: Trying 2 paths of the file, about a second each\n');
  expect(stdout).toMatch(/^(ok: .*\n)+0 errors, 0 warnings, \d+ ok\n$/);
  expect(stdout).toMatch(/^ok: server big-9: Has proved that it knows the key of node venus$/m);
});

it('fault: no file', async () => {
  const { code, found } = await faults(client, false);
  expect(code).toBe(1);
  expect(found).toMatchObject([{ severity: 'error', what: `No configuration file ${client.rsiodPaths.configFile}` }]);
  expect(found[0]?.remedy).toContain('rsconfig join');
});

it('fault: invalid lines in the file', async () => {
  const text = config().replace('namespaceid = 200', 'namespaceid = 70000').replace('nodename = big-2', 'nodename = big 2');
  const { code, found } = await examined(text);
  expect([code, ...found.map(({ where }) => where)]).toEqual([1, lineOf(text, 'namespaceid = 70000'), lineOf(text, 'nodename = big 2')]);
});

it('fault: every user can read the keys', async () => {
  client.writeConfig('rsiod', config());
  chmodSync(client.rsiodPaths.configFile, 0o644);
  const { found } = await faults(client, false);
  expect(found).toMatchObject([
    { severity: 'warning', object: 'configuration file', commands: [`chmod 600 ${client.rsiodPaths.configFile}`] },
  ]);
});

it('fault: the server does not accept the key, which doctor shows it only once', async () => {
  const text = config({ key: '0xnot-the-key-of-the-lab' });
  const { code, found } = await examined(text);
  expect(code).toBe(1);
  expect(found).toMatchObject([{ object: 'server big-9', where: lineOf(text, 'nodekey = 0xnot-the-key-of-the-lab') }]);
  expect(found[0]?.what).toContain('does not accept node big-2 with this key');
  expect(found[0]?.remedy).toContain('[clients]');
});

it('fault: the namespaceid of another namespace', async () => {
  const text = config({ namespaceid: 201 });
  const { code, found } = await examined(text);
  expect(code).toBe(1);
  expect(found).toMatchObject([
    { what: expect.stringContaining('serves namespaceid 200, not 201') as string, where: lineOf(text, 'namespaceid = 201') },
  ]);
});

it('fault: an address that this machine does not have', async () => {
  const [, second = ''] = network.clientAddresses();
  const text = config().replace(second, NOWHERE);
  const { code, found } = await examined(text);
  expect(code).toBe(1);
  expect(found[0]).toMatchObject({ severity: 'error', object: 'interface if1', where: lineOf(text, `address = ${NOWHERE}`) });
  expect(found[0]?.what).toMatch(/^This machine does not have address 203\.0\.113\.77: it has /);
  // Doctor does not report the second interface of the server: only the client interface in this test could reach it, because it is in
  // another subnet than the other client interfaces.
  expect(found.slice(1).map(({ severity, object }) => `${severity} ${object}`)).toEqual(['warning server section big-9-2']);
});

it('fault: nothing listens at the server', async () => {
  const port = await freePort(network.serverAddresses[0] ?? '');
  const { code, found } = await examined(config().replace(`port = ${network.port}`, `port = ${port}`));
  expect(code).toBe(1);
  expect(found.map(({ object, what }) => `${object}: ${what}`)).toEqual(
    network.serverAddresses.map(
      (address, index) =>
        `path if${index} -> ${address}/${port}: Connection refused: ${address} answers, but nothing listens on port ${port}`,
    ),
  );
  expect(found[0]?.remedy).toContain('start rssrv');
});

it('fault: the listening program is no RSIO server', async () => {
  const [address = ''] = network.serverAddresses;
  const silent = net.createServer();
  await new Promise<void>((resolve) => silent.listen({ host: address, port: 0 }, resolve));
  hosts.onClean(() => silent.close());
  const { port } = silent.address() as net.AddressInfo;
  const sockets = new Set<net.Socket>();
  silent.on('connection', (socket) => sockets.add(socket.on('error', () => undefined)));
  hosts.onClean(() => sockets.forEach((socket) => socket.destroy()));
  const text = config({ serverAddresses: [address] }).replace(`address = ${address}`, `address = ${address}\nport = ${port}`);
  const { code, found } = await examined(text);
  expect(code).toBe(1);
  const path = found.find(({ object }) => object === `path if0 -> ${address}/${port}`);
  expect(path?.what).toContain('does not answer like an RSIO server');
});

it('a path that only the server announced is tried too', async () => {
  const [first = '', second = ''] = network.serverAddresses;
  client.writeConfig('rsiod', config({ serverAddresses: [first], defaults: { paths: 'auto' } }));
  const { stdout, stderr } = await doctor(client);
  expect(stderr).toContain('Trying 1 path that the servers reported, about a second each\n');
  expect(stdout).toMatch(new RegExp(`^ok: path if1 -> ${second}/${network.port}: Connects in `, 'm'));
  expect(stdout).not.toMatch(/No path starts/);
});

it('fault: a server interface that no interface of this machine reaches', async () => {
  const { found } = await examined(config({ serverAddresses: [...network.serverAddresses, NOWHERE] }));
  expect(found).toMatchObject([{ severity: 'warning', object: 'server section big-9-3' }]);
  expect(found[0]?.what).toContain(`No path leads to ${NOWHERE}: not on a common subnet`);
});

it('fault: rsiod does not run', async () => {
  const { code, found } = await examined(config(), { daemonToo: true });
  expect(code).toBe(1);
  expect(found).toMatchObject([{ object: 'rsiod', what: 'It is not running', commands: [`rsiod --root ${client.root}`] }]);
});

it('fault: rsiod has an older file', async () => {
  const { configFile } = running.rsiodPaths;
  const { atime, mtime } = statSync(configFile);
  const { configuredMs } = await running.call('daemon', {});
  utimesSync(configFile, new Date(), new Date(configuredMs + 1_000));
  const { code, found } = await faults(running, true).finally(() => utimesSync(configFile, atime, mtime));
  expect(code).toBe(0);
  expect(found).toMatchObject([{ severity: 'warning', object: 'rsiod', commands: [`rsconfig --root ${running.root} reload`] }]);
  expect(found[0]?.what).toContain('It uses an older version of the file');
});

it('fault: other users may control rsiod', async () => {
  const { controlSocket } = running.rsiodPaths;
  chmodSync(controlSocket, 0o666);
  const { code, found } = await faults(running, true).finally(() => chmodSync(controlSocket, 0o600));
  expect(code).toBe(1);
  expect(found).toMatchObject([{ object: 'control socket', commands: [`chmod 600 ${controlSocket}`] }]);
});
