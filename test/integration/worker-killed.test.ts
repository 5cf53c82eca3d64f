// kill -9 of one client's server process under load: this client recovers without a command, and another client of the same server is not
// affected. Both clients run fio with verification, each on its own volume. Rules: R2, G1, G5.

import { expect, it } from 'vitest';
import { startClient, startServer } from '../support/hosts/configs.ts';
import { startFio } from '../support/io/fio.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { pathCutter } from '../support/faults/path-cutter.ts';
import { needFio } from '../support/programs/programs.ts';
import { report } from '../support/programs/report.ts';
import { untilWriting, verifiedAndEnded, volumeStats } from '../support/io/volume-stats.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const KILLS = 3;

const hosts = useHosts();

it('a killed server process costs its client a pause, and does not affect the other client', async (context) => {
  needFio(context);
  const [server, hit, spared, network] = [hosts.host(), hosts.host(), hosts.host(), await hosts.network(2)];
  const volumes = {
    oracle: { path: server.file('oracle.img'), size: '64m', clients: 'big-2' },
    archive: { path: server.file('archive.img'), size: '64m', clients: 'venus' },
  };
  await startServer(server, network, { volumes });
  await startClient(hit, network);
  await startClient(spared, network, { node: 'venus', client: 1 });
  await hit.rsconfigWell('-a', 'oracle');
  await spared.rsconfigWell('-a', 'archive');
  const fioOfHit = startFio(hit, 'osl/oracle');
  const fioOfSpared = startFio(spared, 'osl/archive');
  const workerOfSpared = server.worker('venus');
  const { paths: pathsBefore } = await spared.call('stats', {});
  const killed: number[] = [];
  for (let kill = 0; kill < KILLS; kill++) {
    await untilWriting(hit, 'osl:oracle@0', fioOfHit);
    killed.push(server.worker('big-2'));
    process.kill(killed[kill] ?? 0, 'SIGKILL');
    await waitFor(() => server.worker('big-2') !== killed[kill], 20_000, 'The client that was hit has a new server process');
  }
  const [ofHit, ofSpared] = await Promise.all([
    verifiedAndEnded(hit, 'osl:oracle@0', fioOfHit),
    verifiedAndEnded(spared, 'osl:archive@0', fioOfSpared),
  ]);
  expect(ofHit.verifyReads).toBeGreaterThan(500);
  expect(ofSpared.verifyReads).toBeGreaterThan(500);
  const hitStats = await volumeStats(hit, 'osl:oracle@0');
  const sparedStats = await volumeStats(spared, 'osl:archive@0');
  expect([hitStats.errors, sparedStats.errors]).toEqual([0, 0]);
  expect(server.worker('venus')).toBe(workerOfSpared);
  // The client whose server process was killed learns that unflushed writes may be lost. No path of the other client has died.
  for (const pid of killed)
    await server.logged('rssrv', `Process ${pid} of node big-2 died: the storage of its volumes starts a new incarnation`);
  await hit.logged('rsiod', /The storage has started a new incarnation: \d+ unflushed bytes are sent again/);
  expect(spared.log('rsiod')).not.toContain('has started a new incarnation');
  const { paths } = await spared.call('stats', {});
  expect(paths.map(({ deaths }) => deaths)).toEqual(pathsBefore.map(({ deaths }) => deaths));
  const { events } = await spared.call('events', { count: 1_000 });
  expect(events.filter(({ to }) => to === 'waiting')).toEqual([]);
  report('kill -9 of a server process', {
    'longest gap ms of the client hit': hitStats.longestGapMs,
    'of the other': sparedStats.longestGapMs,
    'slowest I/O ms of the client hit': ofHit.slowestMs,
    'of the other client': ofSpared.slowestMs,
  });
});

it('all paths reset and the server process killed at once, three times: the client recovers each time', async (context) => {
  needFio(context);
  const [server, client, network] = [hosts.host(), hosts.host(), await hosts.network(2)];
  const cutter = await pathCutter(hosts, network);
  await startServer(server, network, { volumes: { oracle: { path: server.file('oracle.img'), size: '64m' } } });
  await startClient(client, network, { serverAddresses: cutter.serverAddresses, defaults: { digest: 'on' } });
  await client.rsconfigWell('-a');
  const fio = startFio(client, 'osl/oracle');
  for (let kill = 0; kill < KILLS; kill++) {
    await untilWriting(client, 'osl:oracle@0', fio);
    const worker = server.worker('big-2');
    await cutter.cut(0);
    await cutter.cut(1);
    process.kill(worker, 'SIGKILL');
    await waitFor(() => server.worker('big-2') !== worker, 20_000, 'There is a new server process');
  }
  const { verifyReads, slowestMs } = await verifiedAndEnded(client, 'osl:oracle@0', fio);
  const { errors, longestGapMs } = await volumeStats(client, 'osl:oracle@0');
  expect(errors).toBe(0);
  report('all paths reset and kill -9', { 'longest gap ms': longestGapMs, verifyReads, slowestMs });
});
