// The combined throughput of several links: sequential and random I/O over 1 to 8 links, links of different rates, a link that loses
// frames, and a link that flaps. Each measurement is a row with its goal, and with the load of the processors, which shows whether the
// machine was the limit.

import { setTimeout as sleep } from 'node:timers/promises';
import { linkFault } from '../../support/netlab/link-faults.ts';
import { type LoadShape, SLICE_MS } from '../../support/netlab/load/nbd-load.ts';
import type { Netlab } from '../../support/netlab/netlab.ts';
import { GIGABIT } from '../../support/netlab/shaped-links.ts';
import { goodputBytes } from '../../support/netlab/shaper.ts';
import { MEBIBYTE, rate, Stage, type Stretch, VOLUME_BYTES } from './stage.ts';
import { megabytes, table } from '../../support/drills/table.ts';

/** The goals expect this throughput of one link of 1 Gbit/s, in bytes per second. */
const LINK_BYTES = 117e6;
const WARM_UP_MS = 2_000;
const FLAPPING_SECONDS = 60;

export interface ThroughputRow {
  readonly name: string;
  readonly what: string;
  readonly bytesPerSecond: number;
  /** Goal in bytes per second; null: the row has no goal. */
  readonly goal: number | null;
  readonly note: string;
  readonly isGood: boolean;
  readonly errors: number;
  readonly stretches: readonly Stretch[];
}

export interface Measurement {
  readonly name: string;
  measure(netlab: Netlab, options: ThroughputOptions): Promise<ThroughputRow>;
}

export interface ThroughputOptions {
  readonly seconds: number;
  readonly congestion: string;
}

const sequential = (readPercent: number, depth: number): LoadShape => ({
  blockBytes: MEBIBYTE,
  depth,
  order: 'sequential',
  readPercent,
  sizeBytes: VOLUME_BYTES,
});
const RANDOM: LoadShape = { blockBytes: 8192, depth: 128, order: 'random', readPercent: 100, sizeBytes: VOLUME_BYTES };
const MIDDLE: LoadShape = { blockBytes: 128 * 1024, depth: 32, order: 'sequential', readPercent: 100, sizeBytes: VOLUME_BYTES };

function gigabits(count: number): number[] {
  return Array.from({ length: count }, () => GIGABIT);
}

/** Makes links of these rates, prepares them, and measures one load over them. */
async function carried(
  netlab: Netlab,
  rates: readonly number[],
  shape: LoadShape,
  { seconds, congestion }: ThroughputOptions,
  prepare: (stage: Stage) => Promise<void> = async () => undefined,
): Promise<{ readonly stretch: Stretch; readonly errors: number }> {
  try {
    const stage = await Stage.open(netlab, rates, congestion);
    await prepare(stage);
    await stage.begin(shape);
    await sleep(WARM_UP_MS);
    const stretch = await stage.stretch(seconds * 1000);
    return { stretch, errors: (await stage.end()).errors };
  } finally {
    await netlab.clean();
  }
}

function plain(name: string, what: string, linkCount: number, share: number, shape: LoadShape): Measurement {
  return {
    name,
    measure: async (netlab, options) => {
      const { stretch, errors } = await carried(netlab, gigabits(linkCount), shape, options);
      const goal = share * linkCount * LINK_BYTES;
      return row(name, what, goal, stretch, errors, `p99 ${stretch.load.p99Ms.toFixed(1)} ms`);
    },
  };
}

function row(
  name: string,
  what: string,
  goal: number,
  stretch: Stretch,
  errors: number,
  note: string,
  isElseGood = true,
  others: readonly Stretch[] = [],
): ThroughputRow {
  const bytesPerSecond = rate(stretch);
  const isGood = bytesPerSecond >= goal && errors === 0 && isElseGood;
  return { name, what, bytesPerSecond, goal, note, isGood, errors, stretches: [stretch, ...others] };
}

const uneven: Measurement = {
  name: 'uneven',
  measure: async (netlab, options) => {
    const alone = await carried(netlab, [GIGABIT], MIDDLE, options);
    const { stretch, errors } = await carried(netlab, [GIGABIT, GIGABIT / 10], MIDDLE, options);
    const [p99Ms, aloneMs] = [stretch.load.p99Ms, alone.stretch.load.p99Ms];
    const goal = 0.95 * 1.1 * LINK_BYTES;
    const note = `p99 ${p99Ms.toFixed(0)} ms, fast link alone ${aloneMs.toFixed(0)} ms (at most twice)`;
    return row('uneven', '1 Gbit/s + 100 Mbit/s, 128 KiB reads, 32 out', goal, stretch, errors, note, p99Ms <= 2 * aloneMs, [
      alone.stretch,
    ]);
  },
};

