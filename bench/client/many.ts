// The cost of an I/O in rsiod with 8 paths, 100 volumes or 64 NBD connections, each beside the cost with a single one. The relay in C is
// measured with 64 connections and with one, because each connection adds a receive and a send. All cases are measured in one scene, one
// after another in each round. All programs share the machine's cores. The cost is the CPU time of all processes of rsiod.

import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { clientConfig, keyOf, startServer } from '@rsio/test/support/hosts/configs';
import type { Host } from '@rsio/test/support/hosts/host';
import type { Hosts } from '@rsio/test/support/hosts/hosts';
import type { FigureName } from '../goals.ts';
import { LoadClient } from '../load/load-client.ts';
import type { Measured, Target } from '../load/orders.ts';
import { measure } from '../measure.ts';
import { processTree } from '../proc.ts';
import { inScene, NAMESPACE } from '../scene.ts';
import type { SectionContext, SectionResult } from '../section-run.ts';
import type { Line } from '../sheet.ts';
import { perRequestUs, roundsRatio, type Spread, spreadOf, worstOf } from '../summary.ts';
import { row } from '../workload.ts';
import { besideTarget } from './local-pair.ts';
import { Relay } from './relay.ts';

const KIB = 1024;
const VOLUME_BYTES = 4 * KIB * KIB;
const VOLUMES = 100;
const PATHS = 8;
const CONNECTIONS = 64;
const DEPTH = 128;
const WARM_UP_MS = 200;
const WARM_MS = 1_500;
const NARROW = 'big-2';
const WIDE = 'saturn';
const RELAY = 'venus';
const RELAY_SINGLE = 'relay in C, one connection';
const RELAY_MANY = `relay in C, ${CONNECTIONS} connections`;
const SHAPES = [row('read', 8 * KIB, DEPTH), row('write', 8 * KIB, DEPTH)];

interface Way {
  readonly title: string;
  readonly pids: readonly number[];
  readonly load: LoadClient;
  /** Title of the case with which this case is compared; null: it is not compared. */
  readonly beside: string | null;
  readonly figure: FigureName | null;
}

export function measureMany(context: SectionContext): Promise<SectionResult> {
  return inScene(context, async ({ hosts }) => {
    const ways = await start(hosts, context);
    const lines: Line[] = [];
    const ratios = new Map<FigureName, Spread[]>();
    for (const shape of SHAPES) {
      const rounds = await roundsOf(ways, shape, context);
      const costs = new Map(ways.map(({ title }, index) => [title, (rounds[index] ?? []).map(perRequestUs)]));
      for (const [index, { title, beside, figure }] of ways.entries()) {
        const cost = costs.get(title) ?? [];
        const single = costs.get(beside ?? '') ?? [];
        const ratio = beside === null ? null : roundsRatio(cost, single);
        const iops = spreadOf((rounds[index] ?? []).map((one) => one.iops));
        const calls = spreadOf((rounds[index] ?? []).map(({ callsPerSecond = 0, iops: perSecond }) => callsPerSecond / perSecond));
        lines.push({ what: `${shape.title}: ${title}`, values: [iops, spreadOf(cost), ratio, calls] });
        if (figure === null || ratio === null) continue;
        const judged = figure === 'manyConnections' ? roundsRatio(growth(cost, single), growthOfRelay(costs)) : ratio;
        ratios.set(figure, [...(ratios.get(figure) ?? []), judged]);
      }
    }
    const columns = [
      { heading: 'IOPS', digits: 0 },
      { heading: 'CPU us of the client per request', digits: 2 },
      { heading: 'x one of it', digits: 2 },
      { heading: 'reads and writes of sockets per request', digits: 2 },
    ];
    const notes = [`${VOLUMES} volumes are attached; those with load are compared with as many connections to one volume`];
    const figures = Object.fromEntries([...ratios].map(([figure, both]) => [figure, worstOf(both)]));
    return { sheets: [{ name: 'many', title: 'The cost of many', columns, lines, notes }], figures, absent: [] };
  });
}

/** Growth of the cost in each round. */
function growth(cost: readonly number[], single: readonly number[]): number[] {
  return cost.map((one, round) => one / (single[round] ?? Number.NaN));
}

