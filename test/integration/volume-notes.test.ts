// Notes at volumes with real daemons, for a volume of a pool and for a mirror: only the holder writes, others read, and the note outlives
// its hold and kills. Servers say for how long they have seen no path of a node. A mirror that another client has taken is not attached
// again after a kill of rsiod.

import { beforeAll, expect, it } from 'vitest';
import { useHosts } from '../support/hosts/hosts.ts';
import type { Host } from '../support/hosts/host.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { AppSite, kill } from '../support/scenes/app-site.ts';

const SIZE = 8 * 1024 * 1024;
const WAIT_MS = 30_000;
const NODES = ['big-2', 'venus'];
const hosts = useHosts('file');
let site: AppSite;
let big2: Host;
let venus: Host;

beforeAll(async () => {
  site = await AppSite.start(hosts, { nodes: NODES });
  big2 = site.node('big-2');
  venus = site.node('venus');
  await site.createMirror('db', SIZE);
  await big2.rsconfigWell('volume', 'create', 'plain', '--size', '8m', '--server', 'pi-1');
}, 120_000);

async function noteOf(node: Host, volume: string) {
  return await node.call('volume-note', { volume, fresh: true });
}

it.each(['plain', 'db'])('the holder of %s writes its note, which others read, and the next holder writes another', async (volume) => {
  await waitFor(async () => (await venus.rsconfig('-q')).stdout.includes(volume), WAIT_MS, 'Both see the volume');
  expect(await noteOf(venus, volume)).toMatchObject({ isSure: true, holder: null, note: null, isMirror: volume === 'db', node: 'venus' });
  await expect(big2.call('volume-note-set', { volume, note: 'x' })).rejects.toMatchObject({ code: 'E_UNKNOWN_VOLUME' });
  await big2.rsconfigWell('-a', volume);
  await expect(big2.call('volume-note-set', { volume, note: 'a\nb' })).rejects.toMatchObject({ code: 'E_USAGE' });
  await big2.call('volume-note-set', { volume, note: '{"enabled": true}' });
  expect(await noteOf(venus, volume)).toMatchObject({ isSure: true, holder: 'big-2', note: '{"enabled": true}' });
  await expect(venus.call('volume-note-set', { volume, note: 'x' })).rejects.toMatchObject({ code: 'E_UNKNOWN_VOLUME' });
  await big2.rsconfigWell('-d', volume);
  expect(await noteOf(venus, volume)).toMatchObject({ isSure: true, holder: null, note: '{"enabled": true}' });
  await venus.rsconfigWell('-a', volume);
  await venus.call('volume-note-set', { volume, note: 'mine' });
  expect(await noteOf(big2, volume)).toMatchObject({ holder: 'venus', note: 'mine' });
  await venus.rsconfigWell('-d', volume);
});

it('a former holder writes nothing', async () => {
  for (const volume of ['plain', 'db']) {
    await big2.rsconfigWell('-a', volume);
    await venus.rsconfigWell('-a', '--take-over', volume);
    await venus.call('volume-note-set', { volume, note: 'after' });
    await expect(big2.call('volume-note-set', { volume, note: 'late' })).rejects.toThrow();
    expect(await noteOf(big2, volume)).toMatchObject({ holder: 'venus', note: 'after' });
    await venus.rsconfigWell('-d', volume);
  }
});

it('servers say for how long a node has no path; for a mirror, most voters do; the note outlives kills of all of them', async () => {
  const seen = async (volume: string): Promise<number> => (await big2.call('nodes-seen', { volume, nodes: ['venus'] })).nodes[0]!.silentMs;
  expect([await seen('plain'), await seen('db')]).toEqual([0, 0]);
  await venus.rsconfigWell('-a', 'db');
  kill(venus, 'SIGSTOP');
  try {
    for (const volume of ['plain', 'db']) await waitFor(async () => (await seen(volume)) > 1000, WAIT_MS, `venus is silent for ${volume}`);
    site.killServer(2);
    // The two voters that are left may see the silence a moment after the first two of three.
    await waitFor(async () => (await seen('db')) > 1000, WAIT_MS, 'two of three voters say that venus is silent');
    await big2.rsconfigWell('-a', '--take-over', 'db');
  } finally {
    kill(venus, 'SIGCONT');
  }
  await site.servers[2]!.start('rssrv');
  for (const volume of ['plain', 'db']) await waitFor(async () => (await seen(volume)) === 0, WAIT_MS, `venus is back for ${volume}`);
  await waitFor(async () => !(await venus.rsconfig('-l')).stdout.includes('db'), WAIT_MS, 'venus has lost the mirror');
  await big2.rsconfigWell('-d', 'db');
  // The mirror is free now, and the next rsiod of venus must not attach it.
  kill(venus, 'SIGKILL');
  await venus.start('rsiod');
  await venus.pathsUp(3);
  expect((await venus.call('local', {})).attachments).toEqual([]);
  expect(await noteOf(venus, 'db')).toMatchObject({ holder: null, note: 'after' });
});
