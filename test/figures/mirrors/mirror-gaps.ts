// `npm run measure -- mirror-gaps`: measures the pauses of applications when a mirror loses a server, and the amount and rate of the copy when this
// server returns. Real daemons run on machines of a netlab, which needs root. The tests judge data. Invariant: a failed request is a problem.

import { tmpdir } from 'node:os';
import { defineDrill } from '../../support/drills/harness.ts';
import { NETLAB } from '../../support/drills/needs.ts';
import { choice, count, json, optional, text } from '../../support/drills/options.ts';
import type { Scene } from '../../support/drills/scene.ts';
import { median, table } from '../../support/drills/table.ts';
import { copied, type Copied, type Outage, PATTERNS, powerCut, restart } from './outages.ts';
import { resync, type Resync } from './resync.ts';
import { boundMs, DEFAULT_TIMING, MIB, ONE_SECOND, type Timing } from './scene.ts';

const PARTS = ['power', 'restart', 'copied', 'resync'] as const;
const GAP_GOAL_MS = 500;
const COPIED_GOAL = 1.2;
const SHARE_GOAL = 0.7;
const P99_GOAL = 3;
const HALF = 0.5;
const SERVERS = 2;
const TIMINGS: readonly Timing[] = [DEFAULT_TIMING, ONE_SECOND];

function spread(values: readonly number[], digits = 0): string {
  return `${median(values).toFixed(digits)}, ${Math.max(...values).toFixed(digits)}`;
}

function timingText({ deadMs, patienceMs }: Timing): string {
  return `dead ${deadMs / 1000} s, patience ${patienceMs / 1000} s`;
}

function verdict(isMet: boolean): string {
  return isMet ? 'met' : 'MISSED';
}

/** Makes one row for each timing. Only the part of a gap that exceeds the bound of the timing counts. */
function powerRows(results: ReadonlyMap<Timing, readonly Outage[]>): string[][] {
  return [...results].map(([timing, runs]) => {
    const beyond = (value: (run: Outage) => number): number[] => runs.map((run) => Math.max(0, value(run) - boundMs(timing)));
    const all = [...beyond((run) => run.readGapMs), ...beyond((run) => run.writeGapMs)];
    return [
      timingText(timing),
      String(runs.length),
      spread(runs.map(({ readGapMs }) => readGapMs)),
      spread(runs.map(({ writeGapMs }) => writeGapMs)),
      String(boundMs(timing)),
      spread(beyond(({ writeGapMs }) => writeGapMs)),
      verdict(Math.max(...all) <= GAP_GOAL_MS),
      ...commonCells(runs),
    ];
  });
}

function restartRows(results: ReadonlyMap<Timing, readonly Outage[]>): string[][] {
  return [...results].map(([timing, runs]) => [
    timingText(timing),
    String(runs.length),
    spread(runs.map(({ readGapMs }) => readGapMs)),
    spread(runs.map(({ writeGapMs }) => writeGapMs)),
    ...commonCells(runs),
  ]);
}

function commonCells(runs: readonly Outage[]): string[] {
  const worst = (value: (run: Outage) => number): string => Math.max(...runs.map(value)).toFixed(0);
  return [
    worst(({ beforeMs }) => beforeMs),
    worst(({ ownStallMs }) => ownStallMs),
    String(runs.reduce((sum, { errors }) => sum + errors, 0)),
  ];
}

function copiedRow(name: string, runs: readonly Copied[]): string[] {
  const ratios = runs.map(({ copiedBytes, writtenBytes }) => copiedBytes / writtenBytes);
  const mib = (value: (run: Copied) => number): string => spread(runs.map((run) => value(run) / MIB));
  const isMet = Math.max(...ratios) <= COPIED_GOAL;
  return [
    name,
    mib(({ writtenBytes }) => writtenBytes),
    mib(({ copiedBytes }) => copiedBytes),
    spread(ratios, 2),
    verdict(isMet),
    String(runs.reduce((sum, { errors }) => sum + errors, 0)),
  ];
}

function resyncRow(what: string, { bytes, seconds, applicationBytes, share, p99Ms, aloneP99Ms, sentBytes }: Resync): string[] {
  const isMet = share >= SHARE_GOAL && (aloneP99Ms === 0 || p99Ms <= P99_GOAL * aloneP99Ms);
  return [
    what,
    (bytes / MIB).toFixed(0),
    seconds.toFixed(1),
    (bytes / seconds / 1e6).toFixed(1),
    (applicationBytes / 1e6).toFixed(1),
    share.toFixed(2),
    p99Ms.toFixed(1),
    aloneP99Ms.toFixed(1),
    verdict(isMet),
    (sentBytes / MIB).toFixed(0),
  ];
}

