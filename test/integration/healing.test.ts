// A mirror heals by itself, with real daemons and under writes: a server that stays away is replaced, the new replica has every write, and
// nothing is lost when the other original server dies afterwards. `npm run drill -- healing` loses servers in turn, also some that come back
// in time. The unit tests of packages/rsiod/src/mirrors/healing cover doubts and failures. Rules: G57.

import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { clientConfig, startServer } from '../support/hosts/configs.ts';
import { emptyPool } from '../support/hosts/empty-pool.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const MIB = 1024 * 1024;
const SIZE = 16 * MIB;
const PIECE = 64 * 1024;
const SOON_MS = 30_000;
/** The least value of replace-after. */
const AFTER_MS = 60_000;
const HEALED_MS = AFTER_MS + 90_000;
const DEFAULTS = {
  heartbeat: '400ms',
  suspect: '100ms',
  dead: '1s',
  'mirror-patience': '300ms',
  'replace-after': '1m',
  spares: 'pi-3, pi-4',
};

const hosts = useHosts();

it('a server that stays away is replaced by a spare, which then has every write', { timeout: 300_000 }, async () => {
  const network = await hosts.network(1);
  const addresses = [10, 11, 12, 13].map((last) => network.subnets[0]!.address(last));
  const servers: Host[] = [];
  for (const [index, address] of addresses.entries()) {
    const host = hosts.host();
    servers.push(host);
    await startServer(
      host,
      { ...network, serverAddresses: [address] },
      {
        name: `pi-${index + 1}`,
        server: { serverid: String(index + 1), processes: '1' },
        volumes: {},
        pools: { fast: { path: await emptyPool(host) } },
        rights: { 'big-2': 'manage' },
      },
    );
  }
  const client = hosts.host();
  client.writeConfig('rsiod', clientConfig(network, { serverAddresses: addresses, defaults: DEFAULTS }));
  await client.start('rsiod');
  await client.pathsUp(4);
  await client.rsconfigWell('mirror', 'create', 'db', '--size', '16m', '--servers', 'pi-1,pi-2', '--witness', 'pi-3', '--attach');

  const replicas = async (): Promise<string> => {
    const { mirrors } = await client.call('mirrors', { namespace: null });
    return (mirrors[0]?.replicas ?? []).map((one) => `${one.server}${one.inSync ? '' : '?'}`).join(' ');
  };
  const said = async (): Promise<string> => (await client.rsconfigWell('events', '--json')).replaceAll('\\', '');
  const kill = (host: Host): void => host.processes().forEach((pid) => process.kill(pid, 'SIGKILL'));
  const model = Buffer.alloc(SIZE);
  const io = await NbdIo.open(client.rsiodPaths.nbdSocket, 'osl/db');
  const writeAt = async (offset: number): Promise<void> => {
    const data = randomBytes(PIECE);
    data.copy(model, offset);
    await io.write(offset, data);
  };
  for (let offset = 0; offset < SIZE; offset += MIB) await writeAt(offset);
  await io.flush();
  let isChanging = true;
  const writing = (async () => {
    for (let turn = 0; isChanging; turn++) {
      await writeAt((turn * 7 * PIECE) % SIZE);
      await sleep(5);
    }
  })();

  kill(servers[1]!);
  const announced = 'Server pi-2 is lost: if it stays away for 1m, server pi-4 gets';
  await waitFor(async () => (await said()).includes(announced), SOON_MS, 'it is announced');
  await waitFor(async () => (await replicas()) === 'pi-1 pi-4', HEALED_MS, 'pi-4 has replaced pi-2, and is in sync');
  expect(await said()).toMatch(/Server pi-4 has the place of pi-2/);
  expect((await client.rsconfig('mirror', 'list')).stdout.split('\n')[1]).toMatch(/pi-1 pi-4 +- +pi-3/);
  isChanging = false;
  await writing;
  await io.flush();
  kill(servers[0]!);
  await writeAt(0);
  await io.flush();
  for (let offset = 0; offset < SIZE; offset += MIB)
    expect((await io.read(offset, MIB)).equals(model.subarray(offset, offset + MIB)), `at ${offset}`).toBe(true);
  io.close();
});
