// What `rsconfig impact` says of a farm with real daemons, and what happens then: a shared pool goes on at its next owner, and a volume of a
// single server stops. `npm run drill -- impact` compares random volumes and mirrors. Rules: G55.

import { expect, it } from 'vitest';
import type { Impact } from '@rsio/api/manage/impact';
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

/** Ends all processes of a server. The fence of the farm proves that they have ended. */
async function killed(server: Host): Promise<void> {
  for (const pid of server.processes()) process.kill(pid, 'SIGKILL');
  await waitFor(() => server.processes().length === 0, KNOWN_MS, 'The server has ended');
}
