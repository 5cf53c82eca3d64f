// How close the I/O of fio comes to its limit with one client, with two clients of one volume and with two volumes of one client. Also the
// effects of a change under I/O and on a neighbour, and the cost of a limit that is never reached. All runs use one scene. Invariant:
// compared figures are measured one after another in each round.

import { readFileSync } from 'node:fs';
import { clientConfig, startServer } from '@rsio/test/support/hosts/configs';
import type { Host } from '@rsio/test/support/hosts/host';
import { type FioJob, type FioSide, onlySide, runFio } from '@rsio/test/support/io/fio-figures';
import { LoadClient } from '../load/load-client.ts';
import { measure } from '../measure.ts';
import { rssrvScene } from '../scale/rssrv-scene.ts';
import { inScene } from '../scene.ts';
import type { SectionContext, SectionResult } from '../section-run.ts';
import type { Line } from '../sheet.ts';
import { perRequestUs, roundsRatio, spreadOf } from '../summary.ts';
import { missingTool } from '../tools.ts';
import { row } from '../workload.ts';

const KIB = 1024;
const MIB = KIB * KIB;
const WINDOW_SECONDS = 10;
const RAMP_SECONDS = 2;
const P99 = '99.000000';
/** The neighbour is measured in this many times the usual number of rounds, because the p99 of a single round varies a lot. */
const NEIGHBOUR_ROUNDS = 2;
const HELD_IOPS = 500;
const RANDOM = ['--rw=randread', '--bs=8k', '--iodepth=32'];
const LARGE = ['--rw=randwrite', '--bs=128k', '--iodepth=8'];
const SINGLE = ['--rw=randread', '--bs=4k', '--iodepth=1'];

interface Scene {
  readonly server: Host;
  readonly clients: readonly Host[];
}

export async function measureLimits(context: SectionContext): Promise<SectionResult> {
  const noFio = missingTool('fio', 'fio');
  const lines: Line[] = [];
  if (noFio === null)
    await inScene(context, async ({ hosts }) => void lines.push(...(await ratesOf(await sceneOf(hosts), context.plan.rounds))));
  const cost = await costLine(context);
  lines.push(cost);
  const columns = [
    { heading: 'measured', digits: 1 },
    { heading: 'wanted', digits: 1 },
    { heading: 'ratio', digits: 3 },
  ];
  const title = `Limits of I/O; fio for ${WINDOW_SECONDS} s after ${RAMP_SECONDS} s, through NBD`;
  const [, , ratio] = cost.values;
  const figures = ratio === null || ratio === undefined ? {} : { limitsServer: ratio };
  return { sheets: [{ name: 'limits', title, columns, lines, notes: [] }], figures, absent: noFio === null ? [] : [noFio] };
}

async function sceneOf(hosts: Parameters<Parameters<typeof inScene>[1]>[0]['hosts']): Promise<Scene> {
  const network = await hosts.network(1);
  const server = hosts.host();
  const volume = { type: 'memory', size: '64m' };
  const volumes = { one: volume, two: volume, both: { ...volume, shared: 'yes' }, neighbour: volume };
  await startServer(server, network, { volumes, rights: { 'big-2': 'use', venus: 'use' } });
  const clients = [hosts.host(), hosts.host()];
  for (const [client, node] of ['big-2', 'venus'].entries()) {
    clients[client]!.writeConfig('rsiod', clientConfig(network, { node, client }));
    await clients[client]!.start('rsiod');
    await clients[client]!.pathsUp(1);
  }
  for (const name of ['one', 'two', 'both']) await clients[0]!.rsconfigWell('-a', name);
  for (const name of ['both', 'neighbour']) await clients[1]!.rsconfigWell('-a', name);
  return { server, clients };
}

async function fio(host: Host, name: string, words: readonly string[], rampSeconds = RAMP_SECONDS): Promise<FioSide> {
  const where = ['--ioengine=nbd', `--uri=${host.nbdUri(`osl/${name}`)}`, '--thread'];
  const job: FioJob = await runFio([], { where, words, size: '64m', seconds: WINDOW_SECONDS, rampSeconds });
  return onlySide(job);
}

/** Sets keys of a section [volume], and reloads. */
async function limit({ server }: Scene, volume: string, keys: Readonly<Record<string, string>>): Promise<void> {
  const section = new RegExp(`(\\[volume ${volume}\\]\\n)(?:(?:iops|bandwidth) = .*\\n)*`);
  const text = Object.entries(keys).map(([key, value]) => `${key} = ${value}\n`);
  server.writeConfig(
    'rssrv',
    readFileSync(server.rssrvPaths.configFile, 'utf8').replace(section, (_all: string, head: string) => head + text.join('')),
  );
  await server.rsadmWell('reload');
}

