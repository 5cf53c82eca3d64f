// What several data processes of rsiod cost and gain: four memory volumes of one server, each with one job of fio over NBD, while rsiod has
// one, two or four processes. The clients are measured one after another in each round, plain and with TLS. All programs share the
// machine's cores, so the sheet also shows which of them used the cores, and how much was idle. Invariant: each client has its own volumes.

import { clientConfig, ENCRYPTED, keyOf, startServer } from '@rsio/test/support/hosts/configs';
import type { Host } from '@rsio/test/support/hosts/host';
import type { Hosts } from '@rsio/test/support/hosts/hosts';
import { onlySide, runFio } from '@rsio/test/support/io/fio-figures';
import type { FigureName } from '../goals.ts';
import {
  allowedCores,
  cpuSecondsBetween,
  cpuTimeOf,
  machineBusySeconds,
  privateBytesOf,
  processTree,
  pssBytesOf,
  wakeUpsOf,
} from '../proc.ts';
import { inScene, NAMESPACE } from '../scene.ts';
import type { SectionContext, SectionResult } from '../section-run.ts';
import type { Line, Sheet } from '../sheet.ts';
import { once, roundsRatio, type Spread, spreadOf, worstOf } from '../summary.ts';
import { missingFio } from '../tools.ts';

const COUNTS = [1, 2, 4] as const;
const VOLUMES = ['a', 'b', 'c', 'd'];
const SIZE = '64m';
const BLOCK_BYTES = 8_192;
const SHAPES = [
  { what: 'reads', words: ['--rw=randread', '--bs=8k', '--iodepth=32'] },
  { what: 'writes', words: ['--rw=randwrite', '--bs=8k', '--iodepth=32'] },
] as const;
/** CPU time that each process of a client uses until it has compiled its code for a load. */
const WARM_CPU_SECONDS = 1.5;
/** Even a client that gets half a core needs fewer runs of fio than this to warm up. */
const WARM_RUNS_MAX = 6;
const WARM_SECONDS = 2;
const MIB = 1024 * 1024;

interface Client {
  readonly count: (typeof COUNTS)[number];
  /** Each process of rsiod: the main process first, then the data processes. */
  readonly pids: readonly number[];
  /** The NBD address of each volume. */
  readonly uris: readonly string[];
}

interface Window {
  readonly iops: number;
  readonly clientUs: number;
  /** Wake-ups of rsiod for a thousand I/Os. The fewer I/Os a process finds when it wakes up, the more CPU time each of them costs. */
  readonly wakeUps: number;
  readonly serverUs: number;
  readonly clientCores: number;
  readonly serverCores: number;
  readonly otherCores: number;
  readonly idleCores: number;
}

export async function measureProcesses(context: SectionContext): Promise<SectionResult> {
  const reason = missingFio();
  if (reason !== null) return { sheets: [], figures: {}, absent: [`data processes: ${reason}`] };
  const [lines, memory]: [Line[], Line[]] = [[], []];
  const [costs, gains]: [Map<number, Spread[]>, Spread[]] = [new Map(), []];
  for (const isEncrypted of [false, true])
    await inScene(context, async ({ hosts }) => {
      const { clients, serverPids } = await start(hosts, isEncrypted);
      const protection = isEncrypted ? 'TLS' : 'plain';
      for (const { what, words } of SHAPES) {
        const all = await roundsOf(clients, serverPids, words, context);
        for (const [index, { count }] of clients.entries()) {
          const [mine, single] = [all[index] ?? [], all[0] ?? []];
          const ratio = (value: (one: Window) => number): Spread | null =>
            index === 0 ? null : roundsRatio(mine.map(value), single.map(value));
          const [gain, cost] = [ratio(({ iops }) => iops), ratio(({ clientUs }) => clientUs)];
          lines.push({ what: `${protection}, ${what}: ${titleOf(count)}`, values: valuesOf(mine, gain, cost) });
          if (cost !== null) costs.set(count, [...(costs.get(count) ?? []), cost]);
          if (gain !== null && isEncrypted && count === 2) gains.push(gain);
        }
      }
      for (const client of clients) memory.push(...memoryOf(client, protection));
    });
  return { sheets: [loadSheet(lines), memorySheet(memory)], figures: figuresOf(costs, gains), absent: [] };
}

