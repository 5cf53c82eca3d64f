// The goals and their results: ratios to other servers in the same run, and single figures. Pure.
// Invariant: a goal that was not measured is neither met nor missed.

import { HEAP_GOALS } from '@rsio/test/support/heap/heap-history';
import type { Measured } from './load/orders.ts';
import type { SectionName } from './sections.ts';
import { perCore, ratioOf, type RowFigures, type Spread } from './summary.ts';
import type { ServerId } from './workload.ts';

/** A goal for the figure of RSIO in one row, as a ratio to the figure of another server in the same row. */
export interface Goal {
  readonly row: string;
  readonly what: string;
  readonly peer: ServerId;
  readonly value: (round: Measured) => number;
  /** Bound for the figure of RSIO divided by that of the other server; higher is better, except for latency. */
  readonly ratio: number;
  readonly isLessBetter: boolean;
}

/** A goal for one figure of a section, as a bound. */
export interface FigureGoal {
  readonly section: SectionName;
  readonly what: string;
  readonly bound: number;
  /** Unit with a leading space: ` MiB`, ` x nbdkit`. */
  readonly unit: string;
  readonly digits: number;
  readonly isLessBetter: boolean;
}

export interface GoalResult {
  readonly what: string;
  /** The goal as text, such as `>= 2.5 x nbdkit`. */
  readonly aim: string;
  /** The measured figure; null: it was not measured in this run. */
  readonly measured: Spread | null;
  readonly digits: number;
  readonly isMet: boolean | null;
}

const iops = ({ iops: value }: Measured): number => value;

function more(row: string, what: string, peer: ServerId, ratio: number, value: Goal['value'] = perCore): Goal {
  return { row, what, peer, value, ratio, isLessBetter: false };
}

const READS = '8 KiB random reads, depth 128, IOPS per server core';
const WRITES = '8 KiB random writes, depth 128, IOPS per server core';

export const GOALS: readonly Goal[] = [
  more('read-8k-d128', READS, 'nbdkit', 2.3),
  more('read-8k-d128', READS, 'tgt', 4.5),
  more('read-8k-d128', READS, 'epoll-server', 0.8),
  more('write-8k-d128', WRITES, 'nbdkit', 2.4),
  more('write-8k-d128', WRITES, 'epoll-server', 0.75),
  more('read-8k-d128-x4', '4 clients on two cores, 8 KiB reads, depth 128, IOPS', 'nbdkit', 1.3, iops),
  { row: 'read-4k-d1', what: '4 KiB reads, depth 1, p50', peer: 'nbdkit', value: ({ p50Us }) => p50Us, ratio: 1.2, isLessBetter: true },
  more('seqread-1m-d8', '1 MiB sequential reads, per server core', 'epoll-server', 0.9),
  more('read-8k-d32-uncached', '8 KiB reads not cached, depth 32, IOPS', 'nbdkit', 1.1, iops),
];

const END_TO_END = { section: 'end-to-end', bound: 1.1, unit: ' x nbdkit', digits: 2, isLessBetter: false } as const;
const RELAY = { section: 'relay', unit: ' x relay', digits: 2, isLessBetter: false } as const;
const RELAY_LATENCY = { section: 'relay-latency', unit: ' x relay', digits: 2, isLessBetter: true } as const;
const MANY = { section: 'many', digits: 2, isLessBetter: true } as const;
const PROCESSES = { section: 'processes', bound: 1.2, unit: ' x one process', digits: 2, isLessBetter: true } as const;
const GATES = { section: 'gates', bound: 0.9, unit: ' x NBD', digits: 2, isLessBetter: false } as const;
const BESIDE_TGT = { section: 'gates', bound: 1, unit: ' x tgtd', digits: 2, isLessBetter: false } as const;
const UNSHAPED = { section: 'unshaped', bound: 1.5, unit: ' GB/s', digits: 2, isLessBetter: false } as const;
const ENCRYPTION = { section: 'encryption', digits: 2, isLessBetter: false } as const;
const MEMORY = { section: 'clients', unit: ' MiB', digits: 1, isLessBetter: true } as const;
const MIRRORS = { section: 'mirrors', digits: 2, isLessBetter: false } as const;
const METRICS = { section: 'metrics', bound: 0.98, unit: ' x without', digits: 3, isLessBetter: false } as const;
const GARBAGE = { section: 'garbage', bound: HEAP_GOALS.server, unit: ' bytes', digits: 0, isLessBetter: true } as const;
const PAUSE = { section: 'garbage', bound: 2, unit: ' ms', digits: 2, isLessBetter: true } as const;