async function measureOutages(
  scene: Scene,
  play: (timing: Timing, server: number) => Promise<Outage>,
  runs: number,
): Promise<Map<Timing, Outage[]>> {
  const results = new Map(TIMINGS.map((timing) => [timing, [] as Outage[]]));
  // Each round has one run of every timing, so that other programs on the machine disturb all timings equally.
  for (let run = 0; run < runs; run++)
    for (const [timing, list] of results) {
      scene.round(`${play.name}, run ${run + 1}, ${timingText(timing)}`);
      list.push(await play(timing, run % SERVERS));
    }
  return results;
}

const COMMON = ['gap before', 'own stall', 'errors'];
const GAPS = ['reads: median, worst', 'writes: median, worst'];

interface Part {
  readonly title: string;
  readonly headings: readonly string[];
  /** Makes the measurement. Returns the rows of the table, and the figures for --json. */
  readonly measure: () => Promise<{ readonly rows: readonly (readonly string[])[]; readonly figures: unknown; readonly errors: number }>;
}

function errorsOf(results: ReadonlyMap<unknown, readonly { readonly errors: number }[]>): number {
  return [...results.values()].flat().reduce((sum, { errors }) => sum + errors, 0);
}

function partsOf(scene: Scene, runs: number, resyncBytes: number, folder: string): Readonly<Record<(typeof PARTS)[number], Part>> {
  return {
    power: {
      title: 'The power of a server is cut: longest time without an answer, ms. 8 KiB at random, 16 reads and 16 writes out',
      headings: ['timing', 'runs', ...GAPS, 'bound', 'writes beyond it', `goal ${GAP_GOAL_MS}`, ...COMMON],
      measure: async () => {
        const results = await measureOutages(scene, powerCut, runs);
        return { rows: powerRows(results), figures: [...results], errors: errorsOf(results) };
      },
    },
    restart: {
      title: 'A server is killed and started again after 1 s: longest time without an answer, ms',
      headings: ['timing', 'runs', ...GAPS, ...COMMON],
      measure: async () => {
        const results = await measureOutages(scene, restart, runs);
        return { rows: restartRows(results), figures: [...results], errors: errorsOf(results) };
      },
    },
    copied: {
      title: 'What is written while a server is away for 1 s, and what the client sends to it when it returns, MiB',
      headings: ['writes', 'written', 'copied', 'ratio', `goal ${COPIED_GOAL}`, 'errors'],
      measure: async () => {
        const results = new Map(PATTERNS.map((pattern) => [pattern, [] as Copied[]]));
        for (let run = 0; run < runs; run++) {
          for (const [pattern, list] of results) {
            scene.round(`copied, run ${run + 1}, ${pattern.name}`);
            list.push(await copied(DEFAULT_TIMING, pattern, run % SERVERS));
          }
        }
        const rows = [...results].map(([{ name }, list]) => copiedRow(name, list));
        return { rows, figures: [...results], errors: errorsOf(results) };
      },
    },
    resync: {
      title: 'A replica is copied over 1 Gbit/s; p99 of 8 KiB random writes',
      headings: ['application', 'MiB', 's', 'MB/s', 'its MB/s', 'share of the rest', 'p99 ms', 'alone', 'goals', 'sent MiB'],
      measure: async () => {
        scene.round('resync');
        const [none, half] = [await resync(folder, resyncBytes, 0), await resync(folder, resyncBytes, HALF)];
        return { rows: [resyncRow('none', none), resyncRow('half of the link', half)], figures: [none, half], errors: 0 };
      },
    },
  };
}

export const drill = defineDrill({
  about: 'Measures what applications notice when a mirror over two servers loses one.',
  needs: [NETLAB],
  unit: 'runs',
  endsAtOnce: true,
  options: {
    runs: count(3, 'runs of each outage', { max: 1_000 }),
    only: optional(choice('PART', PARTS, 'measure only this part', 'power')),
    resync: count(1024, 'size of the replica that is copied', { value: 'MIB', min: 64 }),
    dir: text('DIR', tmpdir(), 'folder of its pools; a disk that is slower than the link is what is measured'),
    json: json(),
  },
  async play(scene, { runs, only, resync: resyncMib, dir }) {
    const parts = partsOf(scene, runs, resyncMib * MIB, dir);
    const all: Record<string, unknown> = {};
    for (const name of PARTS.filter((part) => only === null || part === only)) {
      const { title, headings, measure } = parts[name];
      const { rows, figures, errors } = await measure();
      all[name] = figures;
      if (errors > 0) scene.problem(`${errors} requests failed`);
      scene.say(`${title}\n${table([headings, ...rows])}`);
    }
    scene.show(all, () => '');
  },
});