async function ratesOf(scene: Scene, rounds: number): Promise<Line[]> {
  const [first, second] = scene.clients as [Host, Host];
  const lines: Line[] = [];
  const line = async (what: string, wanted: number, round: () => Promise<number>): Promise<void> => {
    const values: number[] = [];
    for (let number = 0; number < rounds; number++) values.push(await round());
    lines.push({ what, values: [spreadOf(values), spreadOf([wanted]), spreadOf(values.map((value) => value / wanted))] });
  };
  await limit(scene, 'one', { iops: '500' });
  await line('iops = 500, one client', 500, async () => (await fio(first, 'one', RANDOM)).iops);
  await limit(scene, 'one', { bandwidth: '50m' });
  await line('bandwidth = 50m, one client, MiB/s', 50, async () => (await fio(first, 'one', LARGE)).bw_bytes / MIB);
  await limit(scene, 'both', { iops: '1000' });
  await line('iops = 1000, two clients of one volume', 1_000, async () => {
    const sides = await Promise.all(scene.clients.map((client) => fio(client, 'both', RANDOM)));
    return sides.reduce((sum, { iops }) => sum + iops, 0);
  });
  await limit(scene, 'both', {});
  await limit(scene, 'one', { iops: '300' });
  await line('iops = 300 on one volume, 2000 of the client on both', 2_000, async () => {
    await scene.server.rsadmWell('client', 'set', 'big-2', 'iops=2000');
    const [one, two] = await Promise.all([fio(first, 'one', RANDOM), fio(first, 'two', RANDOM)]);
    await scene.server.rsadmWell('client', 'set', 'big-2', 'iops=off');
    return one.iops + two.iops;
  });
  await line('iops = 500 to 4000 under I/O', 4_000, async () => {
    await limit(scene, 'one', { iops: '500' });
    const running = fio(first, 'one', RANDOM, 2 * RAMP_SECONDS);
    await new Promise((resolve) => setTimeout(resolve, RAMP_SECONDS * 1_000));
    await limit(scene, 'one', { iops: '4000' });
    return (await running).iops;
  });
  lines.push(...(await neighbourLines(scene, second, NEIGHBOUR_ROUNDS * rounds)));
  return lines;
}

/**
 * Latency of a client while a limit holds back another client, compared with no other client, and with another client that sends equally
 * little without a limit. Clients and server share the cores of this machine. Therefore, only the second comparison shows the effect of the
 * limit.
 */
async function neighbourLines(scene: Scene, neighbour: Host, rounds: number): Promise<Line[]> {
  const p99 = ({ lat_ns }: FioSide): number => (lat_ns.percentile?.[P99] ?? Number.NaN) / 1_000;
  const beside = async (words: readonly string[]): Promise<number> => {
    const [side] = await Promise.all([fio(neighbour, 'neighbour', SINGLE), fio(scene.clients[0]!, 'one', words)]);
    return p99(side);
  };
  const [alone, asked, held]: [number[], number[], number[]] = [[], [], []];
  for (let round = 0; round < rounds; round++) {
    alone.push(p99(await fio(neighbour, 'neighbour', SINGLE)));
    await limit(scene, 'one', {});
    asked.push(await beside([...RANDOM, `--rate_iops=${HELD_IOPS}`]));
    await limit(scene, 'one', { iops: String(HELD_IOPS) });
    held.push(await beside(RANDOM));
  }
  const what = 'p99 of a neighbour at depth 1 beside a client at its limit, us';
  return [
    { what: `${what}; wanted: beside nobody`, values: [spreadOf(held), spreadOf(alone), roundsRatio(held, alone)] },
    { what: `${what}; wanted: beside one that asks for as little`, values: [spreadOf(held), spreadOf(asked), roundsRatio(held, asked)] },
  ];
}

function costLine(context: SectionContext): Promise<Line> {
  return inScene(context, async ({ hosts }) => {
    const { plan, cores, parent } = context;
    const scene = await rssrvScene(hosts, parent, 1);
    const load = await LoadClient.open(scene.target, { client: 0, connections: 1, isReadonly: true, cores: [cores.server, cores.load] });
    hosts.onClean(() => load.stop());
    const costs: Record<'off' | 'set', number[]> = { off: [], set: [] };
    for (let round = 0; round <= 2 * plan.rounds; round++) {
      for (const [kind, words] of [
        ['off', ['iops=off', 'bandwidth=off']],
        ['set', ['iops=10000000', 'bandwidth=1t']],
      ] as const) {
        await scene.host.rsadmWell('client', 'set', 'node0', ...words);
        const measured = await measure(
          [load],
          row('read', 8 * KIB, 128),
          round,
          { warmUpMs: 500, windowMs: plan.seconds * 1_000 },
          scene.processes(),
        );
        if (round > 0) costs[kind].push(perRequestUs(measured));
      }
    }
    const ratio = roundsRatio(costs.off, costs.set);
    return {
      what: 'CPU us per request, limit set and not reached, beside none',
      values: [spreadOf(costs.set), spreadOf(costs.off), ratio],
    };
  });
}
