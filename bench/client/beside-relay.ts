// rsiod beside the relay in C (native/relay.c), each over one path to the same rssrv: the cost of the client's side beyond the system calls
// that forwarding needs. The relay has its own session, volume and server process; load, server and kind of volume are the same as for
// rsiod. Throughput: the client is alone on its core. Latency: all programs share the machine's cores.

import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { medianUs } from '@rsio/test/support/io/fio-figures';
import type { Hosts } from '@rsio/test/support/hosts/hosts';
import type { FigureName } from '../goals.ts';
import { LoadClient } from '../load/load-client.ts';
import type { LoadShape, Measured, Target } from '../load/orders.ts';
import { measure } from '../measure.ts';
import { pin, processTree } from '../proc.ts';
import { dataFile, inScene } from '../scene.ts';
import type { SectionContext, SectionResult } from '../section-run.ts';
import type { Line } from '../sheet.ts';
import { perCore, roundsRatio, type Spread, spreadOf, worstOf } from '../summary.ts';
import { missingFio } from '../tools.ts';
import { row } from '../workload.ts';
import { setBusyPoll } from './busy-poll.ts';
import { type FioTarget, inTurn, nbdTarget, SINGLE_REQUESTS } from './fio-targets.ts';
import { besideTarget, type LocalPair, localPair } from './local-pair.ts';
import { Relay } from './relay.ts';

const KIB = 1024;
const DIRECT = 'direct';
const WARM_MS = 3_000;
const WARM_UP_MS = 200;
const LOADS = [
  { what: 'reads', figure: 'relayReads', shape: row('read', 8 * KIB, 32) },
  { what: 'writes', figure: 'relayWrites', shape: row('write', 8 * KIB, 32) },
] as const satisfies readonly { what: string; figure: FigureName; shape: LoadShape }[];

/** A client that is measured. */
interface Side {
  readonly title: string;
  readonly target: Target;
  readonly pids: readonly number[];
}

interface Scene {
  readonly pair: LocalPair;
  readonly relay: Relay;
}

/** Starts rssrv, rsiod and the relay. `wantsDevices`: whether rsiod gets devices, as in localPair. */
export async function relayScene(hosts: Hosts, parent: string, wantsDevices: boolean): Promise<Scene> {
  const pair = await localPair(hosts, parent, { wantsDevices, besides: { [DIRECT]: { path: dataFile(hosts, parent) } } });
  const folder = mkdtempSync(join(os.tmpdir(), 'rsio-relay-'));
  hosts.onClean(() => rmSync(folder, { recursive: true, force: true }));
  const relay = await Relay.start(besideTarget(pair.network, DIRECT), join(folder, 'relay.socket'));
  hosts.onClean(() => relay.stop());
  return { pair, relay };
}

export function measureRelay(context: SectionContext): Promise<SectionResult> {
  return inScene(context, async ({ hosts }) => {
    const { cores, parent } = context;
    const { pair, relay } = await relayScene(hosts, parent, false);
    const sides: readonly Side[] = [
      { title: 'relay in C', target: relay.target, pids: [relay.pid] },
      { title: 'rsiod', target: pair.target, pids: processTree(pair.host.pid('rsiod')) },
    ];
    pin(processTree(pair.host.pid('rssrv')), [cores.load]);
    for (const { pids } of sides) pin(pids, [cores.server]);
    const loads: LoadClient[] = [];
    for (const { target } of sides) {
      const load = await LoadClient.open(target, { client: 0, connections: 1, isReadonly: false, cores: [cores.load] });
      hosts.onClean(() => load.stop());
      loads.push(load);
      // Reads and compares every byte once, which shows that both clients forward the right blocks.
      await load.sweep('read');
    }
    const lines: Line[] = [];
    const figures: Partial<Record<FigureName, Spread>> = {};
    for (const { what, figure, shape } of LOADS) {
      const rounds = await roundsOf(loads, sides, shape, context);
      const perCores = rounds.map((one) => one.map(perCore));
      for (const [index, { title }] of sides.entries()) {
        const ratio = index === 0 ? null : roundsRatio(perCores[index] ?? [], perCores[0] ?? []);
        lines.push({ what: `${what}, ${title}`, values: [...valuesOf(rounds[index] ?? []), ratio] });
        if (ratio !== null) figures[figure] = ratio;
      }
    }
    for (const load of loads) await load.sweep('read');
    const columns = [
      { heading: 'IOPS', digits: 0 },
      { heading: 'cores of the client', digits: 2 },
      { heading: 'IOPS per client core', digits: 0 },
      { heading: 'x relay', digits: 2 },
    ];
    const title = 'rsiod beside a relay in C, 8 KiB at random, depth 32, from NBD to rssrv';
    return { sheets: [{ name: 'relay', title, columns, lines, notes: [] }], figures, absent: [] };
  });
}