export const FIGURE_GOALS = {
  tlsBesidePlain: { ...ENCRYPTION, what: 'TLS, the worst load: IOPS per server core', bound: 0.55, unit: ' x plain' },
  tlsBesideNbdkit: { ...ENCRYPTION, what: 'TLS on both, the worst load: IOPS per server core', bound: 1, unit: ' x nbdkit' },
  endToEndReads: { ...END_TO_END, what: 'fio, NBD frontend, one path, rssrv: 8 KiB reads, depth 32, IOPS' },
  endToEndWrites: { ...END_TO_END, bound: 0.9, what: 'fio, NBD frontend, one path, rssrv: 8 KiB writes, depth 32, IOPS' },
  endToEndBlockWrites: { ...END_TO_END, bound: 0.85, what: 'fio, block device, one path, rssrv: 8 KiB writes, depth 32, IOPS' },
  relayReads: { ...RELAY, bound: 0.8, what: 'rsiod alone, NBD to rssrv: 8 KiB reads, depth 32, IOPS per core of rsiod' },
  relayWrites: { ...RELAY, bound: 0.65, what: 'rsiod alone, NBD to rssrv: 8 KiB writes, depth 32, IOPS per core of rsiod' },
  relayNbdLatency: { ...RELAY_LATENCY, bound: 1.2, what: 'NBD frontend: 4 KiB, depth 1, p50, the worse of reads and writes' },
  relayBlockLatency: { ...RELAY_LATENCY, bound: 1.4, what: 'block device: 4 KiB, depth 1, p50, the worse of reads and writes' },
  manyPaths: { ...MANY, bound: 1.5, what: 'rsiod, 8 KiB, 8 paths: CPU time of rsiod for an I/O', unit: ' x one path' },
  manyConnections: {
    ...MANY,
    what: 'rsiod, 8 KiB, 64 connections of NBD beside one: growth of the CPU time for an I/O',
    bound: 1.7,
    unit: ' x that of the relay',
  },
  manyVolumes: {
    ...MANY,
    bound: 1.5,
    what: 'rsiod, 8 KiB, 100 volumes, 64 of them loaded: CPU time of rsiod for an I/O',
    unit: ' x one volume',
  },
  twoProcesses: { ...PROCESSES, what: 'rsiod, 8 KiB, 2 data processes, plain and TLS: CPU time of rsiod for an I/O' },
  fourProcesses: { ...PROCESSES, bound: 1.6, what: 'rsiod, 8 KiB, 4 data processes, plain and TLS: CPU time of rsiod for an I/O' },
  twoProcessesTls: { ...PROCESSES, what: 'rsiod, 8 KiB, 2 data processes, TLS: IOPS', bound: 1.15, isLessBetter: false },
  gateReads: { ...GATES, what: 'gate, NVMe/TCP: 8 KiB reads, depth 32, IOPS per core of rsiod' },
  gateWrites: { ...GATES, bound: 0.95, what: 'gate, NVMe/TCP: 8 KiB writes, depth 32, IOPS per core of rsiod' },
  gateLargeReads: { ...GATES, what: 'gate, NVMe/TCP: 1 MiB reads, per core of rsiod' },
  iscsiReads: { ...BESIDE_TGT, what: 'gate, iSCSI: 8 KiB reads, depth 32, IOPS per core with rssrv' },
  iscsiWrites: { ...BESIDE_TGT, what: 'gate, iSCSI: 8 KiB writes, depth 32, IOPS per core with rssrv' },
  iscsiLargeReads: { ...BESIDE_TGT, what: 'gate, iSCSI: 1 MiB reads, per core with rssrv' },
  clientCores: {
    section: 'links',
    what: 'rsiod over links, 1 MiB reads, NBD frontend: cores per 110 MB/s',
    bound: 0.08,
    unit: ' cores',
    digits: 3,
    isLessBetter: true,
  },
  nbdReads: { ...UNSHAPED, what: 'NBD frontend, unshaped: 1 MiB reads' },
  nbdWrites: { ...UNSHAPED, what: 'NBD frontend, unshaped: 1 MiB writes' },
  restart: {
    section: 'restart',
    what: 'time until 1,000 clients are all back after a server was killed',
    bound: 5,
    unit: ' s',
    digits: 1,
    isLessBetter: true,
  },
  ownMemory: { ...MEMORY, what: 'private memory of an idle client, a process of its own', bound: 12 },
  sharedMemory: { ...MEMORY, what: 'private memory of an idle client, shared processes', bound: 1 },
  mirrorReads: { ...MIRRORS, what: 'mirror, 1 Gbit/s to each server: 8 KiB reads, depth 32', bound: 1.3, unit: ' x one server' },
  mirrorLargeReads: { ...MIRRORS, what: 'mirror, 2 x 1 Gbit/s to each server: 1 MiB reads', bound: 1.9, unit: ' x one server' },
  mirrorWrites: { ...MIRRORS, what: 'mirror, 1 Gbit/s of the client: 8 KiB writes, depth 32', bound: 0.45, unit: ' x one server' },
  mirrorWriteLatency: { ...MIRRORS, what: 'mirror: 8 KiB writes, depth 1, p50', bound: 1.3, unit: ' x one server', isLessBetter: true },
  mirrorConfirmed: {
    ...MIRRORS,
    what: 'mirror, 1 Gbit/s to each server: confirmed 8 KiB reads, depth 32',
    bound: 0.9,
    unit: ' x local reads',
  },
  metricsClient: { ...METRICS, what: 'rsiod with 100 volumes, metrics read every second: IOPS per core of rsiod' },
  metricsServer: { ...METRICS, what: 'rssrv, metrics read every second: IOPS per server core' },
  limitsServer: {
    section: 'limits',
    bound: 0.98,
    unit: ' x without',
    digits: 3,
    isLessBetter: false,
    what: 'rssrv, limits set that are never reached: IOPS per server core',
  },
  farmIops: {
    section: 'farm',
    bound: 0.98,
    unit: ' x a local pool',
    digits: 3,
    isLessBetter: false,
    what: 'rssrv, shared pool, the worst load: IOPS per server core',
  },
  serverGarbage: { ...GARBAGE, what: 'heap allocated for each request, server process' },
  clientGarbageReads: { ...GARBAGE, bound: HEAP_GOALS.rsiodReads, what: 'heap allocated for each read, rsiod' },
  clientGarbageWrites: { ...GARBAGE, bound: HEAP_GOALS.rsiodWrites, what: 'heap allocated for each write, rsiod' },
  serverPauses: { ...PAUSE, what: 'garbage-collection pauses, p99.9, server process' },
  clientPauses: { ...PAUSE, what: 'garbage-collection pauses, p99.9, rsiod' },
} as const satisfies Readonly<Record<string, FigureGoal>>;

