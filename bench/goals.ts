// What is aimed at, as ratios to other servers in the same run, and what came of it. Pure.
// Invariant: what was not measured is neither met nor missed.

import type { Measured } from './load/orders.ts';
import { perCore, ratioOf, type RowFigures, type Spread } from './summary.ts';
import type { ServerId } from './workload.ts';

export interface Goal {
  readonly row: string;
  readonly what: string;
  readonly peer: ServerId;
  readonly value: (round: Measured) => number;
  /** Ours over theirs: as good as this, or better; better is more, or (latency) less. */
  readonly ratio: number;
  readonly isLessBetter: boolean;
}

export interface GoalResult {
  readonly goal: Goal;
  /** null: not measured in this run. */
  readonly ratio: Spread | null;
  readonly isMet: boolean | null;
}

const iops = ({ iops: value }: Measured): number => value;

function more(row: string, what: string, peer: ServerId, ratio: number, value: Goal['value'] = perCore): Goal {
  return { row, what, peer, value, ratio, isLessBetter: false };
}

const READS = '8 KiB random reads, depth 128, IOPS per server core';
const WRITES = '8 KiB random writes, depth 128, IOPS per server core';

export const GOALS: readonly Goal[] = [
  more('read-8k-d128', READS, 'nbdkit', 2.5),
  more('read-8k-d128', READS, 'tgt', 4),
  more('read-8k-d128', READS, 'epoll-server', 0.75),
  more('write-8k-d128', WRITES, 'nbdkit', 2),
  more('write-8k-d128', WRITES, 'epoll-server', 0.7),
  more('read-8k-d128-x4', '4 clients on two cores, 8 KiB reads, depth 128, IOPS', 'nbdkit', 1.8, iops),
  { row: 'read-4k-d1', what: '4 KiB reads, depth 1, p50', peer: 'nbdkit', value: ({ p50Us }) => p50Us, ratio: 1.2, isLessBetter: true },
  more('seqread-1m-d8', '1 MiB sequential reads, per server core', 'epoll-server', 0.9),
  more('read-8k-d32-uncached', '8 KiB reads not cached, depth 32, IOPS', 'nbdkit', 1.1, iops),
];

export function judge(goals: readonly Goal[], rows: readonly RowFigures[]): GoalResult[] {
  return goals.map((goal) => {
    const servers = rows.find(({ row }) => row.name === goal.row)?.servers ?? [];
    const ours = servers.find(({ id }) => id === 'rssrv');
    const theirs = servers.find(({ id }) => id === goal.peer);
    if (ours === undefined || theirs === undefined) return { goal, ratio: null, isMet: null };
    const ratio = ratioOf(ours, theirs, goal.value);
    return { goal, ratio, isMet: goal.isLessBetter ? ratio.median <= goal.ratio : ratio.median >= goal.ratio };
  });
}
