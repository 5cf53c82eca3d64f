// Daemons that end and come back under I/O: they are stopped or killed, or only the listener is killed. The client's applications see a
// pause, and no process is left behind. fio checks that no I/O fails and that every block is as written. All tests use one pair of daemons.
// Each test starts the daemons that the previous test has ended, and attaches the volume. Rules: S9, S10, G5, G7, G8.

import { existsSync, readFileSync } from 'node:fs';
import { beforeAll, beforeEach, expect, it } from 'vitest';
import { startClient } from '../support/hosts/configs.ts';
import { startFio } from '../support/io/fio.ts';
import type { Host } from '../support/hosts/host.ts';
import { type TestNetwork, useHosts } from '../support/hosts/hosts.ts';
import { startPair } from '../support/hosts/pair.ts';
import { needFio } from '../support/programs/programs.ts';
import { report } from '../support/programs/report.ts';
import { untilWriting, verifiedAndEnded, volumeStats } from '../support/io/volume-stats.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const VOLUME = 'osl:oracle@0';
const EXPORT = 'osl/oracle';
/** Longest time of a prompt end. The time is half of the bound after which a process that drains is killed. */
const PROMPT_MS = 10_000;
/**
 * Longest time until a client with waiting I/O has ended. The client's frontends wait five seconds for their requests, and then its volumes
 * wait ten seconds.
 */
const WAITING_END_MS = 22_000;

const COMES_BACK_MS = 30_000;
/**
 * fio writes only this many blocks before it reads them back. Blocks that were written after the last fault are therefore verified soon.
 */
const FEW = { verifyBacklog: 128 };
const FEW_WRITES = 400;

const hosts = useHosts('file');
let server: Host;
let client: Host;
let network: TestNetwork;

beforeAll(async () => {
  ({ server, client, network } = await startPair(hosts, (host) => ({ oracle: { path: host.file('oracle.img'), size: '64m' } })));
});

beforeEach(async () => {
  if (server.processes().length === 0) await server.start('rssrv');
  if (client.processes().length === 0) await client.start('rsiod');
  await client.pathsUp(2, COMES_BACK_MS);
  await client.rsconfigWell('-a');
});

async function waitsForServer(): Promise<void> {
  await waitFor(async () => (await client.call('status', {})).waiting.length === 1, 10_000, 'The volume waits');
}

it('rssrv ends at once although a client has a session, and leaves nothing behind', async () => {
  const elapsedMs = await server.stop('rssrv');
  expect(elapsedMs).toBeLessThan(PROMPT_MS);
  expect(server.processes()).toEqual([]);
  expect(existsSync(server.rssrvPaths.pidFile)).toBe(false);
  await server.logged('rssrv', /Has ended$/);
  report('SIGTERM of rssrv', { 'ms until it was gone': elapsedMs });
});

it('rssrv is restarted under fio, and then its listener alone is killed: the client waits, reports it, and continues', async (context) => {
  needFio(context);
  const fio = startFio(client, EXPORT);
  await untilWriting(client, VOLUME, fio);
  const endedMs = await server.stop('rssrv');
  expect(endedMs).toBeLessThan(PROMPT_MS);
  await waitsForServer();
  expect(await client.rsconfigWell('-m', 'status', '-v')).toMatch(
    /^osl:oracle@0 waits for .+\n {4}since: .+ {2}until: .+ {2}requests: [1-9]/m,
  );
  await server.start('rssrv');
  await untilWriting(client, VOLUME, fio);
  // The server answered the requests in flight and flushed before it ended. After a complete flush, no write can be lost, and therefore no
  // new incarnation of the storage starts.
  expect(server.log('rssrv')).not.toContain('starts a new incarnation');
  expect(client.log('rsiod')).not.toContain('has started a new incarnation');

  // The processes of a killed listener end, and a new listener starts.
  const worker = server.worker('big-2');
  await server.kill('rssrv');
  await waitFor(() => server.processes().length === 0, PROMPT_MS, 'The processes of a killed rssrv are gone');
  await server.start('rssrv');
  const { verifyReads, slowestMs } = await verifiedAndEnded(client, VOLUME, fio);
  const stats = await volumeStats(client, VOLUME);
  expect(stats.errors).toBe(0);
  expect(server.worker('big-2')).not.toBe(worker);
  report('rssrv restarted and killed', {
    'ms until it was gone': endedMs,
    'longest gap ms': stats.longestGapMs,
    verifyReads,
    slowestMs,
  });
});