function valuesOf(rounds: readonly Measured[]): Spread[] {
  return [spreadOf(rounds.map(({ iops }) => iops)), spreadOf(rounds.map(({ serverCores }) => serverCores)), spreadOf(rounds.map(perCore))];
}

/** Measures the sides one after another in each round, and returns the rounds of each side. */
async function roundsOf(
  loads: readonly LoadClient[],
  sides: readonly Side[],
  shape: LoadShape,
  { plan }: SectionContext,
): Promise<Measured[][]> {
  const all: Measured[][] = sides.map(() => []);
  const window = (index: number, round: number, windowMs: number): Promise<Measured> =>
    measure(loads.slice(index, index + 1), shape, round, { warmUpMs: WARM_UP_MS, windowMs }, sides[index]?.pids ?? []);
  for (const index of sides.keys()) await window(index, 0, WARM_MS);
  for (let round = 1; round <= plan.rounds; round++) {
    for (const index of sides.keys()) all[index]?.push(await window(index, round, plan.seconds * 1000));
  }
  return all;
}

export async function measureRelayLatency(context: SectionContext): Promise<SectionResult> {
  const reason = missingFio();
  if (reason !== null) return { sheets: [], figures: {}, absent: [`latency beside the relay: ${reason}`] };
  return inScene(context, async ({ hosts }) => {
    const { pair, relay } = await relayScene(hosts, context.parent, true);
    const [, block] = pair.devices;
    const targets: readonly FioTarget[] = [
      nbdTarget('relay in C', `nbd+unix:///?socket=${relay.target.host}`),
      pair.nbd,
      ...(block === undefined ? [] : [block]),
    ];
    const lines: Line[] = [];
    const ratios: Spread[][] = targets.map(() => []);
    for (const value of ['off', 'auto']) {
      await setBusyPoll(pair, value);
      for (const { what, words } of SINGLE_REQUESTS) {
        const all = (await inTurn(targets, words, context.plan)).map((rounds) => ({
          p50: rounds.map(medianUs),
          mean: rounds.map(({ lat_ns }) => lat_ns.mean / 1000),
        }));
        for (const [index, { title }] of targets.entries()) {
          const { p50 = [], mean = [] } = all[index] ?? {};
          const ratio = index === 0 ? null : roundsRatio(p50, all[0]?.p50 ?? []);
          const client = index === 0 || value === 'off' ? title : `${title}, busy-poll = ${value}`;
          lines.push({ what: `${what}, ${client}`, values: [spreadOf(p50), spreadOf(mean), ratio] });
          // The goals are those of the default.
          if (ratio !== null && value === 'off') ratios[index]?.push(ratio);
        }
      }
    }
    const columns = [
      { heading: 'p50 us', digits: 1 },
      { heading: 'mean us', digits: 1 },
      { heading: 'p50, x relay', digits: 2 },
    ];
    const [, nbd = [], blocks = []] = ratios;
    const figures = { relayNbdLatency: worstOf(nbd), ...(blocks.length === 0 ? {} : { relayBlockLatency: worstOf(blocks) }) };
    const sheet = { name: 'relay-latency', title: 'fio, 4 KiB at random, depth 1, before one rssrv', columns, lines, notes: [] };
    return { sheets: [sheet], figures, absent: pair.noDevices === null ? [] : [`latency of the block device: ${pair.noDevices}`] };
  });
}
