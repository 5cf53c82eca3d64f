// The cost of a request at the server when one client opens more volumes or uses more paths: the load on the same bytes is spread over more
// files or connections.

import { LoadClient } from '../load/load-client.ts';
import { measure } from '../measure.ts';
import { inScene } from '../scene.ts';
import type { SectionContext, SectionResult } from '../section-run.ts';
import type { SectionName } from '../sections.ts';
import type { Line } from '../sheet.ts';
import { perRequestUs, roundsRatio, spreadOf } from '../summary.ts';
import { row } from '../workload.ts';
import { rssrvScene } from './rssrv-scene.ts';

const KIB = 1024;
const DEPTH = 128;
const WARM_UP_MS = 1_000;

const COLUMNS = [
  { heading: 'IOPS', digits: 0 },
  { heading: 'CPU us per request', digits: 2 },
  { heading: 'x the first', digits: 2 },
];

interface Count {
  readonly what: string;
  readonly volumes: number;
  readonly paths: number;
}

interface Measured {
  readonly iops: readonly number[];
  readonly costUs: readonly number[];
}

export function measureVolumes(context: SectionContext): Promise<SectionResult> {
  const counts = context.plan.volumes.map((volumes) => ({ what: plural(volumes, 'volume'), volumes, paths: 1 }));
  return measureCounts(context, 'volumes', 'One client, one path, 8 KiB random reads over all of its volumes', counts);
}

export function measurePaths(context: SectionContext): Promise<SectionResult> {
  const counts = context.plan.paths.map((paths) => ({ what: plural(paths, 'path'), volumes: 1, paths }));
  return measureCounts(context, 'paths', 'One client, one volume, 8 KiB random reads over all of its paths', counts);
}

async function measureCounts(context: SectionContext, name: SectionName, title: string, counts: readonly Count[]): Promise<SectionResult> {
  const all: Measured[] = [];
  for (const count of counts) all.push(await measureCount(context, count));
  const [first] = all;
  const lines = all.map(({ iops, costUs }, index): Line => {
    const ratio = first === undefined || index === 0 ? null : roundsRatio(costUs, first.costUs);
    return { what: counts[index]?.what ?? '', values: [spreadOf(iops), spreadOf(costUs), ratio] };
  });
  const sheet = { name, title: `${title}, ${DEPTH} in flight`, columns: COLUMNS, lines, notes: [] };
  return { sheets: [sheet], figures: {}, absent: [] };
}

function measureCount(context: SectionContext, { volumes, paths }: Count): Promise<Measured> {
  return inScene(context, async ({ hosts }) => {
    const { plan, cores, parent } = context;
    const scene = await rssrvScene(hosts, parent, 1, volumes);
    const load = await LoadClient.open(scene.target, {
      client: 0,
      connections: paths,
      isReadonly: true,
      cores: [cores.server, cores.load],
    });
    hosts.onClean(() => load.stop());
    const rounds = [];
    // Reads and compares every byte once, which shows that the load reads the right volumes.
    await load.sweep('read');
    for (let round = 1; round <= plan.rounds; round++) {
      const times = { warmUpMs: WARM_UP_MS, windowMs: plan.seconds * 1000 };
      rounds.push(await measure([load], row('read', 8 * KIB, DEPTH), round, times, scene.processes()));
    }
    return { iops: rounds.map(({ iops }) => iops), costUs: rounds.map(perRequestUs) };
  });
}

function plural(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
