// Clients that an administrator kicks, fences and lets in again, with real processes under load: the test examines the server's file after
// each fence. RUNS sets how often a client is fenced under load. packages/rssrv/src/volumes/fencing.test.ts tests the order of the steps.
// Rules: G20.

import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { TAKE_OVER_REVOKE_MS } from '@rsio/rssrv/server/limits';
import { expect, it } from 'vitest';
import { useHosts } from '../support/hosts/hosts.ts';
import { report } from '../support/programs/report.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { ContestedVolume } from '../support/scenes/contested-volume.ts';

const RUNS = Number(process.env['RUNS'] ?? 3);
/** Time for which the test watches the file after each fence. The file must not change in this time. */
const WATCHED_MS = 300;
const LONG_MS = 120_000 + RUNS * 10_000;

const hosts = useHosts();

it('after a fence has returned, not one write of the client lands, until it is let in again', { timeout: LONG_MS }, async () => {
  const volume = await ContestedVolume.begin(hosts, 1);
  const [client] = volume.clients;
  const writer = await volume.writer(client!);
  const tookMs: number[] = [];
  for (let run = 1; run <= RUNS; run++) {
    await volume.writes(writer);
    const startMs = performance.now();
    expect(await volume.server.rsadmWell('client', 'fence', 'big-2')).toBe('big-2 is fenced: nothing of it can run on this server\n');
    const content = readFileSync(volume.path);
    tookMs.push(performance.now() - startMs);
    await pause(WATCHED_MS);
    expect(readFileSync(volume.path).equals(content), `The file after fence ${run}`).toBe(true);
    expect(volume.kept().node).toBe('big-2');
    await volume.server.rsadmWell('client', 'unfence', 'big-2');
  }
  // The client has kept the hold, so the server now executes the writes that have waited.
  await volume.writes(writer);
  await volume.finish(writer);
  const sorted = tookMs.toSorted((a, b) => a - b);
  report('fence under load', { runs: RUNS, 'median ms': sorted[Math.floor(RUNS / 2)] ?? 0, 'slowest ms': sorted.at(-1) ?? 0 });
});

it('a fence outlasts a restart and a reload, and its client shows E_FENCED and comes back by itself', async () => {
  const volume = await ContestedVolume.begin(hosts, 1);
  const [client] = volume.clients;
  const writer = await volume.writer(client!);
  await volume.writes(writer);
  await volume.server.rsadmWell('client', 'fence', 'big-2');
  await waitFor(() => /E_FENCED/.test(client!.log('rsiod')), 10_000, 'The client is told');
  const refused = (): number => volume.server.log('rssrv').match(/Refused .* is fenced since/g)?.length ?? 0;
  for (const again of [
    () => volume.server.stop('rssrv').then(() => volume.server.start('rssrv')),
    () => volume.server.rsadmWell('reload'),
  ]) {
    await again();
    const before = refused();
    await waitFor(() => refused() > before, 20_000, 'The client tries again, and is refused');
    expect(await volume.server.rsadmWell('client', 'list')).toMatch(/^big-2 +fenced +- .*oracle@0$/m);
  }
  await volume.server.rsadmWell('client', 'unfence', 'big-2');
  await volume.writes(writer);
  await volume.finish(writer);
});

it('a volume of a fenced client is taken over at once, and the writes that waited are refused when it is let in', async () => {
  const volume = await ContestedVolume.begin(hosts, 2);
  const [client, other] = volume.clients;
  const writer = await volume.writer(client!);
  await volume.writes(writer);
  await volume.server.rsadmWell('client', 'fence', 'big-2');
  const startMs = performance.now();
  await volume.takenBy(other!);
  expect(performance.now() - startMs).toBeLessThan(TAKE_OVER_REVOKE_MS);
  volume.file.look('After the take-over', writer);
  const successor = await volume.writer(other!);
  await volume.writes(successor);
  await volume.server.rsadmWell('client', 'unfence', 'big-2');
  await volume.loses(client!, writer, 'venus');
  await volume.writes(successor);
  await volume.finish(successor);
});

it('holds are released only of a client without a session, and the client then loses what waited', async () => {
  const volume = await ContestedVolume.begin(hosts, 1);
  const [client] = volume.clients;
  const writer = await volume.writer(client!);
  await volume.writes(writer);
  const { server } = volume;
  const refused = await server.rsadm('client', 'release', 'big-2');
  expect(refused).toMatchObject({ code: 1, stdout: '' });
  expect(refused.stderr).toMatch(/^rsadm: Client big-2 has a session: .*\[E_IN_USE\]$/m);
  expect((await server.rsadm('client', 'release', 'big-2', '--force')).code).toBe(1);
  await server.rsadmWell('client', 'fence', 'big-2');
  volume.file.look('After the fence', writer);
  const wrong = await server.rsadm('client', 'release', 'big-2', '--volume', 'oracle@1');
  expect(wrong.stderr).toContain('Client big-2 holds no volume oracle@1');
  expect(await server.rsadmWell('client', 'release', 'big-2', '--volume', 'oracle')).toBe('big-2 no longer holds oracle@0\n');
  expect(volume.kept().node).toBe('');
  await server.rsadmWell('client', 'unfence', 'big-2');
  expect(await writer.ended).not.toEqual([]);
  expect(volume.file.breaches).toEqual([]);
});

it('a client that is kicked goes on without an error', async () => {
  const volume = await ContestedVolume.begin(hosts, 1);
  const writer = await volume.writer(volume.clients[0]!);
  for (let kick = 0; kick < 3; kick++) {
    await volume.writes(writer);
    expect(await volume.server.rsadmWell('client', 'kick', 'big-2')).toBe('The session of big-2 has ended\n');
  }
  await volume.writes(writer);
  await volume.finish(writer);
  expect(await volume.server.rsadm('client', 'kick', 'nobody')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('No client nobody on this server'),
  });
});
