// A mirror on two servers without a witness loses one of these servers. The client makes a new mirror from the other replica by force, with
// all data. When the lost server comes back, its replica stays out of the new mirror, and the list of mirrors says how to remove it.
// forcing.test.ts in packages/rsiod/src/mirrors/commands tests steps that fail and the texts about losses. Rules: G33.

import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { clientConfig, keyOf, serverConfig } from '../support/hosts/configs.ts';
import { emptyPool } from '../support/hosts/empty-pool.ts';
import type { Host } from '../support/hosts/host.ts';
import { type TestNetwork, useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const MIB = 1024 * 1024;
const PIECE = 64 * 1024;
const SOON_MS = 30_000;

const hosts = useHosts();

async function startServer(network: TestNetwork, index: number): Promise<Host> {
  const host = hosts.host();
  const text = serverConfig(
    { port: network.port, serverAddresses: [network.subnets[0]!.address(10 + index)] },
    {
      name: `pi-${index + 1}`,
      server: { serverid: String(index + 1) },
      volumes: {},
      pools: { fast: { path: await emptyPool(host) } },
      clients: { 'big-2': keyOf('big-2') },
      rights: { 'big-2': 'manage' },
    },
  );
  host.writeConfig('rssrv', text);
  await host.start('rssrv');
  return host;
}

it('the server that is left has all data, and the one that comes back is no part of it', { timeout: 300_000 }, async () => {
  const network = await hosts.network(1);
  const [, lost] = [await startServer(network, 0), await startServer(network, 1)];
  const client = hosts.host();
  const defaults = { heartbeat: '400ms', suspect: '100ms', dead: '1s', 'mirror-patience': '300ms' };
  const serverAddresses = [10, 11].map((last) => network.subnets[0]!.address(last));
  client.writeConfig('rsiod', clientConfig(network, { node: 'big-2', serverAddresses, defaults }));
  await client.start('rsiod');
  await client.pathsUp(2);
  await client.rsconfig('mirror', 'create', 'db', '--size', '16m', '--servers', 'pi-1,pi-2', '--attach');
  const open = (): Promise<NbdIo> => NbdIo.open(client.rsiodPaths.nbdSocket, 'osl/db');
  const data = randomBytes(PIECE);
  let io = await open();
  await io.write(MIB, data);
  io.close();
  const FORCE = ['mirror', 'force', 'db', '--servers', 'pi-1', '--yes'];
  expect(await client.rsconfig(...FORCE)).toMatchObject({ code: 1, stderr: expect.stringMatching(/\[E_IN_USE\]/) as string });
  for (const pid of lost.processes()) process.kill(pid, 'SIGKILL');
  await client.rsconfig('-d', 'db', '--force');
  await waitFor(async () => (await client.rsconfig('mirror', 'list')).stdout.includes('pi-2(silent)'), SOON_MS, 'the server is gone');
  const forced = await client.rsconfig(...FORCE);
  expect(forced).toMatchObject({ code: 0, stdout: expect.stringContaining('osl:db@0 is on pi-1 (in sync)\n') as string });
  expect(forced.stderr).toContain('pi-1 has every write that was acknowledged');
  await client.rsconfigWell('-a', 'db', '--server', 'pi-1');
  io = await open();
  expect((await io.read(MIB, PIECE)).equals(data)).toBe(true);
  const later = randomBytes(PIECE);
  await io.write(MIB, later);
  await io.flush();
  await lost.start('rssrv');
  await client.pathsUp(2);
  const twins = async (): Promise<string> => (await client.rsconfig('mirror', 'list')).stderr;
  await waitFor(async () => (await twins()).includes('2 mirrors are called osl:db@0'), SOON_MS, 'both mirrors are listed');
  const old = /([0-9a-f]{32}) on pi-2/.exec(await twins())?.[1] ?? '';
  await io.write(2 * MIB, later);
  for (const at of [MIB, 2 * MIB]) expect((await io.read(at, PIECE)).equals(later)).toBe(true);
  io.close();
  await client.rsconfigWell('mirror', 'remove', 'db', '--id', old, '--volumes', '--force');
  expect(await client.rsconfigWell('mirror', 'list')).toMatch(/^osl:db@0 +16\.0M +pi-1 +- +- +big-2$/m);
  await client.rsconfigWell('-d', 'db');
});