const lossy: Measurement = {
  name: 'lossy',
  measure: async (netlab, options) => {
    const alone = await carried(netlab, [GIGABIT], MIDDLE, options);
    const { stretch, errors } = await carried(netlab, gigabits(2), MIDDLE, options, async ({ scene }) => {
      const [, link] = scene.links;
      if (link === undefined) throw new Error('No second link');
      await Promise.all([link.client.sendSingleFrames(link.device), link.server.sendSingleFrames(link.device)]);
      await linkFault('loss').begin(link);
    });
    const goal = 0.95 * rate(alone.stretch);
    const note = `good link alone ${megabytes(rate(alone.stretch))}; p99 ${stretch.load.p99Ms.toFixed(0)} ms`;
    return row('lossy', 'a good link and one that loses 1 % of frames, 128 KiB reads', goal, stretch, errors, note, true, [alone.stretch]);
  },
};

const flapping: Measurement = {
  name: 'flapping-60',
  measure: async (netlab, options) => {
    const fault = linkFault('flapping');
    try {
      const stage = await Stage.open(netlab, gigabits(2), options.congestion);
      const [, link] = stage.scene.links;
      if (link === undefined) throw new Error('No second link');
      await stage.begin(MIDDLE);
      await sleep(WARM_UP_MS);
      await fault.begin(link);
      const stretch = await stage.stretch(FLAPPING_SECONDS * 1000);
      await fault.end(link);
      const { errors } = await stage.end();
      const goal = 0.9 * LINK_BYTES;
      const seconds = perSecond(stretch.load.slices);
      const lowest = Math.min(...seconds);
      const below = seconds.filter((bytes) => bytes < goal).length;
      const note = `lowest second ${megabytes(lowest)}, ${below} of ${seconds.length} below the goal; longest gap ${stretch.load.longestGapMs.toFixed(0)} ms`;
      return row('flapping-60', `a good link and one that comes and goes, ${FLAPPING_SECONDS} s`, goal, stretch, errors, note, below === 0);
    } finally {
      await netlab.clean();
    }
  },
};

function perSecond(slices: readonly number[]): number[] {
  const each = 1000 / SLICE_MS;
  return Array.from({ length: Math.floor(slices.length / each) }, (_, second) =>
    slices.slice(second * each, (second + 1) * each).reduce((sum, bytes) => sum + bytes, 0),
  );
}

const LINK_COUNTS = [1, 2, 4, 8];

export const MEASUREMENTS: readonly Measurement[] = [
  ...LINK_COUNTS.flatMap((count) => [
    plain(`read-${count}`, `1 MiB sequential reads, ${links(count)}`, count, 0.97, sequential(100, 8 + 2 * count)),
    plain(`write-${count}`, `1 MiB sequential writes, ${links(count)}`, count, 0.97, sequential(0, 8 + 2 * count)),
  ]),
  plain('random-8', '8 KiB random reads, 128 out, 8 links', 8, 0.95, RANDOM),
  uneven,
  lossy,
  flapping,
];

function links(count: number): string {
  return `${count} link${count === 1 ? '' : 's'}`;
}

const HEADINGS = ['throughput', '', 'measured', 'goal', '', 'each link', 'cores: rsiod, server, load, rest', 'errors', ''];

export function throughputTable(rows: readonly ThroughputRow[]): string {
  const lines = rows.map(({ name, what, bytesPerSecond, goal, isGood, stretches, errors, note }) => {
    const [stretch] = stretches;
    const seconds = stretch?.load.seconds ?? 1;
    const each = stretch?.links.map(({ toServer, toClient }) => ((toServer + toClient) / seconds / 1e6).toFixed(0)).join(' ') ?? '';
    const cores = stretch === undefined ? [] : [stretch.clientCores, stretch.serverCores, stretch.loadCores, stretch.otherCores];
    const verdict = isGood ? 'met' : 'MISSED';
    return [
      name,
      what,
      megabytes(bytesPerSecond),
      goal === null ? '-' : `>= ${megabytes(goal)}`,
      goal === null ? '' : verdict,
      each,
      cores.map((value) => value.toFixed(2)).join(' '),
      String(errors),
      note,
    ];
  });
  return `Links shaped to 1 Gbit/s, which carry ${megabytes(goodputBytes(GIGABIT))} of TCP data at best\n${table([HEADINGS, ...lines])}`;
}
