// The cost of shared pools while nothing fails: of I/O (beside-local.ts), and at rest (heartbeat.ts). Needs root, because file systems are
// mounted.

import type { SectionContext, SectionResult } from '../section-run.ts';
import { leastOf } from '../summary.ts';
import { missingTool } from '../tools.ts';
import { besideLocal } from './beside-local.ts';
import { heartbeats } from './heartbeat.ts';

export async function measureFarm(context: SectionContext): Promise<SectionResult> {
  const missing = process.geteuid?.() === 0 ? missingTool('mkfs.xfs', 'xfsprogs') : 'file systems need root';
  if (missing !== null) return { sheets: [], figures: {}, absent: [`shared pools: ${missing}`] };
  const { sheet, ratios } = await besideLocal(context);
  const noPerf = missingTool('perf', 'linux-perf');
  const sheets = noPerf === null ? [sheet, await heartbeats(context)] : [sheet];
  const farmIops = leastOf(ratios);
  return { sheets, figures: { farmIops }, absent: noPerf === null ? [] : [`heartbeats of shared pools: ${noPerf}`] };
}
