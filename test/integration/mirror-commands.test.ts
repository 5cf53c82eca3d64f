// Mirrors by command on three real servers: two with a pool, and a witness that grants the client no right. The test checks the effects and
// the output of the commands at clients and servers, and that refusals and removals leave no volume or record behind. Unit tests in
// packages/rsiod/src/mirrors/commands cover failures of each step. Rules: G34.

import { MIRRORS } from '@rsio/api/views/mirror-views';
import { misfit } from '@rsio/base/lib/shape';
import { beforeAll, expect, it } from 'vitest';
import { clientConfig, serverConfig, startServer } from '../support/hosts/configs.ts';
import { emptyPool } from '../support/hosts/empty-pool.ts';
import type { Host } from '../support/hosts/host.ts';
import { type TestNetwork, useHosts } from '../support/hosts/hosts.ts';
import { waitFor } from '../support/programs/wait-for.ts';

/** A client learns of changes at a server within this time. */
const KNOWN_MS = 10_000;

const hosts = useHosts('file');
let [big9, big8, pi1, client]: Host[] = [];
let witnessFile: string;

beforeAll(async () => {
  [big9, big8, pi1, client] = [hosts.host(), hosts.host(), hosts.host(), hosts.host()];
  const networks = [await hosts.network(1), await hosts.network(1), await hosts.network(1)];
  const rights = { 'big-2': 'manage' };
  for (const [index, host] of [big9, big8].entries())
    await startServer(host, networks[index]!, {
      volumes: {},
      rights,
      name: ['big-9', 'big-8'][index]!,
      server: { serverid: String(index + 1) },
      pools: { fast: { path: await emptyPool(host) } },
    });
  witnessFile = serverConfig(networks[2]!, { volumes: {}, name: 'pi-1', server: { serverid: '3', witness: 'yes' } });
  pi1.writeConfig('rssrv', witnessFile);
  await pi1.start('rssrv');
  client.writeConfig('rsiod', threeServers(networks));
  await client.start('rsiod');
  await waitFor(
    async () => {
      const { namespaces } = await client!.call('query', { refresh: false });
      return namespaces.flatMap(({ servers }) => servers).filter(({ state }) => state === 'connected').length === 3;
    },
    KNOWN_MS,
    'the three servers are connected',
  );
});

function threeServers([first, ...others]: TestNetwork[]): string {
  const more = others.map((network, index) => {
    const name = ['big-8', 'pi-1'][index]!;
    return `[server ${name}]\naddress = ${network.serverAddresses[0]}\nport = ${network.port}\n[interface if${index + 7}]\naddress = ${network.clientAddresses()[0]}\n`;
  });
  // Each section stands below its namespace, because a section belongs to the `[namespace]` above it.
  return `${clientConfig(first!)}\n${more.join('\n')}`;
}

const CREATE = ['mirror', 'create', 'db', '--size', '16m', '--servers', 'big-9,big-8', '--witness', 'pi-1'];

it('a mirror is made, shown by client and servers, and dissolved', async () => {
  expect(await client!.rsconfigWell(...CREATE)).toBe('osl:db@0 created on big-9 and big-8, witness pi-1, 16.0M\n');
  expect(await client!.rsconfigWell('mirror', 'list')).toBe(
    'MIRROR     SIZE  IN SYNC      OTHER  WITNESS  HELD BY\nosl:db@0  16.0M  big-9 big-8  -      pi-1     -\n',
  );
  const shown: unknown = JSON.parse(await client!.rsconfigWell('mirror', 'list', '--json'));
  expect(misfit(MIRRORS, shown, 'exactly')).toBeNull();
  expect((await client!.rsconfigWell('-q')).match(/ 0 {2}db .* bytes {2}replica$/gm)).toHaveLength(2);
  for (const host of [big9, big8, pi1]) expect(await host!.rsadmWell('witness', 'list')).toMatch(/^[0-9a-f]{32} +db@0 +1 2 +- +-$/m);
  const again = await client!.rsconfig(...CREATE);
  expect(again).toMatchObject({ code: 1, stderr: expect.stringMatching(/db@0.*nothing of it is left \[E_EXISTS\]/) as string });
  expect(await client!.rsconfigWell('mirror', 'remove', 'db')).toBe(
    'osl:db@0 is no mirror any more\n' +
      '    big-9: volume osl:db@0 is a plain volume, with all that was written\n' +
      '    big-8: volume osl:db@0 is a plain volume, with all that was written\n',
  );
  expect(await client!.rsconfigWell('-q')).not.toContain('replica');
  for (const host of [big9, big8, pi1]) expect((await host!.rsadm('witness', 'list')).stdout).toBe('');
  expect((await client!.rsconfigWell('volume', 'list')).match(/^osl:db@0 /gm)).toHaveLength(2);
  for (const server of ['big-9', 'big-8']) await client!.rsconfigWell('volume', 'remove', 'db', '--server', server, '--yes');
});

it('a witness that refuses is named with its key, and nothing is left; removing removes the volumes', async () => {
  pi1!.writeConfig('rssrv', witnessFile.replace('witness = yes', 'witness = no'));
  await pi1!.rsadmWell('reload');
  const refused = await client!.rsconfig(...CREATE);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toMatch(/Server pi-1: .*set witness = yes in section \[server\].*nothing of it is left/);
  expect((await client!.rsconfig('volume', 'list')).stdout).toBe('');
  for (const host of [big9, big8]) expect((await host!.rsadm('witness', 'list')).stdout).toBe('');
  const { code, stderr } = await client!.rsconfig(...CREATE.slice(0, -2));
  expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining('The mirror has no witness') as string });
  expect(await client!.rsconfigWell('mirror', 'remove', 'db', '--volumes')).toContain('big-8: volume osl:db@0 was removed\n');
  expect((await client!.rsconfig('volume', 'list')).stdout).toBe('');
  pi1!.writeConfig('rssrv', witnessFile);
  await pi1!.rsadmWell('reload');
});

it('a mirror that is attached names its holder, and is not removed', async () => {
  expect(await client!.rsconfigWell(...CREATE, '--attach')).toContain('osl:db@0 attached nbd+unix:');
  expect(await client!.rsconfigWell('mirror', 'list')).toMatch(/^osl:db@0 +16\.0M +big-9 big-8 +- +pi-1 +big-2$/m);
  for (const more of [[], ['--force']]) {
    const refused = await client!.rsconfig('mirror', 'remove', 'db', ...more);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('osl:db@0 is attached here') as string });
  }
  await client!.rsconfigWell('-d', 'db');
  expect(await client!.rsconfigWell('mirror', 'list')).toMatch(/^osl:db@0 .* -$/m);
  await client!.rsconfigWell('mirror', 'remove', 'db', '--volumes');
  expect((await client!.rsconfig('volume', 'list')).stdout).toBe('');
});

it('a server that is gone is shown, and what it keeps is named', async () => {
  await client!.rsconfigWell(...CREATE);
  await big8!.stop('rssrv');
  await waitFor(
    async () => (await client!.rsconfig('mirror', 'list')).stdout.includes('big-8(silent)'),
    KNOWN_MS,
    'the list shows that big-8 is silent',
  );
  expect((await client!.rsconfig('mirror', 'list')).stderr).toContain('Server big-8 of osl is not connected');
  const removed = await client!.rsconfig('mirror', 'remove', 'db', '--volumes');
  expect(removed).toMatchObject({ code: 1, stdout: 'osl:db@0 is no mirror any more\n    big-9: volume osl:db@0 was removed\n' });
  expect(removed.stderr).toContain('rsconfig mirror remove osl:db@0 --volumes --force removes what it has');
});
