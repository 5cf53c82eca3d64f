// Every type of volume, and every setting that changes the path of the data: from an NBD program through client and server to the volume's
// storage, and back.

import { closeSync, openSync, readFileSync, truncateSync } from 'node:fs';
import { expect, it, type TestContext } from 'vitest';
import { clientConfig, type ClientConfigOptions, type ServerConfigOptions } from '../support/hosts/configs.ts';
import { startFio } from '../support/io/fio.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { type Pair, startPair } from '../support/hosts/pair.ts';
import { needFio, needTool, run, type RunResult, runWell } from '../support/programs/programs.ts';
import { report } from '../support/programs/report.ts';
import { verifiedAndEnded, volumeStats } from '../support/io/volume-stats.ts';

const MIB = 1024 * 1024;
/** Until each path has carried requests. */
const FIO_RUNS_MAX = 5;

const hosts = useHosts();

type Volumes = ServerConfigOptions['volumes'];

async function attachedPair(volumes: (server: Host) => Volumes, options: ClientConfigOptions = {}): Promise<Pair> {
  const pair = await startPair(hosts, volumes, options);
  await pair.client.rsconfigWell('-a');
  return pair;
}

function qemuIo(host: Host, name: string, ...script: readonly string[]): Promise<RunResult> {
  return run('qemu-io', ['-t', 'none', '-f', 'raw', host.nbdUri(name), ...script.flatMap((line) => ['-c', line])]);
}

async function verifyWithFio(context: TestContext, client: Host, name: string, volume: string): Promise<void> {
  needFio(context);
  const { verifyReads, slowestMs } = await verifiedAndEnded(client, volume, startFio(client, name, { size: '16m' }));
  const stats = await volumeStats(client, volume);
  expect(verifyReads).toBeGreaterThan(100);
  expect(stats.errors).toBe(0);
  report(context.task.name, { verifyReads, slowestMs, 'longest gap ms': stats.longestGapMs });
}

it('digest = on: every frame carries checksums, and fio finds every block', async (context) => {
  const { client, server } = await attachedPair((host) => ({ oracle: { path: host.file('oracle.img'), size: '32m' } }), {
    defaults: { digest: 'on' },
  });
  await verifyWithFio(context, client, 'oracle', 'osl:oracle@0');
  expect(server.log('rssrv')).not.toMatch(/digest|protocol error/i);
});

it('paths = all: every interface of the client has a path to every interface of the server', async (context) => {
  const { client, network } = await attachedPair((host) => ({ oracle: { path: host.file('oracle.img'), size: '32m' } }));
  await client.stop('rsiod');
  client.writeConfig('rsiod', clientConfig(network, { defaults: { paths: 'all' } }));
  await client.start('rsiod');
  await client.pathsUp(4);
  await client.rsconfigWell('-a');
  const carrying = async (): Promise<number> => (await client.call('stats', {})).paths.filter(({ requests }) => requests > 50).length;
  // A path that was slow for a moment on a busy machine gets its share later.
  for (let runs = 0; runs < FIO_RUNS_MAX && (await carrying()) < 4; runs++) await verifyWithFio(context, client, 'oracle', 'osl:oracle@0');
  expect(await carrying(), 'paths that carried requests').toBe(4);
});

it('a memory volume', async (context) => {
  const { client } = await attachedPair(() => ({ ram: { type: 'memory', size: '32m' } }));
  await verifyWithFio(context, client, 'ram', 'osl:ram@0');
});

it('a null volume accepts every write and reads as zeros', async (context) => {
  needTool(context, 'qemu-io', 'qemu-utils');
  const { client } = await attachedPair(() => ({ nothing: { type: 'null', size: '1g' } }));
  const { code, stdout } = await qemuIo(client, 'nothing', 'write -P 1 0 1M', 'flush', 'read -P 0 0 1M', 'read -P 0 1023M 1M');
  expect({ code, stdout }).toEqual({ code: 0, stdout: expect.not.stringMatching(/fail|error/i) as string });
});

