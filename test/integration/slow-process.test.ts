// A server process that hangs in a call to its storage: its client receives nothing on any path, although the server is only slow. I/O
// waits longer than `stall`, the status gives the reason, and I/O continues once the storage answers. The storage is a frozen file system.
// A WRITE therefore hangs in the kernel, and with it the thread that answers PINGs. Rules: E2, G7.

import { STORAGE_SILENT_MS } from '@rsio/rssrv/storage/limits';
import { expect, it, type TestContext } from 'vitest';
import { startClient, startServer } from '../support/hosts/configs.ts';
import { DeviceHost, needDevices } from '../support/devices/devices.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const BLOCK = 4096;
const NODES = ['big-2', 'venus'] as const;
/** The storage hangs for this time. Meanwhile, rsiod notices the silence (after three seconds), and then the time of `stall` passes. */
const HUNG_MS = 10_000;
const BACK_MS = 30_000;
const DEADLINE_MS = 90_000;
/** The NBD flag NBD_CMD_FLAG_FUA. */
const FUA = 1;

const hosts = useHosts();

interface Frontend {
  readonly client: Host;
  readonly nbd: NbdIo;
}

interface Scene {
  readonly server: Host;
  /**
   * `hung`: volume on the file system that freezes. `well`: volume on another file system, which another client uses through the same
   * server process.
   */
  readonly hung: Frontend;
  readonly well: Frontend;
  readonly freeze: () => Promise<unknown>;
  readonly thaw: () => Promise<unknown>;
}

async function scene(context: TestContext): Promise<Scene> {
  needDevices(context);
  const devices = new DeviceHost(hosts);
  await devices.ready;
  const server = devices.host;
  const network = await hosts.network(2);
  const place = server.file('disk');
  await devices.well('truncate -s 64m "$1"; mkfs.ext4 -q "$1"; mkdir "$2"; mount -o loop "$1" "$2"', server.file('disk.img'), place);
  hosts.onClean(() => devices.shell('fsfreeze -u "$1" 2> /dev/null || true', place));
  const volumes = {
    hung: { path: `${place}/hung.img`, size: '16m', clients: 'big-2' },
    well: { path: server.file('well.img'), size: '16m', clients: 'venus' },
  };
  await startServer(server, network, { volumes, server: { processes: '1' } });
  const [hung, well] = await Promise.all(
    (['hung', 'well'] as const).map(async (name, index) => {
      const client = hosts.host();
      await startClient(client, network, { node: NODES[index]!, client: index, defaults: { stall: '3s' } });
      await client.rsconfigWell('-a');
      const nbd = await NbdIo.open(client.rsiodPaths.nbdSocket, `osl/${name}`, DEADLINE_MS);
      await nbd.write(0, filled(1));
      return { client, nbd };
    }),
  );
  expect(server.worker('big-2'), 'one process for both').toBe(server.worker('venus'));
  const act = (action: string) => (): Promise<unknown> => devices.well(`fsfreeze ${action} "$1"`, place);
  return { server, hung: hung!, well: well!, freeze: act('-f'), thaw: act('-u') };
}

function filled(value: number): Buffer {
  return Buffer.alloc(BLOCK, value);
}

function pass(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function noting(outcomes: string[], name: string, io: Promise<unknown>): void {
  void io.then(
    () => outcomes.push(`${name}: written`),
    (error: unknown) => outcomes.push(`${name}: ${String(error)}`),
  );
}

it('a WRITE that hangs in the storage waits longer than `stall`, and so do others of its process', async (context) => {
  const { server, hung, well, freeze, thaw } = await scene(context);
  await freeze();
  const outcomes: string[] = [];
  noting(outcomes, 'hung', hung.nbd.write(0, filled(2)));
  await pass(500);
  noting(outcomes, 'well', well.nbd.write(0, filled(2)));
  await pass(HUNG_MS);
  const status = await hung.client.rsconfigWell('-m', 'status', '-v');
  expect(outcomes, status).toEqual([]);
  expect(status).toMatch(/osl:hung@0 waits for server big-9, which is there and slow: .*is blocked.*\n.*until: for ever/);
  await thaw();
  await waitFor(() => outcomes.length === 2, BACK_MS, 'Both are written');
  expect(outcomes.toSorted()).toEqual(['hung: written', 'well: written']);
  for (const { nbd } of [hung, well]) expect(await nbd.read(0, BLOCK)).toEqual(filled(2));
  await server.logged('rssrv', /is blocked[^]*is running again after \d+ s/);
}, 180_000);

it('after one WRITE hung in the thread pool, none hangs in the event loop: other clients of the process continue', async (context) => {
  const { server, hung, well, freeze, thaw } = await scene(context);
  await freeze();
  const outcomes: string[] = [];
  noting(outcomes, 'forced', hung.nbd.write(0, filled(2), FUA));
  await pass(2 * STORAGE_SILENT_MS);
  const second = await NbdIo.open(hung.client.rsiodPaths.nbdSocket, 'osl/hung', DEADLINE_MS);
  noting(outcomes, 'plain', second.write(BLOCK, filled(2)));
  await pass(500);
  for (let count = 0; count < 20; count++) {
    await well.nbd.write(count * BLOCK, filled(3));
    await pass(250);
  }
  expect(outcomes).toEqual([]);
  for (const { client } of [hung, well]) expect(client.log('rsiod')).not.toMatch(/ is down: /);
  await thaw();
  await waitFor(() => outcomes.length === 2, BACK_MS, 'Both are written');
  expect(outcomes.toSorted()).toEqual(['forced: written', 'plain: written']);
  expect(server.log('rssrv')).not.toContain('is blocked');
}, 180_000);