/** Each further connection also costs the relay a receive and a send. Therefore no client's cost can grow less than that of the relay. */
function growthOfRelay(costs: ReadonlyMap<string, readonly number[]>): number[] {
  return growth(costs.get(RELAY_MANY) ?? [], costs.get(RELAY_SINGLE) ?? []);
}

async function roundsOf(ways: readonly Way[], shape: (typeof SHAPES)[number], { plan }: SectionContext): Promise<Measured[][]> {
  const all: Measured[][] = ways.map(() => []);
  const window = ({ load, pids }: Way, round: number, windowMs: number): Promise<Measured> =>
    measure([load], shape, round, { warmUpMs: WARM_UP_MS, windowMs }, pids);
  for (const way of ways) await window(way, 0, WARM_MS);
  for (let round = 1; round <= plan.rounds; round++) {
    for (const [index, way] of ways.entries()) all[index]?.push(await window(way, round, plan.seconds * 1000));
  }
  return all;
}

async function start(hosts: Hosts, { cores }: SectionContext): Promise<Way[]> {
  const [server, narrow, wide, network] = [hosts.host(), hosts.host(), hosts.host(), await hosts.network(PATHS)];
  const names = Array.from({ length: VOLUMES }, (_unused, index) => `v${index}`);
  const memory = { type: 'memory', size: String(VOLUME_BYTES) };
  await startServer(server, network, {
    volumes: Object.fromEntries(['one', 'wide', 'direct', ...names].map((name) => [name, memory])),
    clients: Object.fromEntries([NARROW, WIDE, RELAY].map((node) => [node, keyOf(node)])),
  });
  await attach(narrow, clientConfig(network, { node: NARROW, serverAddresses: network.serverAddresses.slice(0, 1) }), 1, ['one', ...names]);
  await attach(wide, clientConfig(network, { node: WIDE, client: 1 }), PATHS, ['wide']);
  const folder = mkdtempSync(join(os.tmpdir(), 'rsio-relay-'));
  hosts.onClean(() => rmSync(folder, { recursive: true, force: true }));
  const relay = await Relay.start(besideTarget(network, 'direct'), join(folder, 'relay.socket'), VOLUME_BYTES);
  hosts.onClean(() => relay.stop());
  const open = async (target: Target, connections: number): Promise<LoadClient> => {
    const plan = { client: 0, connections, isReadonly: false, cores: [cores.server, cores.load] };
    const load = await LoadClient.open(target, plan, VOLUME_BYTES);
    hosts.onClean(() => load.stop());
    return load;
  };
  const way = async (
    title: string,
    host: Host,
    volumes: readonly string[],
    connections: number,
  ): Promise<Omit<Way, 'beside' | 'figure'>> => {
    const load = await open(nbdOf(host, volumes), connections);
    return { title, pids: processTree(host.pid('rsiod')), load };
  };
  const one = 'one path, one connection';
  const many = `${CONNECTIONS} connections`;
  return [
    { ...(await way(one, narrow, ['one'], 1)), beside: null, figure: null },
    { ...(await way(`${PATHS} paths`, wide, ['wide'], 1)), beside: one, figure: 'manyPaths' },
    { ...(await way(many, narrow, ['one'], CONNECTIONS)), beside: one, figure: 'manyConnections' },
    { ...(await way(`${CONNECTIONS} connections to as many volumes`, narrow, names, CONNECTIONS)), beside: many, figure: 'manyVolumes' },
    { title: RELAY_SINGLE, pids: [relay.pid], load: await open(relay.target, 1), beside: null, figure: null },
    {
      title: RELAY_MANY,
      pids: [relay.pid],
      load: await open(relay.target, CONNECTIONS),
      beside: RELAY_SINGLE,
      figure: null,
    },
  ];
}

async function attach(host: Host, config: string, paths: number, volumes: readonly string[]): Promise<void> {
  host.writeConfig('rsiod', config);
  await host.start('rsiod');
  await host.pathsUp(paths);
  await host.rsconfigWell('-a', ...volumes);
}

function nbdOf(host: Host, volumes: readonly string[]): Target {
  const [first = '', ...others] = volumes.map((name) => `${NAMESPACE}/${name}`);
  return { host: host.rsiodPaths.nbdSocket, port: null, volume: { kind: 'nbd', export: first, others } };
}
