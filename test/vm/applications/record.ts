// What the server has recorded since a given moment: the lines that it got from the service at the moving address, and the reports of the
// nodes about their traces of the application. Pure, except for reading the files. Invariant: a node with any trace of the application
// counts.

import { ACKS, type AppScene, LINES, TRACES } from './scene.ts';

export interface Ack {
  readonly atMs: number;
  readonly number: number;
  readonly node: string;
}

export interface Trace {
  readonly atMs: number;
  readonly node: string;
  /** Such as `mount address unit`; empty: the node has nothing of the application. */
  readonly has: string;
}

export interface Record {
  /** The first entry is the last line before the moment. */
  readonly acks: readonly Ack[];
  readonly traces: readonly Trace[];
}

/** How many lines the two files have. */
export type Mark = readonly [acks: number, traces: number];

export async function marked({ server }: AppScene): Promise<Mark> {
  const [acks = 0, traces = 0] = (await server.run(`wc -l < ${ACKS}; wc -l < ${TRACES}`)).split('\n').map(Number);
  return [acks, traces];
}

export async function recordSince({ server }: AppScene, [acks, traces]: Mark): Promise<Record> {
  const lines = (await server.run(`tail -n +${Math.max(1, acks)} ${ACKS}`)).split('\n').filter(Boolean);
  const reports = (await server.run(`tail -n +${traces + 1} ${TRACES}`)).split('\n').filter(Boolean);
  return { acks: lines.map(ackOf), traces: reports.map(traceOf) };
}

function ackOf(line: string): Ack {
  const [atMs = '', number = '', node = ''] = line.split(' ');
  return { atMs: Number(atMs), number: Number(number), node };
}

function traceOf(line: string): Trace {
  const [atMs = '', node = '', ...has] = line.split(' ');
  return { atMs: Number(atMs), node, has: has.join(' ') };
}

/** The nodes in the order in which they wrote. */
export function writers({ acks }: Record): string[] {
  return acks.map(({ node }) => node).filter((node, index, all) => node !== all[index - 1]);
}

/** The nodes in the order in which they had traces. If two nodes have traces at the same time, their names alternate. */
export function owners({ traces }: Record): string[] {
  const own = traces.filter(({ has }) => has !== '').map(({ node }) => node);
  return own.filter((node, index) => node !== own[index - 1]);
}

/** The longest time between two lines, in ms. */
export function longestPauseMs({ acks }: Record): number {
  return Math.max(0, ...acks.map(({ atMs }, index) => atMs - (acks[index - 1]?.atMs ?? atMs)));
}

/**
 * Compares the volume with the lines that the server has got: each line must be on the volume, in order, and none may have come twice.
 * Returns the problems.
 */
export async function compared(scene: AppScene, volume: string): Promise<{ readonly problems: string[]; readonly lines: number }> {
  const { acks } = await recordSince(scene, [0, 0]);
  const written = volume.split('\n').filter(Boolean);
  const problems = acks.flatMap(({ number, node }, index) => {
    const before = acks[index - 1];
    if (before !== undefined && before.number >= number)
      return [`line ${number} of ${node} came after line ${before.number} of ${before.node}`];
    return written[number - 1] === `${number} ${node}`
      ? []
      : [`${LINES} has "${written[number - 1] ?? ''}" instead of "${number} ${node}"`];
  });
  return { problems, lines: acks.length };
}
