// Commands change the servers of an attached mirror, with real daemons and under writes: one server is killed and replaced by another
// server, to which the replica is copied. Then the other original server is also killed, and no data is lost. The replaced server comes
// back. Unit tests in packages/rsiod/src/mirrors/commands cover the steps of the commands. Rules: G35.

import { randomBytes } from 'node:crypto';
import { beforeEach, expect, it } from 'vitest';
import { clientConfig, keyOf, serverConfig } from '../support/hosts/configs.ts';
import { emptyPool } from '../support/hosts/empty-pool.ts';
import type { Host } from '../support/hosts/host.ts';
import { type TestNetwork, useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const MIB = 1024 * 1024;
const SIZE = 16 * MIB;
const PIECE = 64 * 1024;
/** Within this time, a mirror continues without a server, or copies a replica. */
const SOON_MS = 30_000;
const QUICK = { heartbeat: '400ms', suspect: '100ms', dead: '1s', 'mirror-patience': '300ms' };

const hosts = useHosts();
let servers: Host[];
let client: Host;
let network: TestNetwork;

beforeEach(async () => {
  network = await hosts.network(1);
  const addresses = [10, 11, 12, 13].map((last) => network.subnets[0]!.address(last));
  servers = [];
  for (const [index, address] of addresses.entries()) servers.push(await startServer(index, address));
  client = hosts.host();
  client.writeConfig('rsiod', clientConfig(network, { node: 'big-2', client: 0, serverAddresses: addresses, defaults: QUICK }));
  await client.start('rsiod');
  await client.pathsUp(4);
});

/** Starts a server. pi-1, pi-2 and pi-4 have pools, and pi-3 only votes. */
async function startServer(index: number, address: string): Promise<Host> {
  const host = hosts.host();
  const isWitness = index === 2;
  const text = serverConfig(
    { port: network.port, serverAddresses: [address] },
    {
      name: `pi-${index + 1}`,
      server: { serverid: String(index + 1), ...(isWitness ? { witness: 'yes' } : {}) },
      volumes: {},
      pools: isWitness ? {} : { fast: { path: await emptyPool(host) } },
      clients: { 'big-2': keyOf('big-2') },
      rights: isWitness ? {} : { 'big-2': 'manage' },
    },
  );
  host.writeConfig('rssrv', text);
  await host.start('rssrv');
  return host;
}

function killServer(host: Host): void {
  for (const pid of host.processes()) process.kill(pid, 'SIGKILL');
}

/** Returns the names of the servers whose replicas are in sync. */
async function inSync(): Promise<string> {
  const { mirrors } = await client.call('mirrors', { namespace: null });
  return (mirrors[0]?.replicas ?? []).flatMap((one) => (one.inSync ? [one.server] : [])).join(' ');
}

it('a killed server is replaced under writes, and the mirror then survives the other one', { timeout: 300_000 }, async () => {
  await client.rsconfigWell('mirror', 'create', 'db', '--size', '16m', '--servers', 'pi-1,pi-2', '--witness', 'pi-3', '--attach');
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
    for (let turn = 0; isChanging; turn++) await writeAt((turn * 7 * PIECE) % SIZE);
  })();
  killServer(servers[1]!);
  const away = await client.rsconfig('mirror', 'detach', 'db', '--server', 'pi-9');
  expect(away.stderr).toContain('its servers are pi-1, pi-2, pi-3');
  await waitFor(async () => (await inSync()) === 'pi-1', SOON_MS, 'the mirror goes on without pi-2');
  const replaced = await client.rsconfig('mirror', 'replace', 'db', '--server', 'pi-2', '--with', 'pi-4');
  expect(replaced).toMatchObject({ code: 0, stdout: expect.stringContaining('osl:db@0 is in sync on pi-1') as string });
  expect(replaced.stderr).toContain('rsconfig mirror detach osl:db@0 --server pi-2 removes what it has');
  await waitFor(async () => (await inSync()) === 'pi-1 pi-4', SOON_MS, 'the new replica is copied');
  // The replaced server comes back. The return must have no effect on the mirror.
  await servers[1]!.start('rssrv');
  await client.pathsUp(4);
  isChanging = false;
  await writing;
  // The command is repeated. The server remembers a hold from before its kill, and refuses the command until the new session of the client
  // has ended this hold.
  const detached = async (): Promise<string> => client.rsconfigWell('mirror', 'detach', 'db', '--server', 'pi-2', '--volume');
  expect(await waitFor(detached, SOON_MS, 'what pi-2 had is removed')).toContain('in sync on pi-1 and pi-4');
  expect((await servers[1]!.rsadm('witness', 'list')).stdout).toBe('');
  expect((await servers[1]!.rsadm('volume', 'list')).stdout).not.toContain('db');
  killServer(servers[0]!);
  await writeAt(0);
  await io.flush();
  for (let offset = 0; offset < SIZE; offset += MIB)
    expect((await io.read(offset, MIB)).equals(model.subarray(offset, offset + MIB)), `at ${offset}`).toBe(true);
  await waitFor(async () => (await inSync()) === 'pi-4', SOON_MS, 'the mirror goes on without pi-1');
  // The witness and pi-4 are a majority of the voters. The mirror can therefore be attached again with only these two servers.
  io.close();
  await client.kill('rsiod');
  await client.start('rsiod');
  const opened = async (): Promise<NbdIo | null> => await NbdIo.open(client.rsiodPaths.nbdSocket, 'osl/db').catch(() => null);
  let again: NbdIo | null = null;
  await waitFor(async () => (again = await opened()) !== null, SOON_MS, 'attached again after a crash');
  const reader = again as NbdIo | null;
  expect((await reader!.read(0, MIB)).equals(model.subarray(0, MIB))).toBe(true);
  reader!.close();
});

