// Several data processes of one rsiod, with real processes: which volumes are where, what servers and lists show, and what happens when a
// data process, or the main process, is killed. Invariant: no acknowledged write is lost, and each volume is in one process.

import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { clientConfig, startClient, startServer } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { freePort } from '../support/hosts/loopback.ts';
import { NbdIo } from '../support/io/nbd-io.ts';

const TEST_MS = 300_000;
const BLOCK_BYTES = 4_096;
const hosts = useHosts('file');
const NAMES = ['a', 'b', 'c', 'd'];
const TWO = { defaults: { processes: '2' } };

async function twoProcesses(volumes = NAMES): Promise<{ host: Host; network: Awaited<ReturnType<typeof hosts.network>> }> {
  const [host, network] = [hosts.host(), await hosts.network(2)];
  await startServer(host, network, { volumes: Object.fromEntries(volumes.map((name) => [name, { type: 'memory', size: '16m' }])) });
  await startClient(host, network, TWO);
  await host.rsconfigWell('-a');
  return { host, network };
}

async function open(host: Host, name: string): Promise<NbdIo> {
  const io = await NbdIo.open(host.rsiodPaths.nbdSocket, `osl/${name}`);
  hosts.onClean(() => io.close());
  return io;
}

const pattern = (seed: number): Buffer => Buffer.alloc(BLOCK_BYTES, seed);

/** The data processes by number: pid, volumes and restarts. */
async function processes(host: Host): Promise<{ number: number; pid: number | null; volumes: number; restarts: number }[]> {
  return [...((await host.call('status', {})).processes ?? [])];
}

async function until(what: string, isTrue: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 600; tries++) {
    if (await isTrue()) return;
    await sleep(100);
  }
  throw new Error(`Not within 60 s: ${what}`);
}

const attachedNames = async (host: Host): Promise<string> => (await host.call('local', {})).attachments.map(({ name }) => name).join();

it('an attach without names leaves the mode of a volume that is attached, as with one process', { timeout: TEST_MS }, async () => {
  const { host } = await twoProcesses(['a', 'b', 'c']);
  await host.rsconfigWell('-d', 'b');
  await host.rsconfigWell('-a', '--read-only', 'b');
  const all = await host.rsconfig('-a');
  expect([all.code, all.stdout, all.stderr]).toEqual([0, expect.stringMatching(/^(osl:[abc]@0 attached .*\n){3}$/) as unknown, '']);
  expect((await host.rsconfig('-a', 'b')).stderr).toContain('It is attached read-only: detach it first');
});

it('the volumes are spread over the processes, and everything else shows one client', { timeout: TEST_MS }, async () => {
  const { host } = await twoProcesses();
  expect(await attachedNames(host)).toBe('a,b,c,d');
  expect(await host.rsconfigWell('-m', 'status', '-v')).toMatch(
    /data process 1 runs \(pid \d+\) with 2 volumes; restarts: 0\ndata process 2 runs \(pid \d+\) with 2 volumes; restarts: 0/,
  );
  const clients = await host.rsadmWell('client', 'list');
  expect(clients.match(/^big-2 .*$/gm)).toEqual([expect.stringMatching(/connected .* a@0, b@0, c@0, d@0$/) as unknown]);
  for (const [index, name] of NAMES.entries()) {
    const io = await open(host, name);
    await io.write(0, pattern(index + 1));
    expect((await io.read(0, BLOCK_BYTES)).equals(pattern(index + 1)), name).toBe(true);
  }
  expect((await host.call('stats', {})).volumes.map(({ volume, writes }) => `${volume} ${writes}`)).toEqual(
    ['a', 'c', 'b', 'd'].map((name) => `osl:${name}@0 1`),
  );
  const used = await host.rsconfig('-d', 'b');
  expect([used.code, used.stderr]).toEqual([1, expect.stringContaining('1 NBD connection to') as unknown]);
  expect(await host.rsconfigWell('-d', 'b', '--force')).toContain('osl:b@0 detached');
  expect(await attachedNames(host)).toBe('a,c,d');
  expect(await host.rsadmWell('client', 'list')).toMatch(/ a@0, c@0, d@0$/m);
});

