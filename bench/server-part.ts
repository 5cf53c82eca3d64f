// The part that compares servers: one stage for cached rows and one for uncached rows. Each stage has its own data file, and starts all
// servers on this file. Prints each row when it has been measured.

import { rmSync } from 'node:fs';
import os from 'node:os';
import { ServerComparison } from './comparison.ts';
import { newFolder } from './data-folder.ts';
import type { ServerMemory } from './memory.ts';
import { networkText } from './network.ts';
import { absentText, memoryText, rowText, type Environment } from './report.ts';
import type { SectionContext } from './section-run.ts';
import type { Absent, Present } from './servers/makers.ts';
import type { RowFigures } from './summary.ts';
import type { Plan } from './workload.ts';

export interface ServerFigures {
  readonly network: string;
  readonly failed: readonly Absent[];
  readonly rows: readonly RowFigures[];
  readonly memory: ServerMemory | null;
}

type Endings = SectionContext['endings'];

/** Removes absent servers from the rows. A row in which only RSIO, or only other servers, can be measured has no comparison. */
export function withoutAbsent(plan: Plan, present: readonly Present[]): Plan {
  const here = new Set(present.map(({ maker }) => maker.id));
  return { ...plan, rows: plan.rows.map((row) => ({ ...row, servers: row.servers.filter((id) => here.has(id)) })) };
}

export async function compareServers(
  plan: Plan,
  present: readonly Present[],
  about: Environment,
  parent: string,
  endings: Endings,
): Promise<ServerFigures> {
  const stages = [
    { folder: parent, rows: plan.rows.filter(({ isCached }) => isCached) },
    { folder: os.tmpdir(), rows: plan.rows.filter(({ isCached }) => !isCached) },
  ];
  const results: ServerFigures[] = [];
  for (const { folder, rows } of stages) {
    if (rows.length > 0) results.push(await measureStage({ ...plan, rows }, present, about, folder, endings));
  }
  const [{ network, memory } = { network: '', memory: null }] = results;
  if (memory !== null) process.stdout.write(`\n${memoryText(memory)}`);
  return { network, failed: results.flatMap(({ failed }) => failed), rows: results.flatMap(({ rows }) => rows), memory };
}

async function measureStage(
  plan: Plan,
  present: readonly Present[],
  about: Environment,
  parent: string,
  endings: Endings,
): Promise<ServerFigures> {
  const ids = new Set(plan.rows.flatMap(({ servers }) => servers));
  const directory = newFolder(parent);
  endings.push(() => rmSync(directory, { recursive: true, force: true }));
  const here = present.filter(({ maker }) => ids.has(maker.id));
  const comparison = await ServerComparison.start(directory, here, { server: about.serverCore, load: about.loadCore }, endings);
  process.stdout.write(absentText(comparison.absent));
  await comparison.check();
  const network = networkText(comparison.congestion);
  process.stdout.write(`\n${network}; file in ${parent}\n`);
  const memory = comparison.memory();
  const rows: RowFigures[] = [];
  for (const row of plan.rows) {
    const figures = await comparison.measureRow(row, plan);
    rows.push(figures);
    process.stdout.write(`\n${rowText(figures)}`);
  }
  await comparison.check();
  await comparison.stop();
  return { network, failed: comparison.absent, memory, rows };
}
