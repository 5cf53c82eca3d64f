// The throughput of 1 MiB requests through the NBD socket of rsiod without a shaped link. The load comes from the bench's own generator,
// which needs the least CPU time, from fio, and from nbdcopy. rssrv, rsiod and the load share the machine's cores.

import { runWell } from '@rsio/test/support/programs/programs';
import { LoadClient } from '../load/load-client.ts';
import { measure } from '../measure.ts';
import { cpuSecondsBetween, cpuTimeOf, processTree } from '../proc.ts';
import { dataFile, EXPORT, inScene } from '../scene.ts';
import type { SectionContext, SectionResult } from '../section-run.ts';
import { type Spread, spreadOf } from '../summary.ts';
import { missingFio, missingTool } from '../tools.ts';
import { FILE_BYTES, row } from '../workload.ts';
import { runFioAt } from './fio-targets.ts';
import { type LocalPair, localPair } from './local-pair.ts';

interface Moved {
  readonly bytesPerSecond: number;
  readonly cpuSecondsPerByte: number;
}

interface Tool {
  readonly title: string;
  /** Why the tool cannot be used; null: it can be used. */
  readonly missing: string | null;
  move(kind: Kind, round: number): Promise<Moved>;
}

const KINDS = ['read', 'write'] as const;
type Kind = (typeof KINDS)[number];

const MIB = 1024 * 1024;
const DEPTH = 8;
const FIGURES = { read: 'nbdReads', write: 'nbdWrites' } as const;

export async function measureUnshaped(context: SectionContext): Promise<SectionResult> {
  return inScene(context, async ({ hosts }) => {
    const pair = await localPair(hosts, context.parent, { wantsDevices: false });
    const other = dataFile(hosts, context.parent);
    const both = [context.cores.server, context.cores.load];
    const load = await LoadClient.open(pair.target, { client: 0, connections: 1, isReadonly: false, cores: both });
    hosts.onClean(() => load.stop());
    const tools = [generator(load, pair, context), fio(pair, context), nbdcopy(pair, other)];
    const here = tools.filter(({ missing }) => missing === null);
    const lines = [];
    const figures: Record<string, Spread> = {};
    for (const kind of KINDS) {
      const rounds = new Map<Tool, Moved[]>(here.map((tool) => [tool, []]));
      for (const tool of here) await tool.move(kind, 0);
      for (let round = 1; round <= context.plan.rounds; round++) {
        for (const [tool, moved] of rounds) moved.push(await tool.move(kind, round));
      }
      for (const [{ title }, moved] of rounds) {
        const rate = spreadOf(moved.map(({ bytesPerSecond }) => bytesPerSecond / 1e9));
        if (title === GENERATOR) figures[FIGURES[kind]] = rate;
        const cores = spreadOf(moved.map(({ cpuSecondsPerByte }) => cpuSecondsPerByte * 1e9));
        lines.push({ what: `${kind}s, ${title}`, values: [rate, cores] });
      }
    }
    const columns = [
      { heading: 'GB/s', digits: 2 },
      { heading: 'rsiod: CPU seconds per GB', digits: 2 },
    ];
    const notes = ['the goal counts the load generator; fio and nbdcopy have one thread, so that their figures measure them as well'];
    const sheet = {
      name: 'unshaped',
      title: `1 MiB sequential requests through the NBD socket, ${DEPTH} in flight`,
      columns,
      lines,
      notes,
    };
    const absent = tools.flatMap(({ title, missing }) => (missing === null ? [] : [`${title} at the NBD socket: ${missing}`]));
    return { sheets: [sheet], figures, absent };
  });
}

const GENERATOR = 'load generator';

function generator(load: LoadClient, { host }: LocalPair, { plan }: SectionContext): Tool {
  return {
    title: GENERATOR,
    missing: null,
    move: async (kind, round) => {
      const shape = row(kind === 'read' ? 'seqread' : 'seqwrite', MIB, DEPTH);
      const times = { warmUpMs: 300, windowMs: plan.seconds * 1000 };
      const { bytesPerSecond, serverCores } = await measure([load], shape, round, times, processTree(host.pid('rsiod')));
      return { bytesPerSecond, cpuSecondsPerByte: serverCores / bytesPerSecond };
    },
  };
}

function fio({ nbd, host }: LocalPair, { plan }: SectionContext): Tool {
  return {
    title: 'fio',
    missing: missingFio(),
    move: async (kind) => {
      const words = [`--rw=${kind}`, '--bs=1m', `--iodepth=${DEPTH}`];
      const run = { words, size: `${FILE_BYTES}`, seconds: plan.seconds, rampSeconds: 0 };
      const { bw_bytes, io_bytes, cpuSeconds } = await runFioAt(nbd, run, processTree(host.pid('rsiod')));
      return { bytesPerSecond: bw_bytes, cpuSecondsPerByte: cpuSeconds / io_bytes };
    },
  };
}

/**
 * Makes the tool nbdcopy. nbdcopy reads the whole volume once and discards the data, or copies the file `other`, which has the same size,
 * to the volume.
 */
function nbdcopy({ host }: LocalPair, other: string): Tool {
  const uri = host.nbdUri(EXPORT);
  return {
    title: 'nbdcopy',
    missing: missingTool('nbdcopy', 'libnbd-bin'),
    move: async (kind) => {
      const before = cpuTimeOf(processTree(host.pid('rsiod')));
      const sinceMs = performance.now();
      const way = kind === 'read' ? [uri, 'null:'] : [other, uri];
      await runWell('nbdcopy', [`--request-size=${MIB}`, `--requests=${DEPTH}`, ...way]);
      const seconds = (performance.now() - sinceMs) / 1000;
      const cpuSeconds = cpuSecondsBetween(before, cpuTimeOf(processTree(host.pid('rsiod'))));
      return { bytesPerSecond: FILE_BYTES / seconds, cpuSecondsPerByte: cpuSeconds / FILE_BYTES };
    },
  };
}
