// The cost of an I/O through gates for NVMe/TCP and iSCSI, beside the cost of the same I/O through the NBD frontend of the same rsiod, and of
// tgtd for the same file. Gates are compared with NBD over TCP; the Unix socket is shown, too. The raw hosts take turns in each round; all are
// the load generator. Invariant: only the CPU time of rsiod (and rssrv) or of tgtd counts, so that it does not matter that they share cores.

import { rmSync } from 'node:fs';
import { newFolder } from '../data-folder.ts';
import type { FigureName } from '../goals.ts';
import { LoadClient } from '../load/load-client.ts';
import type { Measured, Target } from '../load/orders.ts';
import { measure, warmUp } from '../measure.ts';
import { processTree } from '../proc.ts';
import { TGT_MAKER } from '../servers/tgt.ts';
import { missingTool } from '../tools.ts';
import { dataFile, inScene } from '../scene.ts';
import type { SectionContext, SectionResult } from '../section-run.ts';
import type { Line } from '../sheet.ts';
import { perCore, perRequestUs, roundsRatio, type Spread, spreadOf } from '../summary.ts';
import { row } from '../workload.ts';
import { NBD_BY_TCP } from './nbd-by-tcp.ts';
import { type LocalPair, localPair, NBD_SOCKET } from './local-pair.ts';

const PRELOAD = new URL('./nbd-by-tcp.js', import.meta.url).href;
const KIB = 1024;
/** The gates, and the volume that each offers: what a gate offers, NBD does not. */
const NVME = { gate: 'g1', port: 4420, volume: 'nvme' } as const;
const ISCSI = { gate: 'g2', port: 3260, volume: 'iscsi' } as const;
const WARM_UP = { cpuMs: 2_000, windowMs: 500, windowsMax: 20 };
const WINDOW_WARM_UP_MS = 200;
const SHAPES = [
  { shape: row('read', 8 * KIB, 32), nvme: 'gateReads', iscsi: 'iscsiReads' },
  { shape: row('write', 8 * KIB, 32), nvme: 'gateWrites', iscsi: 'iscsiWrites' },
  { shape: row('seqread', KIB * KIB, 8), nvme: 'gateLargeReads', iscsi: 'iscsiLargeReads' },
] as const;
/** The ways that are measured. `beside`: the index of the way with which this one is compared, and the key of its figure in SHAPES, if any. */
const WAYS = [
  { what: 'NBD over TCP', beside: null },
  { what: NBD_SOCKET, beside: { way: 0, key: null } },
  { what: 'gate, NVMe/TCP', beside: { way: 0, key: 'nvme' } },
  { what: 'tgtd, iSCSI', beside: null },
  { what: 'gate, iSCSI', beside: { way: 3, key: null } },
  // rsiod and rssrv together do the whole work of tgtd.
  { what: 'gate, iSCSI, with rssrv', beside: { way: 3, key: 'iscsi' } },
] as const;

export function measureGates(context: SectionContext): Promise<SectionResult> {
  return inScene(context, async ({ hosts }) => {
    const command = ['env', `NODE_OPTIONS=--import=${PRELOAD}`];
    const besides = Object.fromEntries([NVME, ISCSI].map(({ volume }) => [volume, { path: dataFile(hosts, context.parent) }]));
    const pair = await localPair(hosts, context.parent, { wantsDevices: false, command, besides });
    const noTgt = missingTool('tgtd', 'tgt');
    const rsiod = processTree(pair.host.pid('rsiod'));
    const targets: Target[] = [{ ...NBD_BY_TCP, volume: pair.target.volume }, pair.target, await nvmeGateOf(pair)];
    const pids = targets.map(() => rsiod);
    if (noTgt === null) {
      const directory = newFolder(context.parent);
      hosts.onClean(() => rmSync(directory, { recursive: true, force: true }));
      const tgt = await TGT_MAKER.start({ directory, file: pair.file, core: context.cores.server });
      hosts.onClean(() => tgt.stop());
      const iscsi = await iscsiGateOf(pair);
      targets.push(tgt.target, iscsi, iscsi);
      pids.push(tgt.processes(), rsiod, [...rsiod, ...processTree(pair.host.pid('rssrv'))]);
    }
    const cores = [context.cores.server, context.cores.load];
    const loads: LoadClient[] = [];
    for (const target of targets) {
      const load = await LoadClient.open(target, { client: 0, connections: 1, isReadonly: false, cores });
      hosts.onClean(() => load.stop());
      // Each byte of the volume is compared once.
      await load.sweep('read');
      loads.push(load);
    }
    const lines: Line[] = [];
    const figures: Partial<Record<FigureName, Spread>> = {};
    for (const { shape, ...names } of SHAPES) {
      const rounds: Measured[][] = loads.map(() => []);
      for (const [index, load] of loads.entries()) await warmUp([load], shape, pids[index]!, WARM_UP);
      const window = { warmUpMs: WINDOW_WARM_UP_MS, windowMs: context.plan.seconds * 1000 };
      for (let round = 1; round <= context.plan.rounds; round++)
        for (const [index, load] of loads.entries()) rounds[index]?.push(await measure([load], shape, round, window, pids[index]!));
      for (const [index, mine] of rounds.entries()) {
        const { what, beside } = WAYS[index]!;
        const ratio = beside === null ? null : roundsRatio(mine.map(perCore), rounds[beside.way]!.map(perCore));
        if (beside !== null && beside.key !== null && ratio !== null) figures[names[beside.key]] = ratio;
        const values = [spreadOf(mine.map(({ iops }) => iops)), spreadOf(mine.map(perRequestUs)), ratio];
        lines.push({ what: `${shape.title}: ${what}`, values });
      }
    }
    const columns = [
      { heading: 'IOPS', digits: 0 },
      { heading: 'CPU us per request', digits: 2 },
      { heading: 'per core, x NBD or tgtd', digits: 2 },
    ];
    const notes = [
      'NBD over TCP is the NBD frontend of the same rsiod, reached by a socket that only the bench makes; all but the NBD socket are TCP',
      'tgtd reads and writes the file itself, and behind rsiod rssrv does, whose CPU time counts only where it is named',
    ];
    return {
      sheets: [{ name: 'gates', title: 'Gates beside the NBD frontend of the same rsiod, and beside tgtd', columns, lines, notes }],
      figures,
      absent: noTgt === null ? [] : [`gate beside tgtd: ${noTgt}`],
    };
  });
}

async function iscsiGateOf(pair: LocalPair): Promise<Target> {
  const { host, nqn } = await gateOn(pair, ISCSI, ['--iscsi']);
  return { host, port: ISCSI.port, volume: { kind: 'iscsi', target: nqn, writeBytes: 8 * KIB } };
}

async function nvmeGateOf(pair: LocalPair): Promise<Target> {
  const { host, nqn } = await gateOn(pair, NVME, []);
  return { host, port: NVME.port, volume: { kind: 'nvme', nqn } };
}

async function gateOn(
  { host, network }: LocalPair,
  { gate, port, volume }: typeof ISCSI | typeof NVME,
  options: readonly string[],
): Promise<{ readonly host: string; readonly nqn: string }> {
  const address = network.serverAddresses[0] ?? '127.0.0.1';
  await host.rsconfigWell('-a', volume);
  await host.rsconfigWell('gate', 'add', gate, `${address}:${port}`, '--hosts', 'all', '--offers', volume, ...options, '--reload');
  const shown: unknown = JSON.parse(await host.rsconfigWell('gate', 'show', gate, '--json'));
  const { nqn } = shown as { readonly nqn: string };
  return { host: address, nqn };
}