it('a server that comes back without its disks is named with the command that repairs the mirror', { timeout: 180_000 }, async () => {
  await client.rsconfigWell('mirror', 'create', 'db', '--size', '16m', '--servers', 'pi-1,pi-2', '--witness', 'pi-3', '--attach');
  await waitFor(async () => (await inSync()) === 'pi-1 pi-2', SOON_MS, 'the mirror is in sync');
  const says = async (text: string, ...words: string[]): Promise<void> => {
    const isSaid = async (): Promise<boolean> =>
      Object.values(await client.rsconfig(...words))
        .join('\n')
        .replace(/\s+/g, ' ')
        .includes(text);
    await waitFor(isSaid, SOON_MS, `rsconfig ${words.join(' ')} says ${text}`);
  };
  const comesBackEmpty = async (index: number, left: string): Promise<void> => {
    await servers[index]!.stop('rssrv');
    await waitFor(async () => (await inSync()) === left, SOON_MS, 'the mirror goes on without the server');
    servers[index] = await startServer(index, network.subnets[0]!.address(10 + index));
    await client.pathsUp(4);
  };
  await comesBackEmpty(1, 'pi-1');
  await says(
    'the server answers, and has lost its record of the mirror; rsconfig mirror replace db@0 --server pi-2 --with pi-2',
    '-m',
    'status',
    '-v',
  );
  await says('rsconfig mirror replace osl:db@0 --server pi-2 --with pi-2', 'doctor');
  await client.rsconfigWell('mirror', 'replace', 'db@0', '--server', 'pi-2', '--with', 'pi-2');
  await waitFor(async () => (await inSync()) === 'pi-1 pi-2', SOON_MS, 'the replica is copied');
  await comesBackEmpty(2, 'pi-1 pi-2');
  await says('rsconfig mirror witness osl:db@0 --server pi-3 lets it vote again', 'doctor');
  await client.rsconfigWell('mirror', 'witness', 'osl:db@0', '--server', 'pi-3');
  await says('any one of its servers may fail', 'doctor');
});

it('a repeated detach finishes what an interrupted one has left, under the name of the attached mirror', { timeout: 120_000 }, async () => {
  await client.rsconfigWell('mirror', 'create', 'db', '--size', '16m', '--servers', 'pi-1,pi-2', '--witness', 'pi-3', '--attach');
  await waitFor(async () => (await inSync()) === 'pi-1 pi-2', SOON_MS, 'the mirror is in sync');
  const detach = ['mirror', 'detach', 'db', '--server', 'pi-2'];
  await client.rsconfigWell(...detach, '--volume');
  // pi-2 still votes. The command removed the mark of the replica, but not its volume.
  const leave = async (): Promise<unknown> => client.rsconfigWell('volume', 'create', 'db', '--size', '16m', '--server', 'pi-2');
  const volumes = async (): Promise<string> => (await servers[1]!.rsadm('volume', 'list')).stdout;
  await leave();
  expect((await client.rsconfig(...detach)).stderr).toContain('Server pi-2 keeps what was its replica as volume osl:db-detached@0');
  expect(await volumes()).toMatch(/db-detached/);
  expect((await client.rsconfig(...detach)).stderr).toContain('and only votes');
  await leave();
  await client.rsconfigWell(...detach, '--volume');
  await leave();
  const remove = async (): Promise<string> => client.rsconfigWell('volume', 'remove', 'db', '--server', 'pi-2', '--yes');
  expect(await waitFor(remove, SOON_MS, 'the plain volume is removed while the mirror is attached')).toContain('osl:db@0 removed');
  expect(await volumes()).not.toMatch(/db@0|db /);
  expect((await client.rsconfig('volume', 'remove', 'db', '--server', 'pi-1', '--yes')).stderr).toContain('osl:db@0 is attached here');
  await client.rsconfigWell('mirror', 'add', 'db', '--server', 'pi-2');
  await waitFor(async () => (await inSync()) === 'pi-1 pi-2', SOON_MS, 'the new replica is copied');
});
