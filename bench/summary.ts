// Computes figures from rounds: the median, the least and the greatest value, and the ratio of two servers. Pure. Rounds are numbered, and
// all servers ran rounds of the same number one after another. Therefore, the ratio of rounds with the same number suffers least from other
// work of the machine.

import type { Measured } from './load/orders.ts';
import type { Row } from './workload.ts';

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export interface Figures {
  /** Names of the server, for programs and for people. */
  readonly id: string;
  readonly title: string;
  readonly iops: Spread;
  readonly megabytesPerSecond: Spread;
  readonly serverCores: Spread;
  readonly generatorCores: Spread;
  readonly otherCores: Spread;
  readonly iopsPerServerCore: Spread;
  readonly p50Us: Spread;
  readonly p99Us: Spread;
  readonly p999Us: Spread;
  readonly rounds: readonly Measured[];
}

export interface RowFigures {
  readonly row: Row;
  readonly servers: readonly Figures[];
}

const MEGABYTE = 1e6;

export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? 0;
  const median = sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2;
  return { median, min: sorted[0] ?? 0, max: sorted[sorted.length - 1] ?? 0 };
}

export function once(value: number): Spread {
  return { median: value, min: value, max: value };
}

/** Returns the spread with the highest median. If a goal is an upper bound for all spreads, this spread decides whether the goal is met. */
export function worstOf(spreads: readonly Spread[]): Spread {
  return spreads.reduce((worst, one) => (one.median > worst.median ? one : worst));
}

/** Returns the spread with the lowest median. If a goal is a lower bound for all spreads, this spread decides whether the goal is met. */
export function leastOf(spreads: readonly Spread[]): Spread {
  return spreads.reduce((least, one) => (one.median < least.median ? one : least));
}

export function perCore({ iops, serverCores }: Measured): number {
  return serverCores > 0 ? iops / serverCores : 0;
}

export function perRequestUs({ iops, serverCores }: Measured): number {
  return iops > 0 ? (serverCores / iops) * 1e6 : 0;
}

export function figuresOf(id: string, title: string, rounds: readonly Measured[]): Figures {
  const spread = (value: (round: Measured) => number): Spread => spreadOf(rounds.map(value));
  return {
    id,
    title,
    iops: spread(({ iops }) => iops),
    megabytesPerSecond: spread(({ bytesPerSecond }) => bytesPerSecond / MEGABYTE),
    serverCores: spread(({ serverCores }) => serverCores),
    generatorCores: spread(({ generatorCores }) => generatorCores),
    otherCores: spread(({ otherCores }) => otherCores),
    iopsPerServerCore: spread(perCore),
    p50Us: spread(({ p50Us }) => p50Us),
    p99Us: spread(({ p99Us }) => p99Us),
    p999Us: spread(({ p999Us }) => p999Us),
    rounds,
  };
}

export function ratioOf(ours: Figures, theirs: Figures, value: (round: Measured) => number): Spread {
  return roundsRatio(ours.rounds.map(value), theirs.rounds.map(value));
}

/**
 * The ratio of `ours` to `theirs`: `median` is the ratio of the medians, `min` and `max` are the least and the greatest ratio of single
 * rounds.
 */
export function roundsRatio(ours: readonly number[], theirs: readonly number[]): Spread {
  const { min, max } = spreadOf(ours.map((one, index) => one / (theirs[index] ?? one)));
  return { median: spreadOf(ours).median / spreadOf(theirs).median, min, max };
}

/** Normal quantile of an interval that holds the true value in 95 of 100 cases. */
const QUANTILE = 1.96;

/**
 * The ratio of `ours` to `theirs` over many short rounds: `median` is the median of the ratios of single rounds, and `min` and `max` are
 * the interval that holds the true median in 95 of 100 cases (by ranks, so that rounds with a disturbance do not widen it). The machine
 * hardly changes its speed between two short rounds, so this function shows differences that ratios of medians do not show.
 */
export function pairsRatio(ours: readonly number[], theirs: readonly number[]): Spread {
  const ratios = ours.map((one, index) => one / (theirs[index] ?? one)).toSorted((a, b) => a - b);
  const { median } = spreadOf(ratios);
  const half = (QUANTILE * Math.sqrt(ratios.length)) / 2;
  const first = Math.max(0, Math.floor(ratios.length / 2 - half));
  const last = Math.min(ratios.length - 1, Math.ceil(ratios.length / 2 + half) - 1);
  return { median, min: ratios[first] ?? 0, max: ratios[last] ?? 0 };
}