async function start(hosts: Hosts, isEncrypted: boolean): Promise<{ clients: Client[]; serverPids: number[] }> {
  const [server, network] = [hosts.host(), await hosts.network(1)];
  const nodes = COUNTS.map((count) => `node-${count}`);
  const namesOf = (count: number): string[] => VOLUMES.map((name) => `${name}${count}`);
  await startServer(server, network, {
    volumes: Object.fromEntries(COUNTS.flatMap(namesOf).map((name) => [name, { type: 'memory', size: SIZE }])),
    clients: Object.fromEntries(nodes.map((node) => [node, keyOf(node)])),
    ...(isEncrypted ? { tls: 'require' } : {}),
  });
  const clients: Client[] = [];
  for (const [index, count] of COUNTS.entries()) {
    const host = hosts.host();
    const defaults = { processes: String(count), ...(isEncrypted ? ENCRYPTED : {}) };
    host.writeConfig('rsiod', clientConfig(network, { node: nodes[index] ?? '', client: index, defaults }));
    await host.start('rsiod');
    await host.pathsUp(1);
    await host.rsconfigWell('-a', ...namesOf(count));
    clients.push({ count, pids: await pidsOf(host), uris: namesOf(count).map((name) => host.nbdUri(`${NAMESPACE}/${name}`)) });
  }
  return { clients, serverPids: processTree(server.pid('rssrv')) };
}

async function pidsOf(host: Host): Promise<number[]> {
  const { processes = [] } = await host.call('status', {});
  return [host.pid('rsiod'), ...processes.flatMap(({ pid }) => pid ?? [])];
}

async function roundsOf(
  clients: readonly Client[],
  serverPids: readonly number[],
  words: readonly string[],
  { plan }: SectionContext,
): Promise<Window[][]> {
  for (const client of clients) await warmUp(client, serverPids, words);
  const all: Window[][] = clients.map(() => []);
  for (let round = 1; round <= plan.rounds; round++)
    for (const [index, client] of clients.entries()) all[index]?.push(await window(client, serverPids, words, plan.seconds));
  return all;
}

async function warmUp(client: Client, serverPids: readonly number[], words: readonly string[]): Promise<void> {
  for (let run = 0, used = 0; used < client.count * WARM_CPU_SECONDS && run < WARM_RUNS_MAX; run++)
    used += (await window(client, serverPids, words, WARM_SECONDS)).clientCores * WARM_SECONDS;
}

/** One run of fio. Cores are averages over the run, including the start and the end of fio. */
async function window({ pids, uris }: Client, serverPids: readonly number[], words: readonly string[], seconds: number): Promise<Window> {
  const sample = () => ({
    atMs: performance.now(),
    client: cpuTimeOf(pids),
    server: cpuTimeOf(serverPids),
    busy: machineBusySeconds(),
    wakeUps: wakeUpsOf(pids),
  });
  const [first = [], ...besides] = uris.map((uri) => ['--ioengine=nbd', `--uri=${uri}`]);
  const before = sample();
  const { iops, io_bytes } = onlySide(await runFio([], { where: first, besides, words, size: SIZE, seconds, rampSeconds: 0 }));
  const after = sample();
  const tookSeconds = (after.atMs - before.atMs) / 1000;
  const [client, server] = [cpuSecondsBetween(before.client, after.client), cpuSecondsBetween(before.server, after.server)];
  const busyCores = (after.busy - before.busy) / tookSeconds;
  const [clientCores, serverCores] = [client / tookSeconds, server / tookSeconds];
  const requests = io_bytes / BLOCK_BYTES;
  const perRequestUs = (cpuSeconds: number): number => (cpuSeconds / requests) * 1e6;
  return {
    iops,
    clientUs: perRequestUs(client),
    wakeUps: ((after.wakeUps - before.wakeUps) / requests) * 1000,
    serverUs: perRequestUs(server),
    clientCores,
    serverCores,
    otherCores: Math.max(0, busyCores - clientCores - serverCores),
    idleCores: Math.max(0, allowedCores().length - busyCores),
  };
}