export type FigureName = keyof typeof FIGURE_GOALS;
export type GoalFigures = Readonly<Partial<Record<FigureName, Spread>>>;

function aimText(isLessBetter: boolean, text: string): string {
  return `${isLessBetter ? '<=' : '>='} ${text}`;
}

function isMet(measured: Spread | null, bound: number, isLessBetter: boolean): boolean | null {
  if (measured === null) return null;
  return isLessBetter ? measured.median <= bound : measured.median >= bound;
}

export function judge(goals: readonly Goal[], rows: readonly RowFigures[]): GoalResult[] {
  return goals.map(({ row: name, what, peer, value, ratio, isLessBetter }) => {
    const servers = rows.find(({ row }) => row.name === name)?.servers ?? [];
    const ours = servers.find(({ id }) => id === 'rssrv');
    const theirs = servers.find(({ id }) => id === peer);
    const measured = ours === undefined || theirs === undefined ? null : ratioOf(ours, theirs, value);
    return { what, aim: aimText(isLessBetter, `${ratio} x ${peer}`), measured, digits: 2, isMet: isMet(measured, ratio, isLessBetter) };
  });
}

export function judgeFigures(sections: ReadonlySet<SectionName>, figures: GoalFigures): GoalResult[] {
  return Object.entries(FIGURE_GOALS)
    .filter(([, { section }]) => sections.has(section))
    .map(([name, { what, bound, unit, digits, isLessBetter }]) => {
      const measured = figures[name as FigureName] ?? null;
      return { what, aim: aimText(isLessBetter, `${bound}${unit}`), measured, digits, isMet: isMet(measured, bound, isLessBetter) };
    });
}
