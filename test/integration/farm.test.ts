// A shared pool on a file moves between three servers while a client writes: by command, by an orderly stop of its owner, and by force
// after its owner was killed, was frozen or lost its file system. No server calls the pool unavailable while another one serves it.
// test/support/drills/farm-drill.ts has the invariants of the data. RUNS: rounds. Rules: G39.

import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { needPrograms } from '@rsio/base/testing/needs';
import { expect, it } from 'vitest';
import { type FarmEvent, farmDrill, KILL, MOVE, STOP } from '../support/drills/farm-drill.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { FarmScene } from '../support/scenes/farm-scene.ts';

const NAMES = ['big-9', 'big-8', 'big-7'];
/** A server waits for 2 s until no other process has a copy of the mount. */
const GONE_SOON_MS = 1000;
const KNOWN_MS = 30_000;
const RUNS = Number(process.env['RUNS'] ?? 1);

const hosts = useHosts('file');

/** The fence command kills the frozen machine, so the test starts it again. */
const FREEZE: FarmEvent = { happens: (farm, owner) => farm.signal(owner, 'SIGSTOP'), after: (farm, owner) => farm.revive(owner) };

/** Shuts the file system down, as after a failed write of its log: every operation fails until it is mounted again. */
const FAILED: FarmEvent = {
  mayReturn: true,
  happens: (farm, owner) => expect(spawnSync('xfs_io', ['-x', '-c', 'shutdown', farm.mountOf(owner, 'fast')]).status).toBe(0),
  after: (_, owner) => owner.logged('rssrv', /Pool fast is no longer owned by this server: .*has failed/),
};

it('the holder of a volume in a shared pool goes on wherever the pool is served', { timeout: RUNS * 200_000 }, async (context) => {
  const farm = await FarmScene.onFiles(context, hosts, NAMES, ['fast']);
  await farmDrill(
    hosts,
    farm,
    { move: MOVE, 'killed server': KILL, 'frozen server': FREEZE, 'failed file system': FAILED, 'stopped server': STOP },
    RUNS,
  );
});

it('a pool that another server serves is no fault, and leaves no event that tells of one', async (context) => {
  const farm = await FarmScene.onFiles(context, hosts, NAMES, ['fast']);
  const owner = await farm.served('fast');
  const next = farm.servers.find((server) => server !== owner)!;
  await owner.rsadmWell('volume', 'create', 'db', '--size', '1m', '--pool', 'fast');
  const away = async (server: Host, by: Host): Promise<void> => {
    await waitFor(
      async () => (await server.rsadmWell('pool', 'list')).trimEnd().endsWith(`  served by ${farm.nameOf(by)}`),
      KNOWN_MS,
      'The other server is known',
    );
    expect(await server.rsadm('volume', 'list')).toMatchObject({ code: 0, stdout: '' });
    const { stdout } = await server.rsadm('status');
    expect(stdout).toContain(`served by ${farm.nameOf(by)}`);
    expect(stdout).not.toMatch(/Warning: (Pool|Volume)/);
    expect(await server.rsadmWell('events')).not.toContain('unavailable');
  };
  await away(next, owner);
  await farm.movePool(next, 'fast', farm.nameOf(next));
  await away(owner, next);
  await waitFor(async () => (await next.rsadmWell('volume', 'list')).includes('db@0'), KNOWN_MS, 'The new owner serves the volume');
  expect(await owner.rsadmWell('events')).toMatch(/pool fast: ready -> not here/);
});

it('a pool whose mount has a copy in another mount namespace does not move, and the process is named', async (context) => {
  needPrograms(context, 'unshare');
  const farm = await FarmScene.onFiles(context, hosts, NAMES, ['fast']);
  const owner = await farm.served('fast');
  const to = farm.nameOf(farm.servers.find((server) => server !== owner)!);
  const copy = spawn('unshare', ['--mount', '--propagation', 'private', 'sleep', '60'], { stdio: 'ignore' });
  const ended = new Promise((resolve) => copy.once('close', resolve));
  hosts.onClean(() => void copy.kill('SIGKILL'));
  await waitFor(() => readFileSync(`/proc/${copy.pid}/comm`, 'utf8') === 'sleep\n', KNOWN_MS, 'The process has its own mounts');
  const refused = await owner.rsadm('pool', 'move', 'fast', '--to', to);
  expect(refused).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(`; process ${copy.pid} \\(sleep\\) has a copy of its mount: end`),
  });
  expect(await farm.served('fast')).toBe(owner);
  // A short-lived copy does not hinder the move. A program that starts in its own mount namespace has such a copy for a moment.
  setTimeout(() => copy.kill('SIGKILL'), GONE_SOON_MS);
  expect(await owner.rsadmWell('pool', 'move', 'fast', '--to', to)).toContain(`fast is served by ${to}`);
  await ended;
});
