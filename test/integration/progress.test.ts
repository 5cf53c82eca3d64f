// Work that takes time with real daemons: a move, a resync, a comparison and a backup are slowed down, and rsconfig progress, rsadm progress
// and the metrics show them in one form until they end. The unit tests of packages/api/src/views/progress.ts have all kinds.

import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import type { Progress, Work } from '@rsio/api/views/views';
import { reflinkDisk } from '../support/devices/reflink-disk.ts';
import { clientConfig, startServer } from '../support/hosts/configs.ts';
import { emptyPool } from '../support/hosts/empty-pool.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const MIB = 1024 ** 2;
const DATA_BYTES = 8 * MIB;
const KNOWN_MS = 20_000;
const hosts = useHosts('file');

async function written(client: Host, volume: string): Promise<void> {
  const io = await NbdIo.open(client.rsiodPaths.nbdSocket, `osl/${volume}`, KNOWN_MS);
  for (let at = 0; at < DATA_BYTES; at += MIB) await io.write(at, Buffer.alloc(MIB, 7));
  await io.flush();
  io.close();
}

type Listed = Progress & { readonly server: string | null };

async function seen(client: Host, kind: Work): Promise<Listed> {
  let found: Listed | undefined;
  await waitFor(
    async () => {
      const { progress } = JSON.parse((await client.rsconfig('progress', '--json')).stdout) as { progress: Listed[] };
      found = progress.find((one) => one.kind === kind && one.doneBytes > 0 && one.totalBytes !== null);
      return found !== undefined;
    },
    KNOWN_MS,
    `progress of ${kind}`,
  );
  return found!;
}

it('a resync, a comparison, a backup and a move are shown while they last', { timeout: 300_000 }, async (context) => {
  const [one, two, client] = [hosts.host(), hosts.host(), hosts.host()];
  const networks = [await hosts.network(1), await hosts.network(1)] as const;
  const fast = path.join(reflinkDisk(hosts, one, context), 'pool');
  mkdirSync(fast);
  for (const [index, host] of [one, two].entries()) {
    const [name, serverid] = [['big-9', 'big-8'][index]!, String(index + 1)];
    await startServer(host, networks[index]!, { volumes: {}, rights: { 'big-2': 'manage' }, name, server: { serverid } });
    await host.rsadmWell('pool', 'add', 'fast', index === 0 ? fast : await emptyPool(host), '--reserve', '0%');
  }
  await one.rsadmWell('pool', 'add', 'slow', await emptyPool(one, 'slow'), '--reserve', '0%');
  const [, second] = networks;
  const other = `[server big-8]\naddress = ${second.serverAddresses[0]}\nport = ${second.port}\n[interface if7]\naddress = ${second.clientAddresses()[0]}\n`;
  client.writeConfig('rsiod', `${clientConfig(networks[0], { defaults: { 'resync-rate': '1m', stall: 'forever' } })}\n${other}`);
  await client.start('rsiod');
  await client.pathsUp(2, KNOWN_MS);
  for (const volume of ['db', 'm'])
    await client.rsconfigWell('volume', 'create', volume, '--size', '12m', '--server', 'big-9', '--pool', 'fast');
  await waitFor(async () => (await client.rsconfig('-a', 'db', 'm')).code === 0, KNOWN_MS, 'both are attached');
  for (const volume of ['db', 'm']) await written(client, volume);
  expect((await client.rsconfig('progress')).stderr).toContain('No work that takes time');

  await client.rsconfigWell('-d', 'm');
  await client.rsconfigWell('mirror', 'add', 'm', '--server', 'big-8', '--pool', 'fast');
  await waitFor(async () => (await client.rsconfig('-a', 'm')).code === 0, KNOWN_MS, 'the mirror is attached');
  expect(await seen(client, 'resync')).toMatchObject({ name: 'osl:m@0', about: 'to server big-8', goesOn: true, server: null });
  await waitFor(async () => (await client.rsconfigWell('mirror', 'list')).includes('big-9 big-8'), KNOWN_MS, 'both replicas are in sync');

  const verifying = client.rsconfig('mirror', 'verify', 'm');
  expect(await seen(client, 'verify')).toMatchObject({ name: 'osl:m@0', totalBytes: 12 * MIB, server: null });
  await client.rsconfig('mirror', 'verify', 'm', '--stop');
  await verifying;

  const move = await client.rsconfigWell('volume', 'move', 'db', '--pool', 'slow', '--limit', '256k', '--background', '--json');
  const { job } = JSON.parse(move) as { job: { id: string } };
  expect(await seen(client, 'move')).toMatchObject({ name: 'db@0', about: 'from fast to slow', goesOn: true, server: 'big-9' });
  expect(await one.rsadmWell('progress')).toMatch(/^WORK +VOLUME .*\nmove +db@0 +from fast to slow +\d+%/);
  await client.rsconfigWell('volume', 'jobs', 'cancel', job.id, '--server', 'big-9');

  await client.rsconfigWell('volume', 'snapshot', 'db@monday');
  await one.rsadmWell('client', 'set', 'big-2', 'bandwidth=1m');
  const backing = client.rsconfig('backup', 'db@monday', client.root);
  expect(await seen(client, 'backup')).toMatchObject({ name: 'osl:db@0@monday', totalBytes: 12 * MIB, goesOn: false, server: null });
  expect((await backing).code).toBe(0);
  await one.rsadmWell('client', 'set', 'big-2', 'bandwidth=off');
  await waitFor(async () => (await client.rsconfig('progress')).stderr.includes('No work that takes time'), KNOWN_MS, 'nothing is left');
});
