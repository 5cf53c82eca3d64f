// There are more clients than server processes (`processes`), so clients share processes. A client that leaves, returns or loses its
// storage does not affect the other clients. If a process is killed, all clients of this process see a pause, and no client gets an I/O
// error. Rules: S9.

import { expect, it } from 'vitest';
import { serverConfig, startClient, startServer } from '../support/hosts/configs.ts';
import { startFio } from '../support/io/fio.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { needFio } from '../support/programs/programs.ts';
import { report } from '../support/programs/report.ts';
import { untilWriting, verifiedAndEnded, volumeStats } from '../support/io/volume-stats.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const NODES = ['big-2', 'venus', 'mars', 'pluto'] as const;
const WAIT_MS = 30_000;
const TEST_MS = 300_000;

const hosts = useHosts();

it(
  'clients beyond the number of processes share them, come and go alone, and all recover when their process is killed',
  async (context) => {
    needFio(context);
    const [server, network] = [hosts.host(), await hosts.network(2)];
    const volumes = Object.fromEntries(NODES.map((node) => [node, { path: server.file(`${node}.img`), size: '32m', clients: node }]));
    const clients = Object.fromEntries(NODES.map((node) => [node, `0x${node}-secret-of-the-lab`]));
    const options = (processes: number) => ({ volumes, clients, server: { processes: String(processes) } });
    await startServer(server, network, options(2));
    const clientHosts = new Map<string, Host>();
    for (const [index, node] of NODES.entries()) {
      const host = hosts.host();
      clientHosts.set(node, host);
      // `dead` is long: paths may be silent for three seconds on a busy machine, and no test here needs a path that dies.
      await startClient(host, network, { node, client: index, defaults: { dead: '12s' } });
      await host.rsconfigWell('-a');
    }
    const [stays, goes] = ['big-2', 'mars'].map((node) => clientHosts.get(node)!) as [Host, Host];
    expect(NODES.map((node) => server.worker(node))).toEqual([
      server.worker('big-2'),
      server.worker('venus'),
      server.worker('big-2'),
      server.worker('venus'),
    ]);
    expect(server.worker('big-2')).not.toBe(server.worker('venus'));

    const fio = startFio(stays, 'osl/big-2');
    await untilWriting(stays, 'osl:big-2@0', fio);
    const shared = server.worker('big-2');
    await goes.stop('rsiod');
    await waitFor(() => server.log('rssrv').includes('The session of node mars has ended'), WAIT_MS, 'The session of mars ends');
    await untilWriting(stays, 'osl:big-2@0', fio);
    await goes.start('rsiod');
    await goes.pathsUp(2);
    await goes.rsconfigWell('-a');
    expect([server.worker('mars'), server.worker('big-2')]).toEqual([shared, shared]);
    expect(stays.log('rsiod'), 'who stays notices nothing').not.toMatch(/is down|a new session/);

    const others = startFio(goes, 'osl/mars');
    await untilWriting(goes, 'osl:mars@0', others);
    process.kill(shared, 'SIGKILL');
    await waitFor(() => ['big-2', 'mars'].every((node) => server.worker(node) !== shared), WAIT_MS, 'Both have another process');
    const outcomes = await Promise.all([verifiedAndEnded(stays, 'osl:big-2@0', fio), verifiedAndEnded(goes, 'osl:mars@0', others)]);
    for (const [host, volume] of [
      [stays, 'osl:big-2@0'],
      [goes, 'osl:mars@0'],
    ] as const) {
      expect((await volumeStats(host, volume)).errors).toBe(0);
      await host.logged('rsiod', /The storage has started a new incarnation/);
    }
    expect(clientHosts.get('venus')!.log('rsiod'), 'another process, another fate').not.toMatch(/is down|a new session/);

    server.writeConfig('rssrv', serverConfig(network, options(3)));
    process.kill(server.pid('rssrv'), 'SIGHUP');
    await waitFor(() => server.log('rssrv').includes('processes is 3, for new sessions'), WAIT_MS, 'The file is read again');
    const sessionsBegun = (): number => server.log('rssrv').match(/^Node mars .* began a session, /gm)?.length ?? 0;
    const sessions = sessionsBegun();
    await goes.stop('rsiod');
    await goes.start('rsiod');
    await goes.pathsUp(2);
    // A line can reach the log a moment after the client has its paths.
    await waitFor(() => sessionsBegun() > sessions, WAIT_MS, 'The session of mars is in the log');
    expect(new Set(['big-2', 'venus', 'mars'].map((node) => server.worker(node))).size).toBe(3);
    await server.stop('rssrv');
    expect(server.log('rssrv')).not.toMatch(/could not|[Cc]annot|still has I\/O/);
    report('two clients in a killed process', { 'slowest I/O ms': outcomes.map(({ slowestMs }) => slowestMs.toFixed(0)).join(' ') });
  },
  TEST_MS,
);
