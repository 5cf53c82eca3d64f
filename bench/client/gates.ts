// The cost of an I/O through a gate beside the cost of the same I/O through the NBD socket of the same rsiod. A raw NVMe/TCP host and a raw
// NBD client take turns in each round; both are the load generator. Invariant: only the CPU time of rsiod counts, so that it does not matter
// that all programs share the machine.

import type { FigureName } from '../goals.ts';
import { LoadClient } from '../load/load-client.ts';
import type { Measured, Target } from '../load/orders.ts';
import { measure, warmUp } from '../measure.ts';
import { processTree } from '../proc.ts';
import { inScene } from '../scene.ts';
import type { SectionContext, SectionResult } from '../section-run.ts';
import type { Line } from '../sheet.ts';
import { perCore, perRequestUs, roundsRatio, type Spread, spreadOf } from '../summary.ts';
import { row } from '../workload.ts';
import { type LocalPair, localPair, NBD_SOCKET } from './local-pair.ts';

const KIB = 1024;
const GATE = 'g1';
const PORT = 4420;
const WARM_UP = { cpuMs: 2_000, windowMs: 500, windowsMax: 20 };
const WINDOW_WARM_UP_MS = 200;
const SHAPES = [
  { shape: row('read', 8 * KIB, 32), figure: 'gateReads' },
  { shape: row('write', 8 * KIB, 32), figure: 'gateWrites' },
  { shape: row('seqread', KIB * KIB, 8), figure: 'gateLargeReads' },
] as const;

export function measureGates(context: SectionContext): Promise<SectionResult> {
  return inScene(context, async ({ hosts }) => {
    const pair = await localPair(hosts, context.parent, { wantsDevices: false });
    const targets = [pair.target, await gateOf(pair)];
    const cores = [context.cores.server, context.cores.load];
    const loads: LoadClient[] = [];
    for (const target of targets) {
      const load = await LoadClient.open(target, { client: 0, connections: 1, isReadonly: false, cores });
      hosts.onClean(() => load.stop());
      // Each byte of the volume is compared once.
      await load.sweep('read');
      loads.push(load);
    }
    const pids = processTree(pair.host.pid('rsiod'));
    const lines: Line[] = [];
    const figures: Partial<Record<FigureName, Spread>> = {};
    for (const { shape, figure } of SHAPES) {
      const rounds: Measured[][] = loads.map(() => []);
      for (const load of loads) await warmUp([load], shape, pids, WARM_UP);
      const window = { warmUpMs: WINDOW_WARM_UP_MS, windowMs: context.plan.seconds * 1000 };
      for (let round = 1; round <= context.plan.rounds; round++)
        for (const [index, load] of loads.entries()) rounds[index]?.push(await measure([load], shape, round, window, pids));
      const [nbd = [], gate = []] = rounds;
      const ratio = roundsRatio(gate.map(perCore), nbd.map(perCore));
      figures[figure] = ratio;
      const values = (mine: readonly Measured[]): Spread[] => [spreadOf(mine.map(({ iops }) => iops)), spreadOf(mine.map(perRequestUs))];
      lines.push({ what: `${shape.title}: ${NBD_SOCKET}`, values: [...values(nbd), null] });
      lines.push({ what: `${shape.title}: gate, NVMe/TCP`, values: [...values(gate), ratio] });
    }
    const columns = [
      { heading: 'IOPS', digits: 0 },
      { heading: 'CPU us of rsiod per request', digits: 2 },
      { heading: 'per core, x NBD', digits: 2 },
    ];
    const notes = ['the NBD socket is a Unix socket, and the gate is reached by TCP over loopback'];
    return {
      sheets: [{ name: 'gates', title: 'A gate beside the NBD socket of the same rsiod', columns, lines, notes }],
      figures,
      absent: [],
    };
  });
}

export async function gateOf({ host, network }: LocalPair): Promise<Target> {
  const address = network.serverAddresses[0] ?? '127.0.0.1';
  await host.rsconfigWell('gate', 'add', GATE, `${address}:${PORT}`, '--hosts', 'all', '--reload');
  const shown: unknown = JSON.parse(await host.rsconfigWell('gate', 'show', GATE, '--json'));
  const { nqn } = shown as { readonly nqn: string };
  return { host: address, port: PORT, volume: { kind: 'nvme', nqn } };
}