it('rsiod releases its volumes when it is stopped, leaves nothing behind, and its server process ends', async () => {
  const worker = server.worker('big-2');
  const venus = hosts.host();
  await startClient(venus, network, { node: 'venus', client: 1 });
  expect(await venus.rsconfigWell('-qvv')).toContain('holder: big-2');
  const elapsedMs = await client.stop('rsiod');
  expect(elapsedMs).toBeLessThan(PROMPT_MS);
  expect(client.processes()).toEqual([]);
  const { pidFile, controlSocket, nbdSocket } = client.rsiodPaths;
  expect([pidFile, controlSocket, nbdSocket].filter((file) => existsSync(file))).toEqual([]);
  expect(await venus.rsconfigWell('-qvv')).toContain('holder: -');
  expect(await venus.rsconfigWell('-a')).toContain('osl:oracle@0 attached');
  await waitFor(() => !existsSync(`/proc/${worker}`), PROMPT_MS, 'The server process of a client that said BYE is gone');
  await venus.stop('rsiod');
  report('SIGTERM of rsiod', { 'ms until it was gone': elapsedMs });
});

it('a killed and restarted rsiod replaces its old instance and attaches its volumes again', async (context) => {
  needFio(context);
  const worker = server.worker('big-2');
  const instance = Number([...client.log('rsiod').matchAll(/Up: instance (\d+) of node big-2/g)].at(-1)?.[1]);
  await client.kill('rsiod');
  expect(existsSync(client.rsiodPaths.nbdSocket)).toBe(true);
  const startMs = performance.now();
  await client.start('rsiod');
  expect(await client.rsconfigWell('-a')).toBe(`${VOLUME} attached ${client.nbdUri(EXPORT)}\n`);
  report('rsiod killed', { 'ms until it was attached again': performance.now() - startMs });
  await client.logged('rsiod', `Up: instance ${instance + 1} of node big-2`);
  expect(server.worker('big-2')).not.toBe(worker);
  await waitFor(() => !existsSync(`/proc/${worker}`), PROMPT_MS, 'The old server process is gone');
  expect(readFileSync(client.rsiodPaths.pidFile, 'utf8')).toContain(String(client.pid('rsiod')));
  const { verifyReads } = await verifiedAndEnded(client, VOLUME, startFio(client, EXPORT, FEW), FEW_WRITES);
  expect(verifyReads).toBeGreaterThan(100);
});

it('a volume that the administrator detached stays detached when the server returns, even if the file attaches it at start', async () => {
  await client.stop('rsiod');
  await startClient(client, network, { defaults: { attach: 'all' } });
  await waitFor(async () => (await client.call('local', {})).attachments.length === 1, 10_000, 'The volume is attached at the start');
  await client.rsconfigWell('-d', 'oracle');
  const sessions = (): number => client.log('rsiod').match(/a new session replaces the lost one/g)?.length ?? 0;
  const before = sessions();
  await server.stop('rssrv');
  await server.start('rssrv');
  await waitFor(() => sessions() === before + 1, 20_000, 'A new session begins');
  await client.pathsUp(2);
  expect((await client.rsconfig('-q')).code).toBe(0);
  expect((await client.call('local', {})).attachments).toEqual([]);
  await client.rsconfigWell('-a', 'oracle');
});

it('stopping rsiod while I/O waits for a lost server answers the I/O with an error', async (context) => {
  needFio(context);
  const fio = startFio(client, EXPORT);
  await untilWriting(client, VOLUME, fio);
  const failed = expect(fio.outcome).rejects.toThrow();
  await server.kill('rssrv');
  await waitsForServer();
  const elapsedMs = await client.stop('rsiod');
  await failed;
  expect(elapsedMs).toBeLessThan(WAITING_END_MS);
  report('SIGTERM of rsiod with I/O that waits', { 'ms until it was gone': elapsedMs });
});
