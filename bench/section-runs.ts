// Runs the sections one after the other and prints each result at once. A section that fails is named with the reason, and its goals count
// as not measured; the other sections continue.

import { toRsError } from '@rsio/base/lib/errors';
import { measureEndToEnd, measureLatency } from './client/beside-nbdkit.ts';
import { measureBusyPoll } from './client/busy-poll.ts';
import { measureGates } from './client/gates.ts';
import { measureRelay, measureRelayLatency } from './client/beside-relay.ts';
import { measureProcesses } from './client/processes.ts';
import { measureLinks } from './client/links.ts';
import { measureUnshaped } from './client/unshaped.ts';
import { measureEncryption } from './encryption/encryption.ts';
import { measureFarm } from './farm/farm.ts';
import { measureGarbage } from './garbage/garbage.ts';
import { measureLimits } from './limits/limits.ts';
import { measureMany } from './client/many.ts';
import { measureMap } from './map/map.ts';
import { measureMirrors } from './mirrors/mirrors.ts';
import { measureClients } from './scale/clients.ts';
import { measurePaths, measureVolumes } from './scale/cost.ts';
import { measureMetrics } from './scale/metrics.ts';
import { measureRestart } from './scale/restart.ts';
import type { SectionContext, SectionResult } from './section-run.ts';
import type { Section, SectionName } from './sections.ts';
import { sheetText } from './sheet.ts';

const RUNS: Readonly<Record<SectionName, (context: SectionContext) => Promise<SectionResult>>> = {
  encryption: measureEncryption,
  links: measureLinks,
  unshaped: measureUnshaped,
  latency: measureLatency,
  'end-to-end': measureEndToEnd,
  relay: measureRelay,
  'relay-latency': measureRelayLatency,
  'busy-poll': measureBusyPoll,
  many: measureMany,
  processes: measureProcesses,
  gates: measureGates,
  map: measureMap,
  clients: measureClients,
  restart: measureRestart,
  volumes: measureVolumes,
  paths: measurePaths,
  metrics: measureMetrics,
  limits: measureLimits,
  mirrors: measureMirrors,
  farm: measureFarm,
  garbage: measureGarbage,
};

/** Returns the figures of all sections. `isEnded`: true once the bench is ending; a failing section then ends the run. */
export async function runSections(sections: readonly Section[], context: SectionContext, isEnded: () => boolean): Promise<SectionResult> {
  const results: SectionResult[] = [];
  for (const { name, title } of sections) {
    const result = await RUNS[name](context).catch((error: unknown) => failed(title, error, isEnded()));
    results.push(result);
    for (const sheet of result.sheets) process.stdout.write(`\n${sheetText(sheet)}`);
    for (const sentence of result.absent) process.stdout.write(`Not measured: ${sentence}\n`);
  }
  return {
    sheets: results.flatMap(({ sheets }) => sheets),
    figures: Object.assign({}, ...results.map(({ figures }) => figures)) as SectionResult['figures'],
    absent: results.flatMap(({ absent }) => absent),
  };
}

function failed(title: string, error: unknown, isEnded: boolean): SectionResult {
  if (isEnded) throw error;
  return { sheets: [], figures: {}, absent: [`${title}: it failed: ${toRsError(error).message.trim()}`] };
}