function titleOf(count: number): string {
  return count === 1 ? 'one process' : `${count} data processes`;
}

function valuesOf(rounds: readonly Window[], gain: Spread | null, cost: Spread | null): (Spread | null)[] {
  const spread = (name: keyof Window): Spread => spreadOf(rounds.map((one) => one[name]));
  const cores = (['clientCores', 'serverCores', 'otherCores', 'idleCores'] as const).map(spread);
  return [spread('iops'), gain, spread('clientUs'), cost, spread('wakeUps'), spread('serverUs'), ...cores];
}

/** The memory of each process of a client after the load. */
function memoryOf({ count, pids: [main = 0, ...data] }: Client, protection: string): Line[] {
  const spread = (pids: readonly number[], bytesOf: (pid: number) => number): Spread =>
    pids.length === 1 ? once(bytesOf(pids[0] ?? 0) / MIB) : spreadOf(pids.map((pid) => bytesOf(pid) / MIB));
  const line = (what: string, pids: readonly number[]): Line => {
    return { what: `${protection}, ${titleOf(count)}: ${what}`, values: [spread(pids, privateBytesOf), spread(pids, pssBytesOf)] };
  };
  return data.length === 0 ? [line('rsiod', [main])] : [line('main process', [main]), line('a data process', data)];
}

function loadSheet(lines: readonly Line[]): Sheet {
  const columns = [
    { heading: 'IOPS', digits: 0 },
    { heading: 'x one process', digits: 2 },
    { heading: 'CPU us of rsiod per I/O', digits: 2 },
    { heading: 'x one process', digits: 2 },
    { heading: 'wake-ups of rsiod per 1,000 I/Os', digits: 0 },
    { heading: 'CPU us of rssrv per I/O', digits: 2 },
    { heading: 'cores of rsiod', digits: 2 },
    { heading: 'of rssrv', digits: 2 },
    { heading: 'of fio and others', digits: 2 },
    { heading: 'idle', digits: 2 },
  ];
  const notes = [
    `rsiod, rssrv and fio share ${allowedCores().length} cores: where none is idle, the machine bounds the IOPS, not rsiod`,
    'several processes share the I/Os: while none of them has a core of its own, each finds fewer I/Os when it wakes up',
    'idle includes the start and the end of fio',
  ];
  return { name: 'processes', title: 'fio, 8 KiB at random, four volumes, 32 in flight on each', columns, lines, notes };
}

function memorySheet(lines: readonly Line[]): Sheet {
  const columns = [
    { heading: 'private MiB', digits: 1 },
    { heading: 'PSS MiB', digits: 1 },
  ];
  return { name: 'processes', title: 'Memory of each process of rsiod after this load', columns, lines, notes: [] };
}

/** The goals hold for every load, so the worst ratio counts. */
function figuresOf(costs: ReadonlyMap<number, readonly Spread[]>, gains: readonly Spread[]): SectionResult['figures'] {
  const cost = (figure: FigureName, count: number): SectionResult['figures'] => {
    const found = costs.get(count) ?? [];
    return found.length === 0 ? {} : { [figure]: worstOf(found) };
  };
  const [first, ...rest] = gains;
  const least = rest.reduce((worst, one) => (worst !== undefined && worst.median < one.median ? worst : one), first);
  return { ...cost('twoProcesses', 2), ...cost('fourProcesses', 4), ...(least === undefined ? {} : { twoProcessesTls: least }) };
}
