// The stall policy end to end: the effect on the user of an NBD export if the server is lost for longer than `stall`, the messages to the
// administrator in this time, and the recovery of the volume with every acknowledged write. All tests use one pair of daemons. Each test
// sets its policy by a reload, starts the daemons that the previous test has ended, and attaches the volume again. Rules: E1, E2, G7.

import { beforeAll, expect, it } from 'vitest';
import { clientConfig, startServer } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { type TestNetwork, useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const VOLUME = 'osl:oracle@0';
const BLOCK = 4096;
/** On a slow machine, an expected time may be exceeded by this much. */
const SLACK_MS = 8_000;
const BACK_MS = 30_000;
const EIO = /Errno 5 /;
const UNKNOWN = 'is answered with an error, and its outcome is unknown';
const NEW_LIFE = 'has started a new incarnation';

const hosts = useHosts('file');
let server: Host;
let client: Host;
let network: TestNetwork;

beforeAll(async () => {
  [server, client, network] = [hosts.host(), hosts.host(), await hosts.network(2)];
  await startServer(server, network, { volumes: { oracle: { path: server.file('oracle.img'), size: '16m' } } });
});

/** Attaches the volume with this policy, and opens it. */
async function attached(stall: string): Promise<NbdIo> {
  if (server.processes().length === 0) await server.start('rssrv');
  client.writeConfig('rsiod', clientConfig(network, { defaults: { stall } }));
  if (client.processes().length === 0) await client.start('rsiod');
  else await client.rsconfigWell('reload');
  await client.pathsUp(2, BACK_MS);
  await client.rsconfigWell('-d', '--force');
  await client.rsconfigWell('-a');
  const nbd = await NbdIo.open(client.rsiodPaths.nbdSocket, 'osl/oracle');
  hosts.onClean(() => nbd.close());
  return nbd;
}

/** Number of times that rsiod has logged this text. */
function times(said: string): number {
  return client.log('rsiod').split(said).length - 1;
}

/** Waits until an I/O fails with EIO. Returns the waiting time in ms. */
async function msUntilEio(io: Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await expect(io).rejects.toThrow(EIO);
  return performance.now() - startMs;
}

/** Kills the listener and all server processes, because server processes would outlive their listener for a moment and answer requests. */
async function killAll(): Promise<void> {
  await server.kill('rssrv');
  await waitFor(() => server.processes().length === 0, SLACK_MS, 'No process of the server is left');
}

function filled(value: number): Buffer {
  return Buffer.alloc(BLOCK, value);
}

it('stall = 5s: EIO after five seconds, the status says until when, and the volume recovers with every acknowledged write', async () => {
  const nbd = await attached('5s');
  const before = times(UNKNOWN);
  await nbd.write(0, filled(1));
  await killAll();
  const waiting = msUntilEio(nbd.write(BLOCK, filled(2)));
  const view = await waitFor(async () => (await client.call('status', {})).waiting[0], 2_000, 'The volume waits');
  expect(view).toMatchObject({ volume: VOLUME, requests: 1 });
  expect(view.untilMs! - view.sinceMs).toBeGreaterThan(4_000);
  expect(view.untilMs! - view.sinceMs).toBeLessThan(5_500);
  expect(await client.rsconfigWell('-m', 'status', '-v')).toMatch(
    /osl:oracle@0 waits for a path.+\n {4}since: .+ {2}until: \d.+ {2}requests: 1/,
  );
  const elapsedMs = await waiting;
  expect(elapsedMs).toBeGreaterThan(4_500);
  expect(elapsedMs).toBeLessThan(5_000 + SLACK_MS);
  // I/O that arrives now also waits for five seconds, but rsiod does not report the event again.
  const secondMs = await msUntilEio(nbd.read(0, BLOCK));
  expect(secondMs).toBeGreaterThan(4_900);
  await waitFor(() => times(UNKNOWN) > before, SLACK_MS, 'The log says it');
  expect(times(UNKNOWN)).toBe(before + 1);
  await server.start('rssrv');
  await waitFor(async () => (await nbd.read(0, BLOCK).catch(() => null))?.equals(filled(1)), BACK_MS, 'The volume goes on');
  const unknown = await nbd.read(BLOCK, BLOCK);
  expect([0, 2].map((value) => unknown.equals(filled(value)))).toContain(true);
  await nbd.verify(BLOCK, BLOCK);
  await client.logged('rsiod', `Volume ${VOLUME}: I/O resumes`);
  const { events } = await client.call('events', { count: 100 });
  expect(events.filter(({ object }) => object === 'volume osl:oracle@0').map(({ to }) => to)).toEqual(
    expect.arrayContaining(['waiting', 'given-up', 'open']),
  );
});

it('an abandoned WRITE in a stopped server process never executes over a newer one', async () => {
  const nbd = await attached('1s');
  const before = times(NEW_LIFE);
  await nbd.write(0, filled(1));
  const worker = server.worker('big-2');
  process.kill(worker, 'SIGSTOP');
  // rsiod notices the silence after three seconds, and the time of the policy starts then.
  const elapsedMs = await msUntilEio(nbd.write(0, filled(2)));
  expect(elapsedMs).toBeLessThan(4_000 + SLACK_MS);
  process.kill(worker, 'SIGCONT');
  const isBack = (): Promise<boolean> =>
    nbd.write(0, filled(3)).then(
      () => true,
      () => false,
    );
  await waitFor(isBack, BACK_MS, 'The volume goes on');
  // The handle was revoked (S11): the server process continues, and no part of the abandoned WRITE is left in it.
  expect(server.worker('big-2')).toBe(worker);
  expect((await nbd.read(0, BLOCK)).equals(filled(3))).toBe(true);
  expect(times(NEW_LIFE)).toBe(before);
});

it('stall = fail: EIO once a lost server could have been back, and immediately from then on', async () => {
  const nbd = await attached('fail');
  await nbd.write(0, filled(1));
  await server.stop('rssrv');
  expect(await msUntilEio(nbd.read(0, BLOCK))).toBeLessThan(1_000 + SLACK_MS);
  // I/O must fail at once. The quickest of several I/Os counts, because the machine may delay single I/Os.
  const refused = [];
  for (let time = 0; time < 5; time++) refused.push(await msUntilEio(nbd.read(0, BLOCK)));
  expect(Math.min(...refused)).toBeLessThan(500);
  await server.start('rssrv');
  await waitFor(async () => (await nbd.read(0, BLOCK).catch(() => null))?.equals(filled(1)), BACK_MS, 'The volume goes on');
});

it('stall = forever: I/O waits, the status says so, and daemon and commands answer meanwhile', async () => {
  const nbd = await attached('forever');
  const holders = async (): Promise<number | undefined> =>
    (await client.call('query', { refresh: true })).namespaces[0]?.servers[0]?.volumes[0]?.holders.length;
  expect(await holders()).toBe(1);
  await server.stop('rssrv');
  const write = nbd.write(0, filled(1)).then(
    () => 'written',
    () => 'failed',
  );
  await waitFor(async () => (await client.call('status', {})).waiting[0]?.untilMs === null, 5_000, 'The volume waits for ever');
  expect(await client.rsconfigWell('-m', 'status', '-v')).toContain('until: for ever');
  const refused = await client.rsconfig('-d', 'oracle');
  expect([refused.code, refused.stderr]).toEqual([expect.any(Number), expect.stringContaining('in use')]);
  // A detach by force detaches the volume, and waiting I/O is answered.
  await client.rsconfigWell('-d', 'oracle', '--force');
  expect(await write).toBe('failed');
  // As soon as the server is back, it learns of the detach and ends the hold. The handle of the volume has already ended together with the
  // old session.
  await server.start('rssrv');
  await waitFor(async () => (await holders()) === 0, BACK_MS, 'Nobody holds the volume');
  expect(await client.stop('rsiod')).toBeLessThan(12_000);
});

it('SIGTERM ends the daemon while I/O waits forever', async () => {
  const nbd = await attached('forever');
  await killAll();
  const write = nbd.write(0, filled(1)).then(
    () => 'written',
    () => 'failed',
  );
  await waitFor(async () => (await client.call('status', {})).waiting.length === 1, 5_000, 'The volume waits');
  expect(await client.stop('rsiod')).toBeLessThan(18_000);
  expect(await write).toBe('failed');
});
