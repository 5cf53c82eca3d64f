// Images with real daemons on a file system with reflink. Two images of two volumes, to which a client writes, are refreshed at one moment.
// The client holds an image and attaches it in addition to its volume. A volume gets back the content of its image. kill -9 ends the server
// between the images of one refresh. Skipped without root, loop devices or xfsprogs. image-stops.test.ts in packages/rssrv/src/jobs/images
// tests all steps. Rules: G31.

import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { callServer } from '@rsio/api/rssrv/call-server';
import { expect, it } from 'vitest';
import { reflinkDisk } from '../support/devices/reflink-disk.ts';
import { clientConfig, startServer } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const [KIB, MIB] = [1024, 1024 ** 2];
const SIZE_BYTES = 8 * MIB;
const BLOCK_BYTES = 4 * KIB;
const WAIT_MS = 30_000;
const TEST_MS = 300_000;
const NAMES = ['db', 'log'] as const;

const hosts = useHosts();
let host: Host;

async function openNbd(name: string): Promise<NbdIo> {
  const nbd = await NbdIo.open(host.rsiodPaths.nbdSocket, `osl/${name}`);
  hosts.onClean(() => nbd.close());
  return nbd;
}

/** Reads the number in the first block of a volume. */
async function numberIn(name: string, universe: number): Promise<number> {
  const { volume } = await callServer(host.rssrvPaths.controlSocket, 'volume-show', { name, universe });
  return readFileSync(volume.path!).readUInt32LE(0);
}

function numbered(value: number): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES);
  for (let at = 0; at < BLOCK_BYTES; at += 4) block.writeUInt32LE(value, at);
  return block;
}

it('images under writes: one moment for several, holders, restoring, and a kill between two of them', {
  timeout: TEST_MS,
}, async (context) => {
  host = hosts.host();
  const network = await hosts.network(1);
  const pool = path.join(reflinkDisk(hosts, host, context), 'pool');
  mkdirSync(pool);
  await startServer(host, network, { volumes: {}, rights: { 'big-2': 'manage' } });
  await host.rsadmWell('pool', 'add', 'fast', pool, '--reserve', '0%');
  for (const name of NAMES) await host.rsadmWell('volume', 'create', name, '--size', `${SIZE_BYTES / MIB}m`);
  host.writeConfig('rsiod', clientConfig(network, { defaults: { stall: 'forever' } }));
  await host.start('rsiod');
  await host.pathsUp(1);
  await host.rsconfigWell('-a', ...NAMES);
  const [db, log] = [await openNbd('db'), await openNbd('log')];

  for (const name of NAMES) await host.rsconfigWell('volume', 'image', name, '--universe', '1');
  // Writes consecutive numbers alternately to db and log; each write begins after the answer to the previous write.
  let [answered, isOver] = [0, false];
  const writing = (async () => {
    while (!isOver) {
      await (answered % 2 === 0 ? db : log).write(0, numbered(answered + 1));
      answered++;
    }
  })();
  for (let round = 0; round < 3; round++) {
    const before = answered;
    await waitFor(() => answered > before + 10, WAIT_MS, 'Writes go on');
    const asked = answered;
    await host.rsconfigWell('volume', 'refresh', 'db@1', 'log@1');
    const values = [await numberIn('db', 1), await numberIn('log', 1)];
    expect(Math.abs(values[0]! - values[1]!), 'both are of one moment').toBe(1);
    expect(Math.min(...values)).toBeGreaterThanOrEqual(asked - 1);
    expect(Math.max(...values)).toBeLessThanOrEqual(answered + 1);
  }
  isOver = true;
  await writing;

  expect((await host.rsconfig('volume', 'list')).stdout).toMatch(/osl:db@1 .* image of db@0, \d+m old\n/);
  await host.rsconfigWell('-a', 'db@1');
  const held = await host.rsadm('volume', 'refresh', 'db@1', 'log@1');
  expect([held.code, held.stderr]).toEqual([1, expect.stringMatching(/Volume db@1 of pool fast is in use: node big-2/)]);
  const image = await openNbd('db@1');
  await image.write(0, numbered(7));
  await image.flush();
  image.close();
  db.close();
  // The command is repeated, because rsiod notices the end of the NBD connection a moment later.
  await waitFor(async () => (await host.rsconfig('-d', 'db@0')).code === 0, WAIT_MS, 'db is detached');
  await host.rsconfigWell('volume', 'restore', 'db', '--from', '1');
  expect([await numberIn('db', 0), await numberIn('db', 1)]).toEqual([7, 7]);
  await waitFor(async () => (await host.rsconfig('-d', 'db@1')).code === 0, WAIT_MS, 'db@1 is detached');

  // The volume log now has two images. To refresh both images, the server makes one copy of the volume.
  await host.rsadmWell('volume', 'image', 'log', '--universe', '2');
  await host.rsadmWell('volume', 'refresh', 'log@1', 'log@2');
  expect(await numberIn('log', 1)).toBe(await numberIn('log', 2));

  await log.write(0, numbered(8));
  await log.flush();
  await host.stop('rssrv');
  process.env['RSIO_TEST_KILL_AT'] = 'refresh: replaced';
  await host.startFaulty();
  delete process.env['RSIO_TEST_KILL_AT'];
  expect((await host.rsadm('volume', 'refresh', 'db@1', 'log@1')).code).not.toBe(0);
  await host.startFaulty();
  // The server makes no image before the client has sent its last writes again. The read is answered only after these writes, so the test
  // waits for its answer.
  await log.read(0, BLOCK_BYTES);
  expect([await numberIn('db', 1), await numberIn('log', 1)]).toEqual([7, 8]);
  const { pools } = await callServer(host.rssrvPaths.controlSocket, 'pool-list', {});
  expect(pools).toMatchObject([{ state: 'ready', findings: [] }]);

  // For an image in another pool, a job copies the changes.
  mkdirSync(`${pool}-slow`);
  await host.rsadmWell('pool', 'add', 'slow', `${pool}-slow`, '--reserve', '0%');
  await host.rsadmWell('volume', 'image', 'log', '--universe', '3', '--pool', 'slow', '--wait');
  expect(await numberIn('log', 3)).toBe(8);
  await log.write(0, numbered(9));
  await host.rsadmWell('volume', 'refresh', 'log@3', '--wait');
  expect(await numberIn('log', 3)).toBe(9);
  const { jobs } = await callServer(host.rssrvPaths.controlSocket, 'job-list', { id: null });
  expect(jobs.at(-1)).toMatchObject({ state: 'done', doneBytes: BLOCK_BYTES });

  await log.write(0, numbered(10));
  log.close();
  await waitFor(async () => (await host.rsconfig('-d', 'log@0')).code === 0, WAIT_MS, 'log is detached');
  await host.rsadmWell('volume', 'restore', 'log', '--from', '3', '--wait');
  expect(await numberIn('log', 0)).toBe(9);
  const restored = await callServer(host.rssrvPaths.controlSocket, 'job-list', { id: null });
  expect(restored.jobs.at(-1), 'nobody has written to the image').toMatchObject({ state: 'done', doneBytes: 0 });

  await host.rsadmWell('volume', 'split', 'db@1');
  expect((await host.rsadm('volume', 'show', 'db@1')).stdout).not.toContain('image:');
});
