// How long a thousand clients are without their server when it is killed and restarted: from the kill until the last client has a session
// again with its volume open. The clients run in this process, each with its own address, and consist of rsiod's parts
// (returning-client.ts).

import { setTimeout as after } from 'node:timers/promises';
import { RsError } from '@rsio/base/lib/errors';
import { waitFor } from '@rsio/test/support/programs/wait-for';
import { cpuTimeOf } from '../proc.ts';
import { inScene } from '../scene.ts';
import type { SectionContext, SectionResult } from '../section-run.ts';
import { type Spread, spreadOf } from '../summary.ts';
import { ReturningClient } from './returning-client.ts';
import { type RssrvScene, rssrvScene } from './rssrv-scene.ts';

const THERE_MS = 60_000;
/** Time after which all sessions have started, and the back-off of each client is reset. */
const SETTLED_MS = 2_000;
const LOOK_MS = 10;
/** Number of clients whose addresses 127.46.x.y have the same x. Each client has its own address. */
const HOSTS_EACH = 250;

interface Away {
  /** Seconds from the kill until the new server listens, until half of the clients are back, and until all are back. */
  readonly listensS: number;
  readonly halfS: number;
  readonly allS: number;
  /** CPU time of the new server, and of all clients. */
  readonly serverCpuS: number;
  readonly clientsCpuS: number;
}

export async function measureRestart(context: SectionContext): Promise<SectionResult> {
  const { returning, rounds } = context.plan;
  const all = await inScene(context, async ({ hosts }) => {
    const scene = await rssrvScene(hosts, context.parent, returning);
    const clients = startClients(scene, returning);
    hosts.onClean(() => {
      for (const client of clients) client.stop();
    });
    await waitFor(() => thereOf(clients) === returning, THERE_MS, `All of ${returning} clients are there`);
    const times: Away[] = [];
    for (let round = 0; round < rounds; round++) times.push(await strike(scene, clients));
    return times;
  });
  const spread = (value: (away: Away) => number): Spread => spreadOf(all.map(value));
  const seconds = spread(({ allS }) => allS);
  const values = [
    spread(({ listensS }) => listensS),
    spread(({ halfS }) => halfS),
    seconds,
    spread(({ serverCpuS }) => serverCpuS),
    spread(({ clientsCpuS }) => clientsCpuS),
  ];
  const headings = ['server listens, s', 'half are back, s', 'all are back, s', 'CPU seconds: server', 'all clients'];
  const columns = headings.map((heading) => ({ heading, digits: 1 }));
  const title = 'SIGKILL of the listener; rssrv is started again when all clients have lost it; times since the kill';
  const lines = [{ what: `${returning} clients`, values }];
  const notes = [
    'a client is back when its path is up and its volume is open in the new session; all clients are one process, which shares the cores with the server',
  ];
  return { sheets: [{ name: 'restart', title, columns, lines, notes }], figures: { restart: seconds }, absent: [] };
}

function startClients({ network, target }: RssrvScene, count: number): ReturningClient[] {
  const { nodekey, namespaceid, nodes, volumes } = target.volume;
  return Array.from({ length: count }, (_unused, index) => {
    const localAddress = `127.46.${Math.floor(index / HOSTS_EACH)}.${1 + (index % HOSTS_EACH)}`;
    const node = { name: nodes[index] ?? '', key: nodekey, namespaceid, volume: volumes[0] ?? '' };
    return new ReturningClient({ localAddress, address: target.host, port: network.port }, node);
  });
}

function thereOf(clients: readonly ReturningClient[]): number {
  const failed = clients.find(({ failure }) => failure !== null);
  if (failed !== undefined) throw new RsError('E_VOLUME', `A client lost its volume for good: ${failed.failure}`);
  return clients.filter(({ isThere }) => isThere).length;
}

async function strike({ host, processes }: RssrvScene, clients: readonly ReturningClient[]): Promise<Away> {
  await after(SETTLED_MS);
  const sinceMs = performance.now();
  const sinceCpu = process.cpuUsage();
  const seconds = (): number => (performance.now() - sinceMs) / 1000;
  await host.kill('rssrv');
  await waitFor(() => thereOf(clients) === 0, THERE_MS, 'All clients have lost their server');
  await host.start('rssrv');
  const listensS = seconds();
  let halfS: number | null = null;
  for (let there = thereOf(clients); there < clients.length; there = thereOf(clients)) {
    if (there >= clients.length / 2) halfS ??= seconds();
    if (seconds() * 1000 > THERE_MS) {
      const missing = clients.find(({ isThere }) => !isThere);
      throw new RsError(
        'E_TIMEOUT',
        `${clients.length - there} clients are not back after ${seconds().toFixed(0)} s: ${missing?.standing}`,
      );
    }
    await after(LOOK_MS);
  }
  const allS = seconds();
  const { user, system } = process.cpuUsage(sinceCpu);
  const serverCpuS = cpuTimeOf(processes()).ticked;
  return { listensS, halfS: halfS ?? allS, allS, serverCpuS, clientsCpuS: (user + system) / 1e6 };
}
