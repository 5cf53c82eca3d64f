// Tests every type of volume, and every setting that changes how data is passed on, end to end: from an NBD program through client and
// server to the volume's storage, and back. All tests use one server, which serves a volume of each kind, and most tests use one client. No
// test depends on another test, because each test has its own volumes or attaches its volumes again.

import { closeSync, openSync, readFileSync, truncateSync } from 'node:fs';
import { beforeAll, expect, it, type TestContext } from 'vitest';
import { clientConfig, type ClientConfigOptions, keyOf, type ServerConfigOptions, startServer } from '../support/hosts/configs.ts';
import { startFio } from '../support/io/fio.ts';
import type { Host } from '../support/hosts/host.ts';
import { type TestNetwork, useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { needFio, needTool, run, type RunResult, runWell } from '../support/programs/programs.ts';
import { report } from '../support/programs/report.ts';
import { verifiedAndEnded, volumeStats } from '../support/io/volume-stats.ts';

const MIB = 1024 * 1024;
/** fio uses only a small part of the volume, because a fault of a type or a setting already shows at the first blocks. */
const FIO = { size: '16m', verifyBacklog: 128 };
const WRITES = 400;
/** Maximum number of runs of fio until each path has carried requests. */
const FIO_RUNS_MAX = 5;
/** Names of volumes that clients other than big-2 attach. */
const CHECKED = 'checked';
const SPREAD = 'spread';

const hosts = useHosts('file');
let server: Host;
/** Client big-2, which has two paths. */
let client: Host;
let network: TestNetwork;
/** Why this machine has no loop device for the volume `disk`; null: the volume is on a loop device. */
let noLoop: string | null = null;

type Volumes = ServerConfigOptions['volumes'];

beforeAll(async () => {
  [server, network] = [hosts.host(), await hosts.network(2)];
  const frozen = server.file('frozen.img');
  closeSync(openSync(frozen, 'w'));
  truncateSync(frozen, MIB);
  const volumes: Volumes = {
    oracle: { path: server.file('oracle.img'), size: '16m' },
    archive: { path: server.file('archive.img'), size: '16m', universe: '1' },
    [CHECKED]: { path: server.file('checked.img'), size: '32m' },
    [SPREAD]: { path: server.file('spread.img'), size: '32m' },
    ram: { type: 'memory', size: '32m' },
    nothing: { type: 'null', size: '1g' },
    blocks: { path: server.file('blocks.img'), size: '32m', blocksize: '4096' },
    frozen: { path: frozen, readonly: 'yes' },
    ...(await blockVolume()),
  };
  await startServer(server, network, { volumes, clients: KEYS });
  client = await startedClient(2);
});

const KEYS = { 'big-2': keyOf('big-2'), venus: keyOf('venus'), mars: keyOf('mars') };

/** Returns a volume on a loop device, or no volume if this machine cannot have loop devices. */
async function blockVolume(): Promise<Volumes> {
  const image = server.file('disk.img');
  closeSync(openSync(image, 'w'));
  truncateSync(image, 32 * MIB);
  const loop = await run('losetup', ['--find', '--show', image]).catch((error: Error) => error);
  if (loop instanceof Error || loop.code !== 0) {
    noLoop = 'needs a loop device: run as root where loop devices are allowed';
    return {};
  }
  const device = loop.stdout.trim();
  hosts.onClean(() => run('losetup', ['--detach', device]));
  return { disk: { path: device, type: 'block' } };
}

async function startedClient(paths: number, options: ClientConfigOptions = {}): Promise<Host> {
  const host = hosts.host();
  host.writeConfig('rsiod', clientConfig(network, { ...options }));
  await host.start('rsiod');
  await host.pathsUp(paths);
  return host;
}

function qemuIo(host: Host, name: string, ...script: readonly string[]): Promise<RunResult> {
  return run('qemu-io', ['-t', 'none', '-f', 'raw', host.nbdUri(name), ...script.flatMap((line) => ['-c', line])]);
}

async function verifyWithFio(context: TestContext, host: Host, name: string): Promise<void> {
  needFio(context);
  const volume = `osl:${name}@0`;
  const { verifyReads, slowestMs } = await verifiedAndEnded(host, volume, startFio(host, name, FIO), WRITES);
  const stats = await volumeStats(host, volume);
  expect(verifyReads).toBeGreaterThan(100);
  expect(stats.errors).toBe(0);
  report(context.task.name, { verifyReads, slowestMs, 'longest gap ms': stats.longestGapMs });
}

it('digest = on: every frame carries checksums, and fio finds every block', async (context) => {
  const venus = await startedClient(2, { node: 'venus', client: 1, defaults: { digest: 'on' } });
  await venus.rsconfigWell('-a', CHECKED);
  await verifyWithFio(context, venus, CHECKED);
  expect(server.log('rssrv')).not.toMatch(/digest|protocol error/i);
  await venus.stop('rsiod');
});

it('paths = all: every interface of the client has a path to every interface of the server', async (context) => {
  const mars = await startedClient(4, { node: 'mars', client: 2, defaults: { paths: 'all' } });
  await mars.rsconfigWell('-a', SPREAD);
  const carrying = async (): Promise<number> => (await mars.call('stats', {})).paths.filter(({ requests }) => requests > 50).length;
  // The load is repeated: a path that was slow for a moment on a busy machine gets requests only in a later run.
  for (let runs = 0; runs < FIO_RUNS_MAX && (await carrying()) < 4; runs++) await verifyWithFio(context, mars, SPREAD);
  expect(await carrying(), 'paths that carried requests').toBe(4);
  await mars.stop('rsiod');
});

it('a memory volume', async (context) => {
  await client.rsconfigWell('-a', 'ram');
  await verifyWithFio(context, client, 'ram');
});

it('a null volume accepts every write and reads as zeros', async (context) => {
  needTool(context, 'qemu-io', 'qemu-utils');
  await client.rsconfigWell('-a', 'nothing');
  const { code, stdout } = await qemuIo(client, 'nothing', 'write -P 1 0 1M', 'flush', 'read -P 0 0 1M', 'read -P 0 1023M 1M');
  expect({ code, stdout }).toEqual({ code: 0, stdout: expect.not.stringMatching(/fail|error/i) as string });
});

it('a block device', async (context) => {
  context.skip(noLoop !== null, noLoop ?? '');
  await client.rsconfigWell('-a', 'disk');
  await verifyWithFio(context, client, 'disk');
});

it('blocksize = 4096: smaller I/O is refused to programs that ask for the block size, and whole blocks are kept', async (context) => {
  needTool(context, 'nbdinfo', 'libnbd-bin');
  await client.rsconfigWell('-a', 'blocks');
  const { exports } = JSON.parse(await runWell('nbdinfo', ['--json', client.nbdUri('blocks')])) as { exports: Record<string, unknown>[] };
  expect(exports[0]).toMatchObject({ block_size_minimum: 4096, 'export-size': 32 * MIB });
  await verifyWithFio(context, client, 'blocks');
});

it('a read-only volume can be read, and a WRITE is refused before it leaves the client', async (context) => {
  needTool(context, 'qemu-io', 'qemu-utils');
  needTool(context, 'nbdcopy', 'libnbd-bin');
  await client.rsconfigWell('-a', 'frozen');
  const write = await qemuIo(client, 'frozen', 'write -P 1 0 4k');
  expect(write.code).not.toBe(0);
  expect(write.stdout + write.stderr).toMatch(/read-only|not permitted|denied/i);
  const copy = await run('nbdcopy', [server.file('frozen.img'), client.nbdUri('frozen')]);
  expect(copy.code).not.toBe(0);
  expect(copy.stderr).toMatch(/read-?only|not permitted|EPERM|EROFS/i);
  await runWell('nbdcopy', [client.nbdUri('frozen'), client.file('copy')]);
  expect(readFileSync(client.file('copy')).equals(Buffer.alloc(MIB))).toBe(true);
  expect(await volumeStats(client, 'osl:frozen@0')).toMatchObject({ writes: 0, errors: 0 });
});

it('two volumes of two universes keep their data apart', async (context) => {
  needTool(context, 'qemu-io', 'qemu-utils');
  await client.rsconfigWell('-d', '--force');
  await client.rsconfigWell('-a', 'osl:oracle@0', 'osl:archive@1');
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
  client.writeConfig('rsiod', clientConfig(network, { defaults: { device: 'none' } }));
  await client.rsconfigWell('reload');
  await client.rsconfigWell('-d', '--force');
  expect(await client.rsconfigWell('-a', 'oracle')).toBe('osl:oracle@0 attached (no device)\n');
  await expect(NbdIo.open(client.rsiodPaths.nbdSocket, 'osl/oracle')).rejects.toThrow(
    /No export .*device = none in rscltcfg has no export/,
  );
});
