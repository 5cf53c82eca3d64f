// The cost for the data path if Prometheus reads the metrics of both daemons every second: windows of the same load with and without a
// reader alternate. The client has many volumes attached, because each volume adds to the metrics. One load uses the NBD socket of rsiod,
// and another load uses rssrv directly.

import { get } from 'node:http';
import { setTimeout as after } from 'node:timers/promises';
import { COLLECT_INTERVAL_MS } from '@rsio/common/metrics/limits';
import { startClient, startServer } from '@rsio/test/support/hosts/configs';
import type { Host } from '@rsio/test/support/hosts/host';
import type { Hosts } from '@rsio/test/support/hosts/hosts';
import { NbdIo } from '@rsio/test/support/io/nbd-io';
import { besideTarget } from '../client/local-pair.ts';
import type { FigureName } from '../goals.ts';
import { LoadClient } from '../load/load-client.ts';
import type { LoadShape, Measured, Target } from '../load/orders.ts';
import { measure } from '../measure.ts';
import { cpuSecondsBetween, cpuTimeOf, processTree } from '../proc.ts';
import { dataFile, EXPORT, inScene, NAMESPACE, VOLUME } from '../scene.ts';
import type { SectionContext, SectionResult } from '../section-run.ts';
import type { Line } from '../sheet.ts';
import { once, perCore, roundsRatio, type Spread, spreadOf } from '../summary.ts';
import { row } from '../workload.ts';

const KIB = 1024;
const BLOCK_BYTES = 4 * KIB;
const VOLUMES = 100;
const PORT = 9_510;
const SCRAPE_MS = 1_000;
/** Short windows suffice, because the windows alternate and there are many. */
const WINDOW_SECONDS = 2;
const PAIRS_PER_ROUND = 8;
const WARM_WINDOWS = 2;
const IDLE_WARM_ANSWERS = 10;
const IDLE_ANSWERS = 20;
const WARM_UP_MS = 200;
const READS = row('read', 8 * KIB, 32);
const WRITES = row('write', 8 * KIB, 32);

interface Scraped {
  readonly ms: number;
  readonly bytes: number;
}

interface Side {
  readonly title: string;
  /** Address at which the daemon offers its metrics. */
  readonly address: string;
  readonly figure: FigureName;
  readonly load: LoadClient;
  readonly pids: readonly number[];
}

export function measureMetrics(context: SectionContext): Promise<SectionResult> {
  return inScene(context, async ({ hosts }) => {
    const { addresses, sides } = await start(hosts, context);
    const lines: Line[] = [];
    const figures: Partial<Record<FigureName, Spread>> = {};
    for (const { title, figure, load, pids, address } of sides) {
      const cpuMs = await cpuOfAnswer(address, pids);
      for (const shape of [READS, WRITES]) {
        const { line, ratio } = await compare(`${shape.title}: ${title}`, load, shape, pids, addresses, context);
        lines.push({ ...line, values: [...line.values, once(cpuMs)] });
        const worst = figures[figure];
        if (worst === undefined || ratio.median < worst.median) figures[figure] = ratio;
      }
    }
    const columns = [
      { heading: 'IOPS, read every second', digits: 0 },
      { heading: 'IOPS, not read', digits: 0 },
      { heading: 'ratio', digits: 3 },
      { heading: 'ratio of IOPS per core', digits: 3 },
      { heading: 'time of an answer, ms', digits: 1 },
      { heading: 'KiB of both answers', digits: 0 },
      { heading: 'CPU of an answer without load, ms', digits: 1 },
    ];
    const notes = [`${VOLUMES} volumes with figures are attached; all programs share the cores of this machine`];
    return { sheets: [{ name: 'metrics', title: 'Cost of metrics on the data path', columns, lines, notes }], figures, absent: [] };
  });
}

async function start(hosts: Hosts, { parent, cores }: SectionContext): Promise<{ addresses: readonly string[]; sides: readonly Side[] }> {
  const [server, client, network] = [hosts.host(), hosts.host(), await hosts.network(1)];
  const [onServer = '', onClient = ''] = [...network.serverAddresses, ...network.clientAddresses()];
  const many = Array.from({ length: VOLUMES }, (_unused, index) => `v${index}`);
  const idle = Object.fromEntries(many.map((name) => [name, { type: 'memory', size: '1m' }]));
  await startServer(server, network, {
    volumes: { [VOLUME]: { path: dataFile(hosts, parent) }, direct: { path: dataFile(hosts, parent) }, ...idle },
    server: { metrics: `${onServer}:${PORT}` },
  });
  await startClient(client, network, { defaults: { metrics: `${onClient}:${PORT}` } });
  await client.rsconfigWell('-a', VOLUME, ...many);
  for (const name of many) await useOnce(client, name);
  const open = async (target: Target): Promise<LoadClient> => {
    const load = await LoadClient.open(target, { client: 0, connections: 1, isReadonly: false, cores: [cores.server, cores.load] });
    hosts.onClean(() => load.stop());
    return load;
  };
  const nbd = { host: client.rsiodPaths.nbdSocket, port: null, volume: { kind: 'nbd', export: EXPORT } } as const;
  return {
    addresses: [onServer, onClient],
    sides: [
      { title: 'rsiod', address: onClient, figure: 'metricsClient', load: await open(nbd), pids: processTree(client.pid('rsiod')) },
      {
        title: 'rssrv alone',
        address: onServer,
        figure: 'metricsServer',
        load: await open(besideTarget(network, 'direct')),
        pids: processTree(server.pid('rssrv')),
      },
    ],
  };
}

