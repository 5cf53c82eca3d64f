// A shared pool has a volume that is replicated to another server, and a follower of a volume there. The owner of the pool is killed. With
// RUNS=2, it changes by command before. Each time, both replications go on at the new owner with what differs. Skipped without root, loop
// devices or xfsprogs. Rules: T4, T8, H4.

import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { callServer } from '@rsio/api/rssrv/call-server';
import type { ReplicationView } from '@rsio/api/views/views';
import { expect, it } from 'vitest';
import { reflinkDisk } from '../support/devices/reflink-disk.ts';
import { keyOf, serverConfig } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { FarmScene } from '../support/scenes/farm-scene.ts';

const WAIT_MS = 60_000;
const OWNERS = ['big-9', 'big-8'];
const SITE = 'oslo-1';
const DATA_BYTES = 4 * 1024 * 1024;
const BLOCK_BYTES = 4096;

/** With RUNS of 2, the pool moves by command as well. */
const EVENTS = Number(process.env['RUNS'] ?? 1) > 1 ? ['move', 'kill'] : ['kill'];

const hosts = useHosts();

/** Returns the replications of the server; none while it does not answer. */
async function replicationsOf(host: Host): Promise<readonly ReplicationView[]> {
  return (await callServer(host.rssrvPaths.controlSocket, 'replication-list', {}).catch(() => ({ replications: [] }))).replications;
}

/** Resolves with the replication to this server when it has a moment that was made after `sinceMs`, and copies nothing. */
function nextMoment(at: Host, sinceMs: number): Promise<ReplicationView> {
  const isNew = ({ state, direction, momentMs }: ReplicationView): boolean =>
    state === 'waiting' && direction === 'in' && (momentMs ?? 0) > sinceMs;
  return waitFor(async () => (await replicationsOf(at)).find(isNew), WAIT_MS, 'The followers have a newer moment');
}

function keyFile(host: Host, node: string): string {
  const file = host.file(`key-${node}`);
  writeFileSync(file, keyOf(node));
  return file;
}

/** Returns the directory of a volume in this pool of the server. */
async function folderOf(host: Host, pool: string, name: string): Promise<string> {
  const { volume } = await callServer(host.rssrvPaths.controlSocket, 'volume-show', { name, universe: 0 });
  return path.join(pool, 'volumes', volume.id ?? '');
}

it('replications go on at the next owner of a shared pool, as the source and as the follower', {
  timeout: 4 * WAIT_MS,
}, async (context) => {
  const farm = await FarmScene.onFiles(context, hosts, OWNERS, ['fast']);
  const site = hosts.host();
  const pool = path.join(reflinkDisk(hosts, site, context), 'pool');
  mkdirSync(pool);
  const own = await hosts.network(1);
  const clients = { farm: keyOf('farm') };
  site.writeConfig('rssrv', serverConfig(own, { name: SITE, server: { serverid: '9' }, volumes: {}, clients }));
  await site.start('rssrv');
  await site.rsadmWell('pool', 'add', 'safe', pool, '--reserve', '0%');
  const [siteKey, farmKey] = [keyFile(site, SITE), keyFile(site, 'farm')];
  const siteAddress = `${own.serverAddresses[0]}:${own.port}`;
  for (const server of farm.servers) {
    await server.rsadmWell('client', 'add', SITE, '--key-file', siteKey);
    await site.rsadmWell('peer', 'add', farm.nameOf(server), '--address', farm.addressOf(server), '--key-file', siteKey);
    const asFarm = ['--nodename', 'farm', '--key-file', farmKey, '--pools', 'fast'];
    await server.rsadmWell('peer', 'add', SITE, '--address', siteAddress, ...asFarm);
  }

  const data = randomBytes(DATA_BYTES);
  const { holder } = farm;
  const first = await farm.served('fast');
  await first.rsadmWell('volume', 'create', 'db', '--size', '16m');
  await site.rsadmWell('volume', 'create', 'log', '--size', '16m');
  writeFileSync(path.join(await folderOf(site, pool, 'log'), 'data'), data, { flag: 'r+' });
  await waitFor(async () => (await holder.rsconfig('-a', 'db')).code === 0, WAIT_MS, 'The client attaches the volume');
  const nbd = await NbdIo.open(holder.rsiodPaths.nbdSocket, 'osl/db');
  hosts.onClean(() => nbd.close());
  await nbd.write(BLOCK_BYTES, data);
  await first.rsadmWell('volume', 'replicate', 'db', '--to', `safe@${SITE}`, '--every', '1s', '--keep', '2');
  await site.rsadmWell('volume', 'replicate', 'log', '--to', 'fast@farm', '--every', '1s', '--keep', '2');

  /** Writes a number to db, and expects both replications to go on at this owner. Only differences are copied, except at first. */
  const goesOn = async (number: number, owner: Host): Promise<void> => {
    await nbd.write(0, Buffer.alloc(BLOCK_BYTES, number));
    await nbd.flush();
    const sinceMs = Date.now();
    const [db, log] = await Promise.all([nextMoment(site, sinceMs), nextMoment(owner, sinceMs)]);
    expect([db.peer, log.peer]).toEqual([farm.nameOf(owner), SITE]);
    // On a busy machine, the first moment that is seen may already be the second one.
    if (number > 1) expect([db, log].map(({ totalBytes }) => totalBytes < DATA_BYTES)).toEqual([true, true]);
    const { snapshots } = await callServer(site.rssrvPaths.controlSocket, 'volume-show', { name: 'db', universe: 0 });
    const content = readFileSync(path.join(await folderOf(site, pool, 'db'), 'snapshots', `${snapshots.at(-1)?.snapshot}.data`));
    expect(content.subarray(0, BLOCK_BYTES).equals(Buffer.alloc(BLOCK_BYTES, number))).toBe(true);
    expect(content.subarray(BLOCK_BYTES, BLOCK_BYTES + DATA_BYTES).equals(data)).toBe(true);
  };
  let owner = first;
  await goesOn(1, owner);
  for (const [index, event] of EVENTS.entries()) {
    const next = farm.servers.find((server) => server !== owner)!;
    expect(await next.rsadmWell('peer', 'list', '--json')).toContain('It is for the owner of pool fast');
    if (event === 'move') await farm.movePool(owner, 'fast', farm.nameOf(next));
    else await owner.kill('rssrv');
    await goesOn(index + 2, next);
    owner = next;
  }
  expect(await owner.rsadmWell('volume', 'promote', 'log', '--yes')).toMatch(/^log@0 promoted, with the content of/);
  expect(
    readFileSync(path.join(await folderOf(owner, farm.mountOf(owner, 'fast'), 'log'), 'data'))
      .subarray(0, DATA_BYTES)
      .equals(data),
  ).toBe(true);
});
