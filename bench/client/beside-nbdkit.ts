// fio through rsiod and rssrv to a file, beside fio through nbdkit over TCP to the same file: the latency of single requests on each
// frontend, and IOPS with 32 requests in flight on the NBD socket. The two ways are measured one after the other in each round, over the
// same loopback; all programs share the machine's cores.

import { medianUs } from '@rsio/test/support/io/fio-figures';
import type { Hosts } from '@rsio/test/support/hosts/hosts';
import { start } from '@rsio/test/support/programs/programs';
import { waitFor } from '@rsio/test/support/programs/wait-for';
import { connects, freePort } from '../child.ts';
import type { FigureName } from '../goals.ts';
import { inScene } from '../scene.ts';
import type { SectionContext, SectionResult } from '../section-run.ts';
import type { Line } from '../sheet.ts';
import { roundsRatio, type Spread, spreadOf } from '../summary.ts';
import { missingFio, missingTool } from '../tools.ts';
import { type FioTarget, type FioFigures, inTurn, nbdTarget } from './fio-targets.ts';
import { localPair } from './local-pair.ts';

const NBDKIT_HOST = '127.0.0.1';
const START_MS = 10_000;
/** nbdkit runs for longer than the whole section. */
const NBDKIT_MS = 3_600_000;

const LATENCY_WORDS = ['--rw=randread', '--bs=4k', '--iodepth=1'];
/** The measured ways; nbdkit comes first. */
const WAYS = ['nbdkit over TCP', 'NBD socket, rsiod, one path, rssrv', 'block device, rsiod, one path, rssrv'] as const;
const END_TO_END: readonly {
  readonly what: string;
  readonly figures: readonly (FigureName | null)[];
  readonly words: readonly string[];
}[] = [
  { what: 'reads', figures: [null, 'endToEndReads', null], words: ['--rw=randread', '--bs=8k', '--iodepth=32'] },
  { what: 'writes', figures: [null, 'endToEndWrites', 'endToEndBlockWrites'], words: ['--rw=randwrite', '--bs=8k', '--iodepth=32'] },
];

export async function measureLatency(context: SectionContext): Promise<SectionResult> {
  const reason = missing();
  if (reason !== null) return { sheets: [], figures: {}, absent: [`latency of the frontends: ${reason}`] };
  return inScene(context, async ({ hosts }) => {
    const pair = await localPair(hosts, context.parent, { wantsDevices: true });
    const targets = [await nbdkitTarget(hosts, pair.file), pair.nbd, ...pair.devices];
    const all = await inTurn(targets, LATENCY_WORDS, context.plan);
    const means = (rounds: readonly FioFigures[]): number[] => rounds.map(({ lat_ns }) => lat_ns.mean / 1000);
    const lines = targets.map(({ title }, index) => {
      const rounds = all[index] ?? [];
      return {
        what: title,
        values: [
          spreadOf(rounds.map(medianUs)),
          spreadOf(means(rounds)),
          index === 0 ? null : roundsRatio(means(rounds), means(all[0] ?? [])),
        ],
      };
    });
    const columns = [
      { heading: 'p50 us', digits: 1 },
      { heading: 'mean us', digits: 1 },
      { heading: 'mean, x nbdkit', digits: 2 },
    ];
    const sheet = { name: 'latency', title: 'fio, 4 KiB random reads, depth 1', columns, lines, notes: [] };
    return { sheets: [sheet], figures: {}, absent: pair.noDevices === null ? [] : [`latency of raw and block device: ${pair.noDevices}`] };
  });
}

export async function measureEndToEnd(context: SectionContext): Promise<SectionResult> {
  const reason = missing();
  if (reason !== null) return { sheets: [], figures: {}, absent: [`end to end: ${reason}`] };
  return inScene(context, async ({ hosts }) => {
    const pair = await localPair(hosts, context.parent, { wantsDevices: true });
    const [, block] = pair.devices;
    const targets = [await nbdkitTarget(hosts, pair.file), pair.nbd, ...(block === undefined ? [] : [block])];
    const lines: Line[] = [];
    const figures: Partial<Record<FigureName, Spread>> = {};
    for (const { what, figures: names, words } of END_TO_END) {
      const all = (await inTurn(targets, words, context.plan)).map((rounds) => rounds.map(({ iops }) => iops));
      const [theirs = []] = all;
      for (const [index, ours] of all.entries()) {
        const ratio = index === 0 ? null : roundsRatio(ours, theirs);
        lines.push({ what: `${what}, ${WAYS[index] ?? ''}`, values: [spreadOf(ours), ratio] });
        const name = names[index] ?? null;
        if (ratio !== null && name !== null) figures[name] = ratio;
      }
    }
    const columns = [
      { heading: 'IOPS', digits: 0 },
      { heading: 'x nbdkit', digits: 2 },
    ];
    const sheet = { name: 'end-to-end', title: 'fio, 8 KiB at random, depth 32, to one file', columns, lines, notes: [] };
    return { sheets: [sheet], figures, absent: pair.noDevices === null ? [] : [`the block device end to end: ${pair.noDevices}`] };
  });
}

function missing(): string | null {
  return missingFio() ?? missingTool('nbdkit', 'nbdkit');
}

async function nbdkitTarget(hosts: Hosts, file: string): Promise<FioTarget> {
  const port = await freePort(NBDKIT_HOST);
  const args = ['--exit-with-parent', '--foreground', `--ipaddr=${NBDKIT_HOST}`, `--port=${port}`, 'file', file];
  const nbdkit = start('nbdkit', args, { timeoutMs: NBDKIT_MS });
  hosts.onClean(() => nbdkit.kill('SIGTERM'));
  const uri = `nbd://${NBDKIT_HOST}:${port}`;
  const isThere = (): Promise<boolean> => connects(NBDKIT_HOST, port);
  await waitFor(isThere, START_MS, 'nbdkit answers');
  return nbdTarget('nbdkit over TCP', uri);
}