it('a killed data process costs only its volumes a pause', { timeout: TEST_MS }, async () => {
  const { host } = await twoProcesses();
  const [kept, lost] = [await open(host, 'b'), await open(host, 'a')];
  await lost.write(0, pattern(1));
  for (let round = 1; round <= 3; round++) {
    const [first] = await processes(host);
    process.kill(first!.pid!, 'SIGKILL');
    for (let block = 0; block < 20; block++) await kept.write(block * BLOCK_BYTES, pattern(round));
    await until('process 1 has its volumes again', async () => (await attachedNames(host)) === 'a,b,c,d');
    expect((await processes(host)).map(({ number, restarts }) => `${number}: ${restarts}`)).toEqual([`1: ${round}`, '2: 0']);
    const again = await open(host, 'a');
    expect((await again.read(0, BLOCK_BYTES)).equals(pattern(round))).toBe(true);
    await again.write(0, pattern(round + 1));
  }
  expect(host.log('rsiod')).toContain('Data process 1 has ended (signal SIGKILL)');
});

it('rsiod is killed, and the next one attaches all volumes again; another number of processes shares them anew', {
  timeout: TEST_MS,
}, async () => {
  const { host, network } = await twoProcesses();
  const io = await open(host, 'c');
  await io.write(0, pattern(7));
  const before = await processes(host);
  await host.kill('rsiod');
  const isGone = (pid: number): boolean => {
    try {
      process.kill(pid, 0);
      return false;
    } catch {
      return true;
    }
  };
  await until('the data processes have ended', () => Promise.resolve(before.every(({ pid }) => isGone(pid!))));
  host.writeConfig('rsiod', clientConfig(network, { defaults: { processes: '3' } }));
  await host.start('rsiod');
  await until('all volumes are attached again', async () => (await attachedNames(host)) === 'a,b,c,d');
  expect((await processes(host)).map(({ volumes }) => volumes)).toEqual([2, 1, 1]);
  expect((await (await open(host, 'c')).read(0, BLOCK_BYTES)).equals(pattern(7))).toBe(true);
  await host.stop('rsiod');
  host.writeConfig('rsiod', clientConfig(network, {}));
  await host.start('rsiod');
  await until('all volumes are in rsiod itself', async () => (await attachedNames(host)) === 'a,b,c,d');
  expect(await processes(host)).toEqual([]);
});

it('volumes are attached in data processes that reach the server later than the main process', { timeout: TEST_MS }, async () => {
  const [host, network] = [hosts.host(), await hosts.network(1)];
  host.writeConfig('rsiod', clientConfig(network, { defaults: { processes: '2', attach: 'a' } }));
  await host.start('rsiod');
  const pids = (await processes(host)).map(({ pid }) => pid!);
  for (const pid of pids) process.kill(pid, 'SIGSTOP');
  await startServer(host, network, { volumes: { a: { type: 'memory', size: '16m' }, b: { type: 'memory', size: '16m' } } });
  await host.pathsUp(1);
  const asked = host.rsconfigWell('-a', 'b');
  // The data processes get the requests before they have a path.
  await sleep(1_000);
  for (const pid of pids) process.kill(pid, 'SIGCONT');
  await asked;
  await until(
    'the volume of the configuration is attached',
    async () => (await attachedNames(host)).split(',').toSorted().join() === 'a,b',
  );
});

it('a reload reaches the processes, and is refused if a volume of a process does not permit it', { timeout: TEST_MS }, async () => {
  const { host, network } = await twoProcesses(['a', 'b']);
  host.writeConfig('rsiod', clientConfig(network, { node: 'venus', ...TWO }));
  const refused = await host.rsconfig('reload');
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('osl:a@0, osl:b@0') as unknown]);
  host.writeConfig('rsiod', clientConfig(network, { defaults: { processes: '2', stall: 'fail' } }));
  expect(await host.rsconfigWell('reload')).toContain('stall = 10m -> stall = fail');
  await host.stop('rssrv');
  const io = await open(host, 'a');
  await expect(io.write(0, pattern(1))).rejects.toThrow();
  expect(await host.rsconfigWell('events')).toMatch(/volume osl:a@0: waiting -> given-up/);
});

it('a reload brings no gate while data processes have the volumes; after a restart, the gate has them', { timeout: TEST_MS }, async () => {
  const { host, network } = await twoProcesses(['a', 'b']);
  const address = network.clientAddresses()[0]!;
  const gate = `\n[gate g]\naddress = ${address}:${await freePort(address)}\nhosts = all\nvolumes = a\n`;
  host.writeConfig('rsiod', clientConfig(network, {}) + gate);
  const refused = await host.rsconfig('reload');
  expect([refused.code, refused.stderr]).toEqual([
    1,
    expect.stringMatching(/gate g cannot begin.*data processes.*restart rsiod/) as unknown,
  ]);
  expect((await host.call('gates', {})).gates).toEqual([]);
  await host.stop('rsiod');
  await host.start('rsiod');
  await until('the gate has the volume', async () => (await host.call('gates', {})).gates[0]?.volumes[0]?.label === 'osl:a@0');
  expect(await processes(host)).toEqual([]);
});
