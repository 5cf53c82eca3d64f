// What a person reads: the surroundings, a table for each workload, the memory. Pure text; the same figures go to --json as they are.
// What may have disturbed the measuring is said beside the figures it disturbed.

import type { ServerMemory } from './memory.ts';
import type { Comparison, ContenderFigures, Spread } from './summary.ts';
import type { Plan } from './workload.ts';

export interface Surroundings {
  readonly node: string;
  readonly nbdkit: string;
  readonly kernel: string;
  readonly processor: string;
  readonly congestionControl: string;
  readonly serverCore: number;
  readonly generatorCore: number;
}

const MIB = 1024 * 1024;
/** From here on a core counts as busy all the time. */
const BUSY_CORES = 0.95;
/** Other programs that use more than this disturb the measuring. */
const DISTURBING_CORES = 0.15;
const MEMORY_AIM_MIB = 150;
const COLUMNS = [13, 30, 15, 17, 30] as const;

export function surroundingsText(about: Surroundings, plan: Plan): string {
  const { serverCore, generatorCore } = about;
  const cores =
    serverCore === generatorCore
      ? `server and load generator share core ${serverCore}: only one may be used here`
      : `server on core ${serverCore}, load generator on core ${generatorCore}`;
  return [
    `Node ${about.node}, ${about.nbdkit}, Linux ${about.kernel}, ${about.processor}`,
    `${cores}; TCP over loopback, congestion control ${about.congestionControl} for both`,
    `${plan.rounds} rounds in turn, each ${plan.windowMs / 1000} s after ${plan.warmUpMs / 1000} s of warming up; figures: median (least-most)`,
    '',
  ].join('\n');
}

export function comparisonText(comparison: Comparison): string {
  const { workload, contenders, iopsRatio, perCoreRatio } = comparison;
  const title = `${workload.title} of cached data, ${workload.depth} requests out on one connection`;
  const rows = [
    ['', 'IOPS', 'server cores', 'generator cores', 'IOPS per server core'],
    ...contenders.map((one) => [
      one.name,
      thousands(one.iops),
      cores(one.serverCores),
      cores(one.generatorCores),
      thousands(one.iopsPerServerCore),
    ]),
    ['ratio', factor(iopsRatio), '', '', factor(perCoreRatio)],
  ];
  const table = rows.map((cells) => `  ${cells.map((cell, column) => cell.padEnd(COLUMNS[column] ?? 0)).join('')}`.trimEnd());
  const rates = contenders.map((one) => `${one.name} ${Math.round((one.iops.median * workload.blockBytes) / MIB)} MiB/s`).join(', ');
  return [title, ...table, `  ${rates}`, ...contenders.flatMap(notesOn).map((note) => `  Note: ${note}`), ''].join('\n');
}

/** What a reader must know before believing the figures. */
function notesOn({ name, serverCores, generatorCores, otherCores }: ContenderFigures): string[] {
  const notes: string[] = [];
  if (generatorCores.median >= BUSY_CORES && serverCores.median < BUSY_CORES) {
    notes.push(`the load generator was the limit for ${name}: its core was busy and the server's was not; compare IOPS per server core`);
  }
  if (otherCores.median > DISTURBING_CORES) {
    notes.push(`other programs used ${otherCores.median.toFixed(2)} cores while ${name} was measured: absolute figures are too low`);
  }
  return notes;
}

export function memoryText(memory: ServerMemory): string {
  const { listenerBytes, workersBytes, helpersBytes, sumBytes, sparesBytes, spares } = memory;
  return [
    `Memory of rssrv at rest with one client (summed PSS; aim: under ${MEMORY_AIM_MIB} MiB)`,
    `  ${mib(sumBytes)}: listener ${mib(listenerBytes)}, the client's process ${mib(workersBytes)}, helpers ${mib(helpersBytes)}`,
    `  apart from ${spares} spare ${spares === 1 ? 'process' : 'processes'}: ${mib(sparesBytes)}`,
    '',
  ].join('\n');
}

function thousands({ median, min, max }: Spread): string {
  const text = (value: number): string => (value / 1000).toFixed(value < 100_000 ? 1 : 0);
  return `${text(median)}k (${text(min)}-${text(max)})`;
}

function cores({ median }: Spread): string {
  return median.toFixed(2);
}

function factor({ median, min, max }: Spread): string {
  return `${median.toFixed(2)} (${min.toFixed(2)}-${max.toFixed(2)})`;
}

function mib(bytes: number): string {
  return `${(bytes / MIB).toFixed(0)} MiB`;
}