it('a block device', async (context) => {
  const image = hosts.host().file('disk.img');
  closeSync(openSync(image, 'w'));
  truncateSync(image, 32 * MIB);
  const loop = await run('losetup', ['--find', '--show', image]).catch((error: Error) => error);
  context.skip(loop instanceof Error || loop.code !== 0, `needs a loop device: run as root where loop devices are allowed`);
  const device = loop instanceof Error ? '' : loop.stdout.trim();
  hosts.onClean(() => run('losetup', ['--detach', device]));
  const { client } = await attachedPair(() => ({ disk: { path: device, type: 'block' } }));
  await verifyWithFio(context, client, 'disk', 'osl:disk@0');
});

it('blocksize = 4096: smaller I/O is refused to programs that ask for the block size, and whole blocks are kept', async (context) => {
  needTool(context, 'nbdinfo', 'libnbd-bin');
  const { client } = await attachedPair((host) => ({ oracle: { path: host.file('oracle.img'), size: '32m', blocksize: '4096' } }));
  const { exports } = JSON.parse(await runWell('nbdinfo', ['--json', client.nbdUri('oracle')])) as { exports: Record<string, unknown>[] };
  expect(exports[0]).toMatchObject({ block_size_minimum: 4096, 'export-size': 32 * MIB });
  await verifyWithFio(context, client, 'oracle', 'osl:oracle@0');
});

it('a read-only volume can be read, and a WRITE is refused before it leaves the client', async (context) => {
  needTool(context, 'qemu-io', 'qemu-utils');
  needTool(context, 'nbdcopy', 'libnbd-bin');
  const { client, server } = await attachedPair((host) => {
    closeSync(openSync(host.file('archive.img'), 'w'));
    truncateSync(host.file('archive.img'), MIB);
    return { archive: { path: host.file('archive.img'), readonly: 'yes' } };
  });
  const write = await qemuIo(client, 'archive', 'write -P 1 0 4k');
  expect(write.code).not.toBe(0);
  expect(write.stdout + write.stderr).toMatch(/read-only|not permitted|denied/i);
  const copy = await run('nbdcopy', [server.file('archive.img'), client.nbdUri('archive')]);
  expect(copy.code).not.toBe(0);
  expect(copy.stderr).toMatch(/read-?only|not permitted|EPERM|EROFS/i);
  await runWell('nbdcopy', [client.nbdUri('archive'), client.file('copy')]);
  expect(readFileSync(client.file('copy')).equals(Buffer.alloc(MIB))).toBe(true);
  expect(await volumeStats(client, 'osl:archive@0')).toMatchObject({ writes: 0, errors: 0 });
});

it('two volumes of two universes keep their data apart', async (context) => {
  needTool(context, 'qemu-io', 'qemu-utils');
  const { client } = await attachedPair((host) => ({
    oracle: { path: host.file('oracle.img'), size: '16m' },
    archive: { path: host.file('archive.img'), size: '16m', universe: '1' },
  }));
  expect(await client.rsconfigWell('-l')).toBe('osl:oracle@0\nosl:archive@1\n');
  const [one, two] = await Promise.all([
    qemuIo(client, 'osl/oracle', 'write -P 1 0 8M', 'read -P 1 0 8M'),
    qemuIo(client, 'osl/archive@1', 'write -P 2 0 8M', 'read -P 2 0 8M'),
  ]);
  expect([one?.code, two?.code]).toEqual([0, 0]);
  const again = [await qemuIo(client, 'osl/oracle', 'read -P 1 0 8M'), await qemuIo(client, 'osl/archive@1', 'read -P 2 0 8M')];
  for (const { code, stdout } of again)
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.not.stringMatching(/fail|error/i) as string });
});

it('device = none: the volume is held and attached, the output says that no device shows it, and its NBD export is refused with the reason', async () => {
  const { client } = await startPair(hosts, (host) => ({ oracle: { path: host.file('oracle.img'), size: '4m' } }), {
    defaults: { device: 'none' },
  });
  expect(await client.rsconfigWell('-a', 'oracle')).toBe('osl:oracle@0 attached (no device)\n');
  await expect(NbdIo.open(client.rsiodPaths.nbdSocket, 'osl/oracle')).rejects.toThrow(
    /No export .*device = none in rscltcfg has no export/,
  );
});
