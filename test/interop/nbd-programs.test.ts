// Independent programs use the NBD socket of real daemons while one of two paths is reset twice a second. No I/O may fail, and every byte
// must be as written. The tests of the frontend cover NBD itself; this test covers everything between a program and the server's file.
// Rules: G2, G3.

import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { beforeAll, expect, it } from 'vitest';
import { startClient, startServer } from '../support/hosts/configs.ts';
import { whileCutting } from '../support/faults/cutting.ts';
import { startFio } from '../support/io/fio.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { type PathCutter, pathCutter, relayCutter } from '../support/faults/path-cutter.ts';
import { needFio, needTool, runWell } from '../support/programs/programs.ts';
import { report } from '../support/programs/report.ts';
import { untilWriting, verifiedAndEnded, volumeStats } from '../support/io/volume-stats.ts';

const MIB = 1024 * 1024;
const VOLUME_BYTES = 32 * MIB;
const EXPORT = 'osl/oracle';
const VOLUME = 'osl:oracle@0';

const hosts = useHosts('file');
let server: Host;
let client: Host;
let cutter: PathCutter;
let uri: string;

/** Starts one scene for all programs. The programs use the volume one after the other. */
beforeAll(async () => {
  server = hosts.host();
  client = hosts.host();
  const network = await hosts.network(2);
  cutter = await pathCutter(hosts, network);
  await startServer(server, network, { volumes: { oracle: { path: server.file('oracle.img'), size: '32m' } } });
  await startClient(client, network, { serverAddresses: cutter.serverAddresses });
  await client.rsconfigWell('-a');
  uri = client.nbdUri(EXPORT);
});

function tool(program: string, ...args: readonly string[]): Promise<string> {
  return runWell(program, args, { cwd: client.root, timeoutMs: 120_000 });
}

function sha256(data: Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}

/** Makes data that has a hole in each MiB. */
function patchyImage(): Buffer {
  const image = Buffer.alloc(VOLUME_BYTES);
  for (let at = 0; at < VOLUME_BYTES; at += MIB) randomBytes(MIB / 2).copy(image, at);
  return image;
}

async function reportGap(title: string, numbers: Readonly<Record<string, number>>): Promise<void> {
  const stats = await volumeStats(client, VOLUME);
  expect(stats.errors).toBe(0);
  report(`${title} (${cutter.means})`, { ...numbers, 'longest gap ms': stats.longestGapMs });
}

