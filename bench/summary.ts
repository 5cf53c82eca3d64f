// Rounds into figures: median, least and most, and the ratio of the two servers. Pure.
// Rounds of one number ran one after the other: their ratio is the least disturbed by what else the machine does.

import type { Measured } from './load/orders.ts';
import type { Workload } from './workload.ts';

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export interface ContenderFigures {
  readonly name: string;
  readonly iops: Spread;
  readonly serverCores: Spread;
  readonly generatorCores: Spread;
  readonly otherCores: Spread;
  readonly iopsPerServerCore: Spread;
  readonly rounds: readonly Measured[];
}

export interface Comparison {
  readonly workload: Workload;
  readonly contenders: readonly [ContenderFigures, ContenderFigures];
  /** First over second: `median` of the medians, `min` and `max` of single rounds. */
  readonly iopsRatio: Spread;
  readonly perCoreRatio: Spread;
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? 0;
  const median = sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2;
  return { median, min: sorted[0] ?? 0, max: sorted[sorted.length - 1] ?? 0 };
}

function perCore({ iops, serverCores }: Measured): number {
  return serverCores > 0 ? iops / serverCores : 0;
}

export function figuresOf(name: string, rounds: readonly Measured[]): ContenderFigures {
  return {
    name,
    iops: spreadOf(rounds.map(({ iops }) => iops)),
    serverCores: spreadOf(rounds.map(({ serverCores }) => serverCores)),
    generatorCores: spreadOf(rounds.map(({ generatorCores }) => generatorCores)),
    otherCores: spreadOf(rounds.map(({ otherCores }) => otherCores)),
    iopsPerServerCore: spreadOf(rounds.map(perCore)),
    rounds,
  };
}

export function compare(workload: Workload, ours: ContenderFigures, theirs: ContenderFigures): Comparison {
  const ratio = (value: (measured: Measured) => number, medians: readonly [Spread, Spread]): Spread => {
    const { min, max } = spreadOf(ours.rounds.map((round, index) => value(round) / value(theirs.rounds[index] ?? round)));
    return { median: medians[0].median / medians[1].median, min, max };
  };
  return {
    workload,
    contenders: [ours, theirs],
    iopsRatio: ratio(({ iops }) => iops, [ours.iops, theirs.iops]),
    perCoreRatio: ratio(perCore, [ours.iopsPerServerCore, theirs.iopsPerServerCore]),
  };
}
