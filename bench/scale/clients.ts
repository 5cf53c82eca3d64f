// One to a thousand clients on one server: the private memory of the server processes while all clients are idle, then the total IOPS and
// the cost of a request while each client keeps a few requests in flight. Each number of clients gets a server that has just started.

import { setTimeout as after } from 'node:timers/promises';
import { processesDefault } from '@rsio/common/config/reader/rssrvcfg';
import { measure, warmUp } from '../measure.ts';
import { memoryOf, type ServerMemory } from '../memory.ts';
import { privateBytesOf } from '../proc.ts';
import { inScene } from '../scene.ts';
import type { SectionContext, SectionResult } from '../section-run.ts';
import type { Line } from '../sheet.ts';
import { once, perRequestUs, type Spread, spreadOf } from '../summary.ts';
import { row } from '../workload.ts';
import { openSessions } from './many-sessions.ts';
import { rssrvScene } from './rssrv-scene.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
/** Time after which all sessions have started and only send heartbeats. */
const SETTLED_MS = 3_000;
/** Requests that each client keeps in flight. */
const DEPTH = 4;
/** CPU time of each process before its load counts, as in the rows of the comparison. */
const WARM_CPU_MS = 250;
const WARMING = { windowMs: 1_000, windowsMax: 30 };
const WARM_UP_MS = 300;

interface CountFigures {
  readonly clients: number;
  readonly memory: ServerMemory;
  readonly iops: Spread;
  readonly costUs: Spread;
}

export async function measureClients(context: SectionContext): Promise<SectionResult> {
  const all: CountFigures[] = [];
  for (const count of context.plan.clients) all.push(await measureCount(context, count));
  const own = all.findLast(({ clients }) => clients <= processesDefault());
  const shared = all.findLast(({ clients }) => clients > processesDefault());
  const columns = [
    { heading: 'processes', digits: 0 },
    { heading: 'private MiB per client', digits: 2 },
    { heading: 'MiB of the listener', digits: 0 },
    { heading: 'IOPS in total', digits: 0 },
    { heading: 'CPU us per request', digits: 2 },
  ];
  const title = `Clients of one path on one server, idle, then each with ${DEPTH} random reads of 8 KiB in flight`;
  const sheet = { name: 'clients', title, columns, lines: all.map(lineOf), notes: notesOn(own, shared) };
  const figures = {
    ...(own === undefined ? {} : { ownMemory: memoryEach(own) }),
    ...(shared === undefined ? {} : { sharedMemory: memoryEach(shared) }),
  };
  return { sheets: [sheet], figures, absent: [] };
}

function measureCount(context: SectionContext, clients: number): Promise<CountFigures> {
  return inScene(context, async ({ hosts }) => {
    const { plan, cores, parent } = context;
    const scene = await rssrvScene(hosts, parent, clients);
    const both = [cores.server, cores.load];
    const loads = await openSessions(hosts, scene.target, scene.target.volume, clients, both);
    await after(SETTLED_MS);
    const memory = memoryOf(scene.processes(), scene.file, privateBytesOf);
    const shape = { ...row('read', 8 * KIB, 1), depth: (DEPTH * clients) / loads.length };
    await warmUp(loads, shape, scene.processes(), { ...WARMING, cpuMs: WARM_CPU_MS * memory.workers });
    const rounds = [];
    for (let round = 1; round <= plan.rounds; round++) {
      rounds.push(await measure(loads, shape, round, { warmUpMs: WARM_UP_MS, windowMs: plan.seconds * 1000 }, scene.processes()));
    }
    return { clients, memory, iops: spreadOf(rounds.map(({ iops }) => iops)), costUs: spreadOf(rounds.map(perRequestUs)) };
  });
}

/** Memory of the processes that serve clients, and of their helpers. */
function bytesOf({ memory }: CountFigures): number {
  return memory.workersBytes + memory.helpersBytes;
}

function memoryEach(figures: CountFigures): Spread {
  return once(bytesOf(figures) / figures.clients / MIB);
}

function lineOf(figures: CountFigures): Line {
  const { clients, memory, iops, costUs } = figures;
  return {
    what: clients === 1 ? '1 client' : `${clients} clients`,
    values: [once(memory.workers), memoryEach(figures), once(memory.listenerBytes / MIB), iops, costUs],
  };
}

function notesOn(own: CountFigures | undefined, shared: CountFigures | undefined): string[] {
  if (own === undefined || shared === undefined) return [];
  const process = bytesOf(own) / own.clients;
  const further = (bytesOf(shared) - shared.memory.workers * process) / (shared.clients - shared.memory.workers);
  return [
    `of ${shared.clients} clients, each one beyond the first in its process adds ${(further / MIB).toFixed(2)} MiB; \`processes\` has its default, ${processesDefault()}`,
  ];
}