// This must be the first test, because it needs an unwritten volume.
it('nbdinfo lists the export and maps data and holes', async (context) => {
  needTool(context, 'nbdinfo', 'libnbd-bin');
  writeFileSync(client.file('image'), patchyImage());
  await tool('nbdcopy', '--destination-is-zero', 'image', uri);
  const counted = await whileCutting(cutter, 2, async () => {
    const list = await tool('nbdinfo', '--list', client.nbdUri(''));
    expect(list.match(/export="[^"]*"/g)).toEqual(['export="osl/oracle"']);
    expect(list).toContain(`export-size: ${VOLUME_BYTES}`);
    const extents = JSON.parse(await tool('nbdinfo', '--map', '--json', uri)) as { offset: number; length: number; type: number }[];
    const mapped = extents.map(({ offset, length, type }) => [offset, length, type]);
    const expected = Array.from({ length: (2 * VOLUME_BYTES) / MIB }, (_, index) => [(index * MIB) / 2, MIB / 2, index % 2 === 0 ? 0 : 3]);
    expect(mapped).toEqual(expected);
  });
  await reportGap('nbdinfo', { ...counted });
});

it('nbdcopy loses nothing in either direction', async (context) => {
  needTool(context, 'nbdcopy', 'libnbd-bin');
  const counted = await whileCutting(cutter, 2, async (round) => {
    const image = patchyImage();
    writeFileSync(client.file('in'), image);
    await tool('nbdcopy', '--flush', 'in', uri);
    await tool('nbdcopy', uri, 'out');
    expect(sha256(readFileSync(client.file('out'))), `what came back in round ${round}`).toBe(sha256(image));
    expect(sha256(readFileSync(server.file('oracle.img'))), `the server's file in round ${round}`).toBe(sha256(image));
  });
  await reportGap('nbdcopy', { ...counted });
});

it('qemu-img converts to the volume, finds it equal, and converts it back', async (context) => {
  needTool(context, 'qemu-img', 'qemu-utils');
  const counted = await whileCutting(cutter, 2, async () => {
    writeFileSync(client.file('in'), patchyImage());
    await tool('qemu-img', 'convert', '-n', '-W', '-f', 'raw', '-O', 'raw', 'in', uri);
    expect(await tool('qemu-img', 'compare', '-f', 'raw', '-F', 'raw', 'in', uri)).toContain('Images are identical');
    await tool('qemu-img', 'convert', '-f', 'raw', '-O', 'raw', uri, 'out');
    expect(sha256(readFileSync(client.file('out')))).toBe(sha256(readFileSync(client.file('in'))));
  });
  const other = patchyImage();
  other.writeUInt8((other[MIB] ?? 0) ^ 1, MIB);
  writeFileSync(client.file('in'), other);
  await expect(tool('qemu-img', 'compare', '-f', 'raw', '-F', 'raw', 'in', uri)).rejects.toThrow('Content mismatch');
  await reportGap('qemu-img', { ...counted });
});

it('qemu-io writes patterns, discards, zeroes, writes with FUA and flushes', async (context) => {
  needTool(context, 'qemu-io', 'qemu-utils');
  const before = await volumeStats(client, VOLUME);
  const counted = await whileCutting(cutter, 2, async (round) => {
    const pattern = (round % 250) + 1;
    const script = [
      `write -P ${pattern} 0 8M`,
      'flush',
      'write -z -u 1M 1M',
      'write -z 3M 512k',
      `write -f -P 254 5M 64k`,
      'discard 6M 1M',
      `aio_write -P 253 10M 4M`,
      'aio_write -P 252 20M 4M',
      'aio_flush',
      `read -P ${pattern} 0 1M`,
      'read -P 0 1M 1M',
      'read -P 0 3M 512k',
      'read -P 254 5M 64k',
      `read -P ${pattern} 7M 1M`,
      'read -P 253 10M 4M',
      'read -P 252 20M 4M',
      'flush',
    ];
    const output = await tool('qemu-io', '-t', 'none', '-d', 'unmap', '-f', 'raw', uri, ...script.flatMap((line) => ['-c', line]));
    expect(output).not.toMatch(/fail|error/i);
  });
  const stats = await volumeStats(client, VOLUME);
  expect(stats.discards - before.discards).toBe(counted.rounds);
  expect(stats.zeroes - before.zeroes).toBe(2 * counted.rounds);
  expect(stats.flushes - before.flushes).toBeGreaterThanOrEqual(2 * counted.rounds);
  await reportGap('qemu-io', { ...counted });
});

it('fio verifies every block while the paths are reset in turn, and then all at once', async (context) => {
  needFio(context);
  const both: PathCutter = { ...cutter, cut: async () => (await cutter.cut(0)) + (await cutter.cut(1)) };
  const fio = startFio(client, EXPORT);
  const inTurn = await whileCutting(cutter, 3, () => untilWriting(client, VOLUME, fio));
  const atOnce = await whileCutting(both, 4, () => untilWriting(client, VOLUME, fio));
  const outcome = await verifiedAndEnded(client, VOLUME, fio);
  expect(outcome.verifyReads).toBeGreaterThan(500);
  await reportGap('fio, one path and then all twice a second', { ...outcome, cuts: inTurn.cuts + atOnce.cuts });
});

it('fio verifies every block through relays that are reset', async (context) => {
  needFio(context);
  const network = await hosts.network(2);
  const [host, behind] = [hosts.host(), hosts.host()];
  const relays = await relayCutter(hosts, network);
  await startServer(behind, network, { volumes: { oracle: { type: 'memory', size: '32m' } } });
  await startClient(host, network, { serverAddresses: relays.serverAddresses });
  await host.rsconfigWell('-a');
  const fio = startFio(host, EXPORT);
  const { cuts, rounds } = await whileCutting(relays, 2, () => untilWriting(host, VOLUME, fio));
  const { verifyReads } = await verifiedAndEnded(host, VOLUME, fio);
  expect(verifyReads).toBeGreaterThan(100);
  expect((await volumeStats(host, VOLUME)).errors).toBe(0);
  report('fio through relays', { cuts, rounds, verifyReads });
});
