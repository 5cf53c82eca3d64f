// Tests what an administrator sees of a server, with real daemons: rates and latencies under load, I/O that waits for slow storage with its
// reason, events as they happen, and edits by command that rssrv refuses before the file changes.

import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import type { StatsView } from '@rsio/api/views/stats-views';
import type { EventView } from '@rsio/common/control/method-table';
import { beforeEach, expect, it } from 'vitest';
import { serverConfig, startClient, startServer } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { type TestNetwork, useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const KNOWN_MS = 30_000;
const TEST_MS = 300_000;

const hosts = useHosts();
let server: Host;
let client: Host;
let network: TestNetwork;

beforeEach(async () => {
  server = hosts.host();
  client = hosts.host();
  network = await hosts.network(2);
});

async function stats(): Promise<StatsView> {
  return JSON.parse(await server.rsadmWell('stats', '--json')) as StatsView;
}

async function events(): Promise<string[]> {
  const { events: list } = JSON.parse(await server.rsadmWell('events', '--json')) as { events: EventView[] };
  return list.map(({ object, from, to }) => `${object}: ${from} -> ${to}`);
}

it('rates and latencies of a volume, and the paths of its client', { timeout: TEST_MS }, async () => {
  await startServer(server, network, { volumes: { oracle: { type: 'memory', size: '16m' } } });
  await startClient(client, network);
  await client.rsconfigWell('-a', 'oracle');
  const io = await NbdIo.open(client.rsiodPaths.nbdSocket, 'osl/oracle');
  hosts.onClean(() => io.close());
  for (let index = 0; index < 50; index++) {
    await io.write(index * 4_096, Buffer.alloc(4_096, index));
    await io.read(index * 4_096, 4_096);
  }
  const { sessions } = await stats();
  expect(sessions).toMatchObject([{ client: 'big-2', isBlocked: false, paths: [{ interface: 'if1' }, { interface: 'if2' }] }]);
  const volume = sessions[0]?.volumes.find((one) => one.volume === 'oracle@0');
  expect([volume?.writes, volume?.writtenBytes, volume?.errors]).toEqual([50, 50 * 4_096, 0]);
  expect(volume?.reads).toBeGreaterThanOrEqual(50);
  expect(volume?.writeLatency.maxUs).toBeGreaterThan(0);
  expect(volume?.writeLatency.p50Us).toBeLessThanOrEqual(volume?.writeLatency.maxUs ?? 0);
  const table = await server.rsadmWell('stats', 'oracle', '--interval', '100ms');
  expect(table).toMatch(/^CLIENT {2}VOLUME {4}OP .*\nbig-2 {3}oracle@0 {2}read .*\n +write +50 /);
  expect(await server.rsadmWell('client', 'list', '-v')).toMatch(/\nbig-2\n {4}path if1 from 127\./);
  expect((await server.rsadm('status')).stdout).toMatch(/\n1 volume, 16\.0M, 1 held \(rsadm volume list\)\n/);
});

it('I/O in storage that does not answer is shown with its reason, and a hung volume delays no answer', { timeout: TEST_MS }, async () => {
  const pause = server.file('pause');
  const file = server.file('disk');
  writeFileSync(file, Buffer.alloc(1 << 20));
  server.writeConfig('rssrv', serverConfig(network, { volumes: { slow: { path: file, unlocked: 'yes' } } }));
  await server.startFaulty({ slow: { pauseFile: pause } });
  await startClient(client, network);
  await client.rsconfigWell('-a', 'slow');
  const io = await NbdIo.open(client.rsiodPaths.nbdSocket, 'osl/slow', 60_000);
  hosts.onClean(() => io.close());
  writeFileSync(pause, '');
  const write = io.write(0, Buffer.alloc(4_096, 1));
  await waitFor(async () => (await stats()).waits.length > 0, KNOWN_MS, 'The write is shown as waiting');
  expect((await stats()).waits).toMatchObject([{ client: 'big-2', volume: 'slow@0', why: 'storage' }]);
  const { code, stdout } = await server.rsadm('status');
  expect(code).toBe(1);
  expect(stdout).toMatch(/\nWarning: I\/O of client big-2 on volume slow@0 has waited \d+s for the storage: /);
  rmSync(pause);
  await write;
  await waitFor(async () => (await stats()).waits.length === 0, KNOWN_MS, 'Nothing waits any more');
  expect((await server.rsadm('status')).code).toBe(0);
});

it('events of clients and reloads, and -f sees what happens while it runs', { timeout: TEST_MS }, async () => {
  await startServer(server, network, { volumes: { oracle: { type: 'memory', size: '1m' } } });
  const follow = server.beside('rsadm', ['events', '-f', '-n', '0', '--json']);
  await startClient(client, network);
  const seen = (): string => follow.stdout();
  // `rsadm events -f` shows only events that happen after its start, so the test makes an event again and again until one appears.
  let added = 0;
  const isSeen = async (): Promise<boolean> => {
    await server.rsadmWell('client', 'add', `mars-${added++}`);
    return seen().includes('client mars-');
  };
  await waitFor(isSeen, KNOWN_MS, 'A change is seen at once');
  await client.stop('rsiod');
  await waitFor(() => seen().includes('"to":"absent"'), KNOWN_MS, 'The end of the session is seen');
  const lines = seen()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as EventView);
  expect(new Set(lines.map(({ number }) => number)).size, 'each event once').toBe(lines.length);
  follow.kill();
  const all = await events();
  expect(all).toEqual(expect.arrayContaining(['client big-2: absent -> connected', 'configuration: - -> applied']));
  expect(all.at(-1)).toMatch(/^client big-2: (connected|silent) -> absent$/);
});

