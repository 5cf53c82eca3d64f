// The effect of `busy-poll` on single requests: reloads turn it on and off alternately in one rsiod. First rsiod has its own core, as on a
// machine with a core to spare; then rsiod shares the cores with fio and the server. Invariant: a window is measured only after the reload
// that sets `busy-poll` for it has ended.

import { setTimeout as after } from 'node:timers/promises';
import { clientConfig } from '@rsio/test/support/hosts/configs';
import { medianUs } from '@rsio/test/support/io/fio-figures';
import { pin, processTree } from '../proc.ts';
import { inScene } from '../scene.ts';
import type { SectionContext, SectionResult } from '../section-run.ts';
import type { Line, Sheet } from '../sheet.ts';
import { roundsRatio, type Spread, spreadOf } from '../summary.ts';
import { missingFio } from '../tools.ts';
import { type FioTarget, runFioAt, SINGLE_REQUESTS } from './fio-targets.ts';
import { type LocalPair, localPair } from './local-pair.ts';

const VALUES = ['off', '100us', 'auto'] as const;
const SIZE = '512m';
const WARM_SECONDS = 2;
const WINDOW_SECONDS = 2;
/** Ramp at the start of fio. Latencies during the ramp do not count, because polling may rest until fio has started. */
const RAMP_SECONDS = 1;
/** Pause after a reload, because the reload command is a process that needs a core. */
const SETTLE_MS = 500;

interface Window {
  readonly p50Us: number;
  readonly meanUs: number;
  readonly cores: number;
}

export function measureBusyPoll(context: SectionContext): Promise<SectionResult> {
  const reason = missingFio();
  if (reason !== null) return Promise.resolve({ sheets: [], figures: {}, absent: [`busy polling: ${reason}`] });
  return inScene(context, async ({ hosts }) => {
    const pair = await localPair(hosts, context.parent, { wantsDevices: true });
    const [, block] = pair.devices;
    const targets = [pair.nbd, ...(block === undefined ? [] : [block])];
    const { server, load } = context.cores;
    const places = [
      { title: 'a core of its own', client: [server], others: [load] },
      { title: 'cores shared with fio and the server', client: [server, load], others: [server, load] },
    ];
    const lines: Line[] = [];
    for (const { title, client, others } of places) {
      pin(processTree(pair.host.pid('rsiod')), client);
      pin(processTree(pair.host.pid('rssrv')), others);
      for (const target of targets)
        for (const { what, words } of SINGLE_REQUESTS) {
          const linesOf = await compare(pair, onCores(target, others), words, context);
          lines.push(...linesOf.map(({ value, values }) => ({ what: `${title}: ${what}, ${target.title}, ${value}`, values })));
        }
    }
    const columns = [
      { heading: 'p50 us', digits: 1 },
      { heading: 'mean us', digits: 1 },
      { heading: 'cores of rsiod', digits: 2 },
      { heading: 'p50, x off', digits: 2 },
    ];
    const sheet: Sheet = {
      name: 'busy-poll',
      title: 'fio, 4 KiB at random, depth 1, with and without busy-poll',
      columns,
      lines,
      notes: [],
    };
    return { sheets: [sheet], figures: {}, absent: pair.noDevices === null ? [] : [`busy polling of the block device: ${pair.noDevices}`] };
  });
}

async function compare(
  pair: LocalPair,
  target: FioTarget,
  words: readonly string[],
  { plan }: SectionContext,
): Promise<{ value: string; values: (Spread | null)[] }[]> {
  const windows: Window[][] = VALUES.map(() => []);
  const pids = processTree(pair.host.pid('rsiod'));
  const window = async (index: number, seconds: number): Promise<Window> => {
    await setBusyPoll(pair, VALUES[index] ?? 'off');
    const figures = await runFioAt(target, { words, size: SIZE, seconds, rampSeconds: RAMP_SECONDS }, pids);
    return { p50Us: medianUs(figures), meanUs: figures.lat_ns.mean / 1000, cores: figures.cpuSeconds / (seconds + RAMP_SECONDS) };
  };
  for (const index of VALUES.keys()) await window(index, WARM_SECONDS);
  for (let round = 0; round < plan.rounds; round++)
    for (const index of VALUES.keys()) windows[index]?.push(await window(index, WINDOW_SECONDS));
  return VALUES.map((value, index) => {
    const mine = windows[index] ?? [];
    const of = (figure: keyof Window): Spread => spreadOf(mine.map((one) => one[figure]));
    const ratio =
      index === 0
        ? null
        : roundsRatio(
            mine.map(({ p50Us }) => p50Us),
            (windows[0] ?? []).map(({ p50Us }) => p50Us),
          );
    return { value, values: [of('p50Us'), of('meanUs'), of('cores'), ratio] };
  });
}

/** Reloads the client of the pair with this value of `busy-poll`. */
export async function setBusyPoll({ host, network, noDevices }: LocalPair, value: string): Promise<void> {
  const device = noDevices === null ? 'block' : 'nbd-socket';
  host.writeConfig('rsiod', clientConfig(network, { defaults: { device, 'busy-poll': value } }));
  await host.rsconfigWell('reload');
  await after(SETTLE_MS);
}

function onCores(target: FioTarget, cores: readonly number[]): FioTarget {
  return { ...target, command: [...target.command, 'taskset', '-c', cores.join(',')] };
}
