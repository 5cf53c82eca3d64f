// A server process that stands still in a call to its storage: its client hears nothing on any path, and yet the server is only slow. Its
// I/O waits past `stall`, people are told for what, and it goes on with the storage. The storage is a file system that is frozen, so that a
// WRITE hangs in the kernel on the thread that answers PINGs.

import { existsSync } from 'node:fs';
import { expect, it } from 'vitest';
import { startClient, startServer } from '../support/configs.ts';
import { DeviceHost, needDevices } from '../support/devices.ts';
import { useLab } from '../support/lab.ts';
import { NbdIo } from '../support/nbd-io.ts';
import { waitFor } from '../support/wait-for.ts';

const BLOCK = 4096;
const NODES = ['big-2', 'venus'] as const;
/** Silence is noticed after three seconds, then `stall` counts. */
const HUNG_MS = 10_000;
const BACK_MS = 30_000;

const lab = useLab();

it('a WRITE that hangs in the storage is waited for past `stall`, and so are others of its process', async (context) => {
  needDevices(context);
  const devices = new DeviceHost(lab);
  await devices.ready;
  const server = devices.host;
  const network = await lab.network(2);
  const [image, place] = [server.file('disk.img'), server.file('disk')];
  await devices.well('truncate -s 64m "$1"; mkfs.ext4 -q "$1"; mkdir "$2"; mount -o loop "$1" "$2"', image, place);
  lab.onClean(() => devices.shell('fsfreeze -u "$1" 2> /dev/null || true', place));
  const volumes = {
    hung: { path: `${place}/hung.img`, size: '16m', clients: 'big-2' },
    well: { path: server.file('well.img'), size: '16m', clients: 'venus' },
  };
  await startServer(server, network, { volumes, server: { processes: '1' } });
  const doors = await Promise.all(
    NODES.map(async (node, index) => {
      const client = lab.host();
      await startClient(client, network, { node, client: index, defaults: { stall: '3s' } });
      await client.rsconfigWell('-a');
      return { client, nbd: await NbdIo.open(client.rsiodPaths.nbdSocket, `osl/${index === 0 ? 'hung' : 'well'}`, 90_000) };
    }),
  );
  expect(server.worker('big-2'), 'one process for both').toBe(server.worker('venus'));
  for (const { nbd } of doors) await nbd.write(0, Buffer.alloc(BLOCK, 1));

  await devices.well('fsfreeze -f "$1"', place);
  const outcomes: string[] = [];
  const write = ({ nbd }: (typeof doors)[number], index: number): Promise<unknown> =>
    nbd.write(0, Buffer.alloc(BLOCK, 2)).then(
      () => outcomes.push(`${NODES[index]}: written`),
      (error: unknown) => outcomes.push(`${NODES[index]}: ${String(error)}`),
    );
  const writes = [write(doors[0]!, 0)];
  await new Promise((resolve) => setTimeout(resolve, 500));
  writes.push(write(doors[1]!, 1));
  await new Promise((resolve) => setTimeout(resolve, HUNG_MS));
  const [hung] = doors;
  const status = await hung!.client.rsconfigWell('-m', 'status', '-v');
  expect(outcomes, status).toEqual([]);
  expect(status).toMatch(/osl:hung@0 waits for server big-9, which is there and slow: .*stands still.*\n.*until: for ever/);
  await devices.well('fsfreeze -u "$1"', place);
  await waitFor(() => outcomes.length === 2, BACK_MS, 'Both are written');
  await Promise.all(writes);
  expect(outcomes.toSorted()).toEqual(['big-2: written', 'venus: written']);
  for (const { nbd } of doors) expect(await nbd.read(0, BLOCK)).toEqual(Buffer.alloc(BLOCK, 2));
  expect(server.log('rssrv')).toMatch(/stands still/);
  expect(server.log('rssrv')).toMatch(/goes on after \d+ s/);
  expect(existsSync(image)).toBe(true);
}, 180_000);
