// What `rsconfig impact` says of a farm with real daemons, and what happens then: a shared pool goes on at its next owner, and a volume of a
// single server stops, and a client with the right view learns of the mirrors of another one. `npm run drill -- impact`
// compares random volumes, mirrors, shared pools, gates and applications. Rules: G55.

import { expect, it } from 'vitest';
import type { Impact } from '@rsio/api/manage/impact';
import { clientConfig, keyOf, serverConfig } from '../support/hosts/configs.ts';
import { emptyPool } from '../support/hosts/empty-pool.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { FarmScene } from '../support/scenes/farm-scene.ts';

const NAMES = ['big-9', 'big-8', 'big-7'];
const KNOWN_MS = 30_000;
const STOPS_MS = 15_000;
const GOES_ON_MS = 90_000;
const BLOCK = Buffer.alloc(4_096, 'x');

const hosts = useHosts('file');

it('a shared pool goes on where impact has said, and a volume of a single server stops', { timeout: 240_000 }, async (context) => {
  const farm = await FarmScene.onFiles(context, hosts, NAMES, ['fast']);
  const owner = await farm.served('fast');
  const { holder } = farm;
  const name = farm.nameOf(owner);
  const unseen = await holder.rsconfig('impact', '--off', name);
  expect([unseen.code, unseen.stdout]).toEqual([1, expect.stringContaining('its right is use, and admin is needed')]);
  for (const server of farm.servers) await server.rsadmWell('client', 'rights', 'big-2', 'admin');
  await owner.rsadmWell('pool', 'add', 'local', await emptyPool(owner), '--reserve', '0%');
  for (const [volume, pool] of [
    ['log', 'fast'],
    ['lone', 'local'],
  ] as const)
    await owner.rsadmWell('volume', 'create', volume, '--size', '1m', '--pool', pool);
  await waitFor(async () => (await holder.rsconfig('-q')).stdout.includes('lone'), KNOWN_MS, 'The client sees the volumes');
  await holder.rsconfigWell('-a', 'log', 'lone');
  const open = (volume: string, ms: number): Promise<NbdIo> => NbdIo.open(holder.rsiodPaths.nbdSocket, `osl/${volume}`, ms);
  const [log, lone] = [await open('log', GOES_ON_MS), await open('lone', STOPS_MS)];
  for (const io of [log, lone]) await io.write(0, BLOCK);

  const said = async (...off: readonly string[]): Promise<readonly Impact[]> =>
    (JSON.parse((await holder.rsconfig('impact', '--off', off.join(','), '--json')).stdout) as { impacts: readonly Impact[] }).impacts;
  const [stops, pool, volume] = await said(name);
  expect(stops).toMatchObject({ effect: 'stops', kind: 'volume', name: 'osl:lone@0', users: ['big-2'] });
  expect([pool, volume].map((one) => [one?.effect, one?.kind, one?.name, one?.to])).toEqual([
    ['moves', 'pool', 'fast', pool?.to],
    ['moves', 'volume', 'osl:log@0', pool?.to],
  ]);
  expect((await said(...NAMES)).map(({ effect }) => effect)).toEqual(['stops', 'stops', 'stops']);
  const others = NAMES.filter((one) => one !== name);
  expect((await said(...others)).map(({ effect, kind }) => `${effect} ${kind}`)).toEqual(['degraded pool', 'degraded volume']);
  const wrong = await holder.rsconfig('impact', '--off', 'pi-1');
  expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining('No server pi-1: known are big-9, big-8, big-7')]);

  await killed(owner);
  const lost = expect(lone.write(0, BLOCK)).rejects.toThrow();
  await log.write(0, BLOCK);
  await log.flush();
  expect(farm.nameOf(await farm.served('fast'))).toBe(pool?.to);
  await lost;
  log.close();
});

it.each(['view', 'admin'])('right %s: what would stop of the mirror of another client is told', { timeout: 120_000 }, async (right) => {
  const network = await hosts.network(2);
  const servers: Host[] = [];
  const addresses: string[] = [];
  for (const [index, name] of ['a1', 'a2', 'w1'].entries()) {
    const host = hosts.host();
    const own = network.subnets.map((subnet) => subnet.address(10 + index));
    addresses.push(...own);
    const pools: Record<string, Record<string, string>> = name === 'w1' ? {} : { fast: { path: await emptyPool(host) } };
    const server = { serverid: String(index + 1), ...(name === 'w1' ? { witness: 'yes' } : {}) };
    const clients = { db: keyOf('db'), ops: keyOf('ops') };
    host.writeConfig(
      'rssrv',
      serverConfig(
        { port: network.port, serverAddresses: own },
        { name, server, volumes: {}, pools, clients, rights: { db: 'manage', ops: right } },
      ),
    );
    await host.start('rssrv');
    await host.rsadmWell('namespace', 'set', 'tenants=yes');
    servers.push(host);
  }
  const [ops, db] = [hosts.host(), hosts.host()];
  for (const [node, host] of [
    ['ops', ops],
    ['db', db],
  ] as const) {
    host.writeConfig('rsiod', clientConfig(network, { node, serverAddresses: addresses }));
    await host.start('rsiod');
  }
  await waitFor(async () => (await ops.rsconfig('servers')).code === 0, KNOWN_MS, 'All servers answer');
  await db.rsconfigWell('mirror', 'create', 'db', '--size', '1m', '--servers', 'a1,a2', '--witness', 'w1', '--attach');
  const stops = await ops.rsconfig('impact', '--off', 'a2,w1');
  expect([stops.code, stops.stdout]).toEqual([1, expect.stringMatching(/^stops +mirror +osl:db@0 +- +db +1 of 3 votes are left/m)]);
  expect((await ops.rsconfig('impact', '--off', 'w1')).stdout).toMatch(/^degraded +mirror +osl:db@0/m);
  expect((await ops.rsconfig('servers')).stdout).not.toMatch(/ no$/m);
  const ready = await servers[0]!.rsadm('ready-to-restart');
  expect([ready.code, ready.stdout]).toEqual([0, 'a1 may be restarted, as far as it knows\n']);
  expect(ready.stderr).toContain('rsconfig servers at a client asks all servers');
  await servers[2]!.stop('rssrv');
  const isSaid = async (): Promise<boolean> =>
    (await ops.rsconfig('servers')).stderr.includes('a1: Mirror osl:db@0 would stop, because too few other voters answer');
  await waitFor(isSaid, KNOWN_MS, 'A server that the mirror needs is not ready');
});

/** Ends all processes of a server. The fence of the farm proves that they have ended. */
async function killed(server: Host): Promise<void> {
  for (const pid of server.processes()) process.kill(pid, 'SIGKILL');
  await waitFor(() => server.processes().length === 0, KNOWN_MS, 'The server has ended');
}