/** Writes, reads and flushes a volume once, because a volume has histograms only after its first request. */
async function useOnce(client: Host, name: string): Promise<void> {
  const io = await NbdIo.open(client.rsiodPaths.nbdSocket, `${NAMESPACE}/${name}`);
  await io.write(0, Buffer.alloc(BLOCK_BYTES));
  await io.read(0, BLOCK_BYTES);
  await io.flush();
  io.close();
}

async function compare(
  what: string,
  load: LoadClient,
  shape: LoadShape,
  pids: readonly number[],
  addresses: readonly string[],
  { plan }: SectionContext,
): Promise<{ readonly line: Line; readonly ratio: Spread }> {
  const times = { warmUpMs: WARM_UP_MS, windowMs: WINDOW_SECONDS * 1000 };
  const rounds = { with: [] as Measured[], without: [] as Measured[] };
  const scraped: Scraped[] = [];
  for (let turn = 0; turn < WARM_WINDOWS; turn++) await measure([load], shape, turn, times, pids);
  for (let pair = 1; pair <= plan.rounds * PAIRS_PER_ROUND; pair++) {
    // Windows with a reader and windows without one come first equally often.
    for (const kind of pair % 2 === 0 ? (['with', 'without'] as const) : (['without', 'with'] as const)) {
      const reader = kind === 'with' ? readEverySecond(addresses, scraped) : null;
      rounds[kind].push(await measure([load], shape, pair, times, pids));
      await reader?.end();
    }
  }
  const iops = ({ iops: value }: Measured): number => value;
  const [ours, theirs] = [rounds.with.map(iops), rounds.without.map(iops)];
  const ratio = roundsRatio(rounds.with.map(perCore), rounds.without.map(perCore));
  const bytes = Math.max(...scraped.map((one) => one.bytes));
  const values = [
    spreadOf(ours),
    spreadOf(theirs),
    roundsRatio(ours, theirs),
    ratio,
    spreadOf(scraped.map(({ ms }) => ms)),
    once(bytes / KIB),
  ];
  return { line: { what, values }, ratio };
}

/**
 * CPU time in ms that one answer costs all processes of the daemon, without their idle load. Other programs on the machine hardly change
 * this figure.
 */
async function cpuOfAnswer(address: string, pids: readonly number[]): Promise<number> {
  const answer = async (): Promise<void> => {
    await bytesOf(address);
    await after(COLLECT_INTERVAL_MS);
  };
  await cpuMsOf(IDLE_WARM_ANSWERS, answer, pids);
  const withAnswer = await cpuMsOf(IDLE_ANSWERS, answer, pids);
  const without = await cpuMsOf(IDLE_ANSWERS, () => after(COLLECT_INTERVAL_MS), pids);
  return Math.max(0, withAnswer - without);
}

/** CPU time in ms that the processes use during one call of `turn`. */
async function cpuMsOf(turns: number, turn: () => Promise<void>, pids: readonly number[]): Promise<number> {
  const before = cpuTimeOf(pids);
  for (let count = 0; count < turns; count++) await turn();
  return (cpuSecondsBetween(before, cpuTimeOf(pids)) * 1000) / turns;
}

/** Reads all addresses at once, now and every second, until `end`. */
function readEverySecond(addresses: readonly string[], scraped: Scraped[]): { end(): Promise<void> } {
  let reading: Promise<void> = Promise.resolve();
  const read = (): void => {
    reading = reading.then(async () => {
      const startMs = performance.now();
      const bytes = await Promise.all(addresses.map(bytesOf));
      scraped.push({ ms: performance.now() - startMs, bytes: bytes.reduce((sum, one) => sum + one, 0) });
    });
  };
  read();
  const timer = setInterval(read, SCRAPE_MS);
  return {
    end: async () => {
      clearInterval(timer);
      await reading;
    },
  };
}

function bytesOf(address: string): Promise<number> {
  return new Promise((resolve, reject) => {
    get({ host: address, port: PORT, path: '/metrics' }, (response) => {
      let bytes = 0;
      response.on('data', (chunk: Buffer) => (bytes += chunk.length));
      response.on('end', () =>
        response.statusCode === 200 ? resolve(bytes) : reject(new Error(`${address} answers ${response.statusCode}`)),
      );
    }).on('error', reject);
  });
}
