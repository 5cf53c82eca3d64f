// Processes of a server killed in every combination under verified I/O, and rssrv restarted at once: two processes never serve the volume
// at the same time, the client's I/O continues without an error, and no process is left behind at the end. All kills hit one server, in the
// order of the tests, during one run of fio, which reads back the blocks that it wrote before each kill. end-and-restart.test.ts and
// worker-killed.test.ts have single kills. Rules: G5, N11 in docs/GUARANTEES.md.

import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { beforeAll, describe, expect, it, type TestContext } from 'vitest';
import { type RunningFio, startFio } from '../support/io/fio.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { killServer } from '../support/faults/machine-crash.ts';
import { startServer } from '../support/hosts/configs.ts';
import { startPair } from '../support/hosts/pair.ts';
import { needFio, needTool, run } from '../support/programs/programs.ts';
import { report } from '../support/programs/report.ts';
import { ServedBy, workersOf } from '../support/hosts/served-by.ts';
import { untilWriting, verifiedAndEnded, volumeStats } from '../support/io/volume-stats.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const VOLUME = 'osl:oracle@0';
const IMAGE = 'storage/oracle.img';
/** Random id, so that another test run on this machine uses another volume. */
const MEMORY_ID = randomUUID();

/** fio runs for at most this time, during all kills. A busy machine may need minutes for all kills. */
const LONG_SECONDS = 900;

const hosts = useHosts('file');
let server: Host;
let client: Host;
let fio: RunningFio | undefined;

beforeAll(async () => {
  ({ server, client } = await startPair(hosts, (host) => ({
    oracle: { path: host.file(IMAGE), size: '64m' },
    scratch: { type: 'memory', size: '1m', id: MEMORY_ID },
  })));
  await client.rsconfigWell('-a', 'oracle');
});

const image = (): string => server.file(IMAGE);
const worker = (): number => server.worker('big-2');

/** Starts rssrv. The start may wait only for the processes of the previous rssrv. */
async function startAgain(): Promise<void> {
  await server.start('rssrv');
}

const STRIKES: Readonly<Record<string, () => Promise<void>>> = {
  // This kill must be the first. Later, it would also end processes that an earlier kill has left behind, and hide them.
  'everything, the next one at once': async () => {
    await killServer(server);
    await startAgain();
  },
  'the listener alone, the next one at once': async () => {
    process.kill(server.pid('rssrv'), 'SIGKILL');
    await startAgain();
  },
  'a server process that stands still': async () => {
    const pid = worker();
    process.kill(pid, 'SIGSTOP');
    process.kill(pid, 'SIGKILL');
    await waitFor(() => worker() !== pid, 20_000, 'There is a new server process');
  },
  'the listener, while the server process stands still': async () => {
    const pid = worker();
    process.kill(pid, 'SIGSTOP');
    process.kill(server.pid('rssrv'), 'SIGKILL');
    await startAgain();
    expect(workersOf(server)).not.toContain(pid);
  },
  'the listener twice, the second time as soon as it is up': async () => {
    process.kill(server.pid('rssrv'), 'SIGKILL');
    await startAgain();
    process.kill(server.pid('rssrv'), 'SIGKILL');
    await startAgain();
  },
};

async function expectNothingLeft(): Promise<void> {
  await server.stop('rssrv');
  expect(server.processes()).toEqual([]);
  expect(readdirSync(server.rssrvPaths.runDir)).toEqual(['records.json']);
  expect(existsSync(`/dev/shm/rsio-${process.geteuid?.()}/rsio-${MEMORY_ID}`)).toBe(false);
  expect(await run('flock', ['--nonblock', image(), 'true'])).toMatchObject({ code: 0 });
}

/** Starts fio once. fio runs from the first kill to the last. */
function runningFio(context: TestContext): RunningFio {
  needFio(context);
  fio ??= startFio(client, 'osl/oracle', { seconds: LONG_SECONDS });
  return fio;
}

it('a server process that outlives its listener keeps another server from the file', async () => {
  const pid = worker();
  process.kill(pid, 'SIGSTOP');
  process.kill(server.pid('rssrv'), 'SIGKILL');
  const [second, network] = [hosts.host(), await hosts.network(1)];
  await startServer(second, network, { volumes: { oracle: { path: image(), size: '64m' } } });
  const locked = `${image()} is still open in server process ${pid} of another rssrv: stop that rssrv`;
  expect((await second.rsadm('status')).stdout).toContain(locked);
  expect((await second.rsadm('reload')).stderr + (await second.rsadm('status')).stdout).toContain(locked);
  process.kill(pid, 'SIGKILL');
  await waitFor(async () => !(await second.rsadm('status')).stdout.includes('is still open'), 5_000, 'The volume is served again');
  await second.stop('rssrv');
  await startAgain();
  await client.pathsUp(2, 30_000);
});

describe('under one run of fio', () => {
  it.for(Object.keys(STRIKES))('kill -9: %s', async (name, context) => {
    const running = runningFio(context);
    const served = new ServedBy(server, image());
    hosts.onClean(() => served.end());
    await untilWriting(client, VOLUME, running);
    await STRIKES[name]?.();
    await untilWriting(client, VOLUME, running);
    const { overlaps, processes } = served.end();
    expect(overlaps).toEqual([]);
    expect(processes).toBeGreaterThan(1);
    const { errors, longestGapMs } = await volumeStats(client, VOLUME);
    expect(errors).toBe(0);
    // Waits until there are only two server processes: the worker of the client, and the standby worker.
    await waitFor(() => workersOf(server).length === 2, 10_000, 'There are no more server processes than before');
    report(`kill -9: ${name}`, { 'longest gap ms so far': longestGapMs });
  });

  it('zeros are written, I/O continues, and all processes end in order', async (context) => {
    needTool(context, 'qemu-io', 'qemu-utils');
    const running = runningFio(context);
    const pid = worker();
    await untilWriting(client, VOLUME, running);
    const zeroed = await run('qemu-io', ['-f', 'raw', client.nbdUri('oracle'), '-c', 'write -z 48M 1M', '-c', 'read -P 0 48M 1M']);
    expect(zeroed).toMatchObject({ code: 0 });
    // fio has now also read back the blocks that it wrote before the last kill.
    const { verifyReads } = await verifiedAndEnded(client, VOLUME, running);
    expect(verifyReads).toBeGreaterThan(0);
    expect((await volumeStats(client, VOLUME)).errors).toBe(0);
    expect(worker()).toBe(pid);
    await client.rsconfigWell('-d', 'oracle');
    await expectNothingLeft();
  });
});