it('events outlive daemons: a follower sees each once, over a restart and over a kill', { timeout: TEST_MS }, async () => {
  await startServer(server, network, { volumes: { oracle: { type: 'memory', size: '1m' } } });
  await startClient(client, network);
  const follow = server.beside('rsadm', ['events', '-f', '-n', '1000', '--json']);
  const seen = async (name: string): Promise<void> => {
    await server.rsadmWell('client', 'add', name);
    await waitFor(() => follow.stdout().includes(`client ${name} is added`), KNOWN_MS, `The follower sees ${name}`);
  };
  await seen('mars');
  await client.stop('rsiod');
  await client.start('rsiod');
  await server.stop('rssrv');
  await server.start('rssrv');
  await seen('saturn');
  await waitFor(() => readFileSync(server.rssrvPaths.eventsFile, 'utf8').includes('saturn'), KNOWN_MS, 'The event is saved');
  await server.kill('rssrv');
  await server.start('rssrv');
  await seen('pluto');
  follow.kill();
  const { stdout, stderr } = await follow.ended;
  const numbers = stdout
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as EventView).number);
  expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
  expect(stderr).not.toMatch(/missed|anew/);
  const all = await server.rsadmWell('events', '--since', '1h');
  for (const name of ['mars', 'saturn', 'pluto']) expect(all).toContain(`client ${name} is added`);
  const sessions = (await client.rsconfigWell('events')).match(/server \S+: - -> session/g);
  expect(sessions, 'one before and one after the restart of rsiod').toHaveLength(2);
});

it('a newcomer needs no editor, and what rssrv refuses never reaches the file', { timeout: TEST_MS }, async () => {
  const [address = ''] = network.serverAddresses;
  const init = ['init', '--name', 'big-9', '--namespace', 'osl', '--namespaceid', '200', '--address', address];
  await server.rsadmWell(...init);
  await server.rsadmWell('namespace', 'set', `port=${network.port}`);
  await server.start('rssrv');
  expect(await server.rsadmWell('check')).toContain('no faults');
  const taken = createServer().listen({ host: network.serverAddresses[1], port: network.port });
  await once(taken, 'listening');
  hosts.onClean(() => void taken.close());
  const before = readFileSync(server.rssrvPaths.configFile, 'utf8');
  const refused = await server.rsadm('interface', 'add', 'if9', network.serverAddresses[1] ?? '');
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringMatching(/another program uses the port.*\[E_ADDRESS_IN_USE\]\n$/)]);
  expect((await server.rsadm('namespace', 'set', 'namespaceid=7')).stderr).toContain('clients identify the server by it');
  expect(readFileSync(server.rssrvPaths.configFile, 'utf8')).toBe(before);
  expect(await events()).not.toContain('configuration: - -> refused');
  taken.close();
  await once(taken, 'close');
  expect(await server.rsadmWell('interface', 'add', 'if9', network.serverAddresses[1] ?? '')).toContain('was added');
  expect(await server.rsadmWell('interface', 'list')).toMatch(/\nif9 .* listening\n$/);
});
