// Limits, pauses and stops in real processes: client and server show why I/O waits, a change takes effect under I/O, and a stop survives a
// restart of the server. The test does not measure rates; `npm run bench -- --only limits` measures them.
// Rules: G37. docs/PROTOCOL.md, Limits.

import { readFileSync, writeFileSync } from 'node:fs';
import { beforeEach, expect, it } from 'vitest';
import { startClient, startServer } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { type TestNetwork, useHosts } from '../support/hosts/hosts.ts';
import { NbdClient } from '../support/io/nbd-client.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const WAIT_MS = 20_000;
const BLOCK = 4096;
/** Number of writes. With a limit of 10 IOPS, some of these writes wait for two minutes, even on a slow machine. */
const HELD = 1200;
const hosts = useHosts();
let host: Host;
let network: TestNetwork;

beforeEach(async () => {
  network = await hosts.network(2);
  host = hosts.host();
  const volumes = { db: { type: 'memory', size: '16m', shared: 'yes', iops: '10' }, web: { type: 'memory', size: '16m' } };
  await startServer(host, network, { volumes, rights: { 'big-2': 'use' } });
  await startClient(host, network);
  await host.rsconfigWell('-a', 'db');
  await host.rsconfigWell('-a', 'web');
});

function open(name: string): Promise<NbdClient> {
  return NbdClient.open(host.rsiodPaths.nbdSocket, `osl/${name}`, AbortSignal.timeout(120_000));
}

/** Writes `count` blocks at once, each with its number. */
function writes(client: NbdClient, count: number, first = 0): Promise<unknown> {
  return Promise.all(
    Array.from({ length: count }, (_, index) => client.write((first + index) * BLOCK, Buffer.alloc(BLOCK, first + index + 1))),
  );
}

async function untilSaid(ask: () => Promise<string>, text: string): Promise<void> {
  await waitFor(async () => (await ask()).includes(text), WAIT_MS, `"${text}" is shown`);
}

function change(from: string, to: string): Promise<string> {
  const file = host.rssrvPaths.configFile;
  writeFileSync(file, readFileSync(file, 'utf8').replace(from, to));
  return host.rsadmWell('reload');
}

it('a limit holds I/O and is named on both machines, no other volume waits, and a reload changes it under I/O', {
  timeout: 300_000,
}, async () => {
  const [db, web] = [await open('db'), await open('web')];
  const written = writes(db, HELD);
  await writes(web, 100);
  await untilSaid(() => host.rsadmWell('client', 'list', '-v'), 'held by its limit of 10 iops');
  await untilSaid(() => host.rsconfigWell('-m', 'status', '-v'), 'osl:db@0 is held by its limit of 10 iops on server big-9');
  // The limit does not slow another client down, and no path was lost.
  await writes(web, 100);
  await host.pathsUp(2);
  expect(await host.rsadmWell('volume', 'show', 'db')).toContain('limits:    10 iops, burst 1s');
  await change('iops = 10', 'iops = off');
  await written;
  expect((await db.read(119 * BLOCK, BLOCK))[0]).toBe(120);
  // A limit of the client applies in addition to that of the volume.
  await host.rsadmWell('client', 'set', 'big-2', 'iops=10');
  const again = writes(db, HELD);
  await untilSaid(() => host.rsadmWell('client', 'list', '-v'), "held by the client's limit of 10 iops");
  expect(await host.rsadmWell('client', 'list')).toContain('use, 10 iops, burst 1s');
  await host.rsadmWell('client', 'set', 'big-2', 'iops=off');
  await again;
});

/** The listener answers the command once it has told the server process, which may act a moment later. */
function isServed(volume: Awaited<ReturnType<typeof open>>): Promise<boolean> {
  return volume.read(0, BLOCK).then(
    () => true,
    () => false,
  );
}

it('a pause holds I/O until it is resumed, and a stop refuses it, also after a restart of the server', { timeout: 300_000 }, async () => {
  const web = await open('web');
  expect(await host.rsadmWell('volume', 'pause', 'web', '--for', '1h')).toMatch(/^web@0 is paused until /);
  const written = writes(web, 3);
  await untilSaid(() => host.rsconfigWell('-m', 'status', '-v'), 'osl:web@0 is held by a pause until');
  expect(await host.rsadmWell('volume', 'list')).toMatch(/^web@0 .*big-2 \(paused\)$/m);
  await host.rsadmWell('reload');
  expect(await host.rsadmWell('volume', 'list')).toContain('(paused)');
  expect(await host.rsadmWell('volume', 'resume', 'web')).toBe('web@0 is served\n');
  await written;
  expect(await host.rsadmWell('volume', 'stop', 'web')).toMatch(/^web@0 is stopped since /);
  await waitFor(async () => !(await isServed(web)), WAIT_MS, 'The server process has learnt of the stop');
  await web.flush();
  await untilSaid(() => host.rsconfigWell('-m', 'status', '-v'), 'osl:web@0 is held by a stop by an administrator of the server');
  await host.stop('rssrv');
  await host.start('rssrv');
  await untilSaid(() => host.rsadmWell('volume', 'list'), 'big-2 (stopped)');
  await waitFor(async () => (await host.rsconfig('-m', 'status')).code === 0, WAIT_MS, 'rsiod answers');
  await expect(web.read(0, BLOCK)).rejects.toThrow();
  await host.rsadmWell('volume', 'start', 'web');
  await waitFor(() => isServed(web), WAIT_MS, 'The server process has learnt of the start');
  await web.write(0, Buffer.alloc(BLOCK, 7));
  expect((await web.read(0, BLOCK))[0]).toBe(7);
  expect(await host.rsadmWell('events')).toMatch(/volume web@0.*stopped/);
});
