// A mirror over two servers beside a volume of one of these servers, and confirmed reads beside local reads. One client has attached all
// volumes, and they get the same load one after another in each round. scenes.ts has the links between client and servers.

import { whyNoNetlab } from '@rsio/test/support/netlab/netns';
import type { FigureName } from '../goals.ts';
import type { LoadShape, Measured } from '../load/orders.ts';
import type { SectionContext, SectionResult } from '../section-run.ts';
import type { Line } from '../sheet.ts';
import { roundsRatio, type Spread, spreadOf } from '../summary.ts';
import { missingTool } from '../tools.ts';
import { row } from '../workload.ts';
import { type ArrangementName, ARRANGEMENTS, type MirrorStage, onStage, type VolumeName } from './scenes.ts';

const KIB = 1024;
const WARM_ROUNDS = 1;
/** Windows are short, because the windows of two volumes alternate. */
const WINDOW_SECONDS = 2;

interface Comparison {
  readonly what: string;
  readonly arrangement: ArrangementName;
  readonly shape: LoadShape;
  readonly ours: VolumeName;
  readonly theirs: VolumeName;
  readonly unit: 'MB/s' | 'p50 us';
  readonly figure: FigureName | null;
}

const READS = row('read', 8 * KIB, 32);
const WRITES = row('write', 8 * KIB, 32);
const SINGLE_WRITES = row('write', 8 * KIB, 1);
const SINGLE_READS = row('read', 8 * KIB, 1);
const LARGE_READS = row('seqread', KIB * KIB, 16);
const LARGE_WRITES = row('seqwrite', KIB * KIB, 16);

function beside(
  arrangement: ArrangementName,
  what: string,
  shape: LoadShape,
  figure: FigureName | null,
  unit: Comparison['unit'] = 'MB/s',
): Comparison {
  return { what, arrangement, shape, figure, unit, ours: 'mirror', theirs: 'single' };
}

function confirmed(arrangement: ArrangementName, figure: FigureName | null): Comparison {
  const what = '8 KiB reads, depth 32, confirmed beside local reads of a mirror';
  return { what, arrangement, shape: READS, figure, unit: 'MB/s', ours: 'mirror', theirs: 'local' };
}

const COMPARISONS: readonly Comparison[] = [
  beside('own', '8 KiB reads, depth 32', READS, 'mirrorReads'),
  beside('own', '8 KiB writes, depth 32', WRITES, null),
  confirmed('own', 'mirrorConfirmed'),
  beside('two', '1 MiB reads, depth 16', LARGE_READS, 'mirrorLargeReads'),
  beside('two', '1 MiB writes, depth 16', LARGE_WRITES, null),
  beside('shared', '8 KiB writes, depth 32', WRITES, 'mirrorWrites'),
  beside('loopback', '8 KiB writes, depth 1', SINGLE_WRITES, 'mirrorWriteLatency', 'p50 us'),
  beside('loopback', '8 KiB reads, depth 1', SINGLE_READS, null, 'p50 us'),
  beside('loopback', '8 KiB reads, depth 32', READS, null),
  beside('loopback', '8 KiB writes, depth 32', WRITES, null),
  confirmed('loopback', null),
];

export async function measureMirrors(context: SectionContext): Promise<SectionResult> {
  const noLinks = (await whyNoNetlab()) ?? missingTool('tc', 'iproute2');
  const lines: Line[] = [];
  const figures: Partial<Record<FigureName, Spread>> = {};
  for (const name of new Set(COMPARISONS.map(({ arrangement }) => arrangement))) {
    if (ARRANGEMENTS[name].needsLinks && noLinks !== null) continue;
    await onStage(context, name, async (stage) => {
      for (const one of COMPARISONS.filter(({ arrangement }) => arrangement === name)) {
        const { line, ratio } = await compare(stage, one, context);
        lines.push(line);
        if (one.figure !== null) figures[one.figure] = ratio;
      }
    });
  }
  const columns = [
    { heading: 'mirror', digits: 1 },
    { heading: 'beside', digits: 1 },
    { heading: 'ratio', digits: 2 },
    { heading: 'cores of rsiod', digits: 2 },
    { heading: 'all cores', digits: 2 },
  ];
  const notes = ['pools in memory; three servers, rsiod, the load and the links share the cores of this machine'];
  const sheet = { name: 'mirrors', title: 'A mirror over two servers beside a volume of one server', columns, lines, notes };
  return { sheets: [sheet], figures, absent: noLinks === null ? [] : [`mirrors over links: ${noLinks}`] };
}

async function compare(
  stage: MirrorStage,
  { what, arrangement, shape, ours, theirs, unit }: Comparison,
  { plan }: SectionContext,
): Promise<{ line: Line; ratio: Spread }> {
  const rounds = new Map<VolumeName, Measured[]>([
    [ours, []],
    [theirs, []],
  ]);
  for (let round = 0; round < WARM_ROUNDS; round++) for (const name of rounds.keys()) await stage.window(name, shape, round, 1);
  for (let round = 1; round <= plan.rounds; round++) {
    for (const [name, measured] of rounds) measured.push(await stage.window(name, shape, round, WINDOW_SECONDS));
  }
  const value = ({ bytesPerSecond, p50Us }: Measured): number => (unit === 'MB/s' ? bytesPerSecond / 1e6 : p50Us);
  const [mine, others] = [rounds.get(ours)!, rounds.get(theirs)!];
  const ratio = roundsRatio(mine.map(value), others.map(value));
  const values = [
    spreadOf(mine.map(value)),
    spreadOf(others.map(value)),
    ratio,
    spreadOf(mine.map(({ serverCores }) => serverCores)),
    spreadOf(mine.map(({ serverCores, generatorCores, otherCores }) => serverCores + generatorCores + otherCores)),
  ];
  return { line: { what: `${what}, ${unit}, ${ARRANGEMENTS[arrangement].title}`, values }, ratio };
}
