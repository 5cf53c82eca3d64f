// 8 KiB reads and writes of a volume in a shared pool beside the same volume in a local pool. Three servers run beside each other: two with
// a local pool, whose ratio shows by how much two equal servers differ, and one with a shared pool. Invariants: in each round, every
// server gets the same load; the servers are started several times, because two processes with the same code are not equally fast.

import { spawnSync } from 'node:child_process';
import { closeSync, fsyncSync, openSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { RsError } from '@rsio/base/lib/errors';
import type { Host } from '@rsio/test/support/hosts/host';
import type { Hosts } from '@rsio/test/support/hosts/hosts';
import { LoadClient } from '../load/load-client.ts';
import type { Measured, Target } from '../load/orders.ts';
import { measure } from '../measure.ts';
import { pin, processTree } from '../proc.ts';
import { inScene } from '../scene.ts';
import type { SectionContext } from '../section-run.ts';
import type { Line, Sheet } from '../sheet.ts';
import { perCore, perRequestUs, type Spread, spreadOf } from '../summary.ts';
import { row, type Row } from '../workload.ts';
import { FarmDisks } from './disks.ts';
import { addLocalPool, addSharedPool, addVolume, DISK_BYTES, OWNERS, served, startServers } from './servers.ts';

const KIB = 1024;
const VOLUME_BYTES = 128 * KIB * KIB;
const POOL = 'fast';
/** In each start of the servers, each load has this many rounds of one window for each server. */
const TURNS = 20;
const WARM = { warmUpMs: 0, windowMs: 1_000 };
/** Short, because other programs of the machine then disturb the windows of one round alike. */
const WINDOW = { warmUpMs: 50, windowMs: 250 };

interface Load {
  readonly title: string;
  readonly shape: Row;
  /** True if the handle is read-only. The server then looks at the owner of the pool before each answer. */
  readonly isReadonly: boolean;
}

const [READS, READS_1] = [row('read', 8 * KIB, 32), row('read', 8 * KIB, 1)];
/** The goal applies to these loads. The loads at depth 32 come first, so that the server has compiled its code. */
const GOAL_LOADS: readonly Load[] = [READS, READS_1, row('write', 8 * KIB, 32), row('write', 8 * KIB, 1)].map((shape) => ({
  title: shape.title,
  shape,
  isReadonly: false,
}));
const OTHER_LOADS: readonly Load[] = [
  { title: `${READS.title}, not cached`, shape: { ...READS, order: 'once', isCached: false }, isReadonly: false },
  { title: `${READS_1.title}, read-only handle`, shape: READS_1, isReadonly: true },
  { title: `${READS.title}, read-only handle`, shape: READS, isReadonly: true },
];
const LOADS = [...GOAL_LOADS, ...OTHER_LOADS];

/** The column of the goal. */
const PER_CORE = 6;
const KINDS = ['local', 'second', 'shared'] as const;
type Kind = (typeof KINDS)[number];

interface Side {
  readonly target: Target;
  readonly dataFile: string;
  readonly host: Host;
}

/** A client that has opened the volume, and all processes of the server, including the one that serves this client. */
interface Opened extends Side {
  readonly client: LoadClient;
  readonly pids: readonly number[];
}

/** All windows of one start of the servers, for each load and kind of pool. */
type Start = ReadonlyMap<Load, Readonly<Record<Kind, readonly Measured[]>>>;

/** Returns the sheet, and the ratio of IOPS per server core for each load of the goal. */
export async function besideLocal(context: SectionContext): Promise<{ readonly sheet: Sheet; readonly ratios: readonly Spread[] }> {
  const starts: Start[] = [];
  for (let number = 0; number < context.plan.rounds; number++) starts.push(await inScene(context, ({ hosts }) => oneStart(hosts, context)));
  const lines = LOADS.map((load) => lineOf(load, starts));
  const columns = [
    { heading: 'IOPS, local', digits: 0 },
    { heading: 'IOPS, shared', digits: 0 },
    { heading: 'shared / local', digits: 3 },
    { heading: 'another local / local', digits: 3 },
    { heading: 'CPU us per request, local', digits: 2 },
    { heading: 'CPU us, shared', digits: 2 },
    { heading: 'IOPS per server core, shared / local', digits: 3 },
    { heading: 'another local / local', digits: 3 },
  ];
  const notes = [
    `${context.plan.rounds} starts of the servers with ${TURNS} rounds of ${WINDOW.windowMs} ms for each server, in turn`,
    'a ratio is the median of the ratios of all rounds, with the least and the greatest median of a start',
    'the disks are in memory; CPU times are those of rssrv, without threads of the kernel',
    'a read-only handle needs a look at the owner before each answer',
  ];
  const sheet = { name: 'farm', title: 'A volume in a shared pool beside one in a local pool', columns, lines, notes };
  return { sheet, ratios: lines.slice(0, GOAL_LOADS.length).flatMap(({ values }) => values[PER_CORE] ?? []) };
}

async function oneStart(hosts: Hosts, context: SectionContext): Promise<Start> {
  const disks = FarmDisks.make(hosts, context.parent);
  const sides = new Map<Kind, Side>();
  for (const kind of KINDS) sides.set(kind, await startSide(hosts, disks, kind));
  const start = new Map<Load, Record<Kind, Measured[]>>();
  for (const isReadonly of [false, true]) {
    const opened = new Map<Kind, Opened>();
    for (const [kind, side] of sides) opened.set(kind, await open(hosts, side, isReadonly, context));
    for (const load of LOADS.filter((one) => one.isReadonly === isReadonly)) start.set(load, await roundsOf(load, opened));
    for (const { client } of opened.values()) {
      await client.sweep('read');
      await client.stop();
    }
  }
  return start;
}

async function open(hosts: Hosts, side: Side, isReadonly: boolean, { cores }: SectionContext): Promise<Opened> {
  const plan = { client: 0, connections: 1, isReadonly, cores: [cores.load], dropped: side.dataFile };
  const client = await LoadClient.open(side.target, plan, VOLUME_BYTES);
  hosts.onClean(() => client.stop());
  // Every byte is written before the first window, because a hole costs a server less.
  if (!isReadonly) await client.sweep('write');
  const pids = processTree(side.host.pid('rssrv'));
  pin(pids, [cores.server]);
  return { ...side, client, pids };
}

async function startSide(hosts: Hosts, disks: FarmDisks, kind: Kind): Promise<Side> {
  const [server] = await startServers(hosts, disks, 1);
  const [device = ''] = disks.make(kind, DISK_BYTES);
  if (server === undefined) throw new RsError('E_INTERNAL', 'A server was started');
  const directory = await (kind === 'shared'
    ? addSharedPool(server, POOL, device, OWNERS.slice(0, 1))
    : addLocalPool(server, POOL, device));
  if (kind === 'shared') await served(server, POOL);
  const target = await addVolume(server, POOL, VOLUME_BYTES);
  const [id = ''] = readdirSync(join(directory, 'volumes'));
  return { target, dataFile: join(directory, 'volumes', id, 'data'), host: server.host };
}

async function roundsOf({ shape }: Load, opened: ReadonlyMap<Kind, Opened>): Promise<Record<Kind, Measured[]>> {
  const rounds: Record<Kind, Measured[]> = { local: [], second: [], shared: [] };
  const window = (kind: Kind, seed: number, times: typeof WINDOW): Promise<Measured> => {
    const { client, dataFile, pids } = opened.get(kind)!;
    if (!shape.isCached) dropCache(dataFile);
    return measure([client], shape, seed, times, pids);
  };
  for (const kind of KINDS) await window(kind, 0, WARM);
  for (let turn = 1; turn <= TURNS; turn++) {
    // The order alternates, so that no server always follows the same server.
    for (const kind of turn % 2 === 1 ? KINDS : KINDS.toReversed()) rounds[kind].push(await window(kind, turn, WINDOW));
  }
  return rounds;
}

/** Writes the pages of the file to the disk, and drops them from the cache. */
function dropCache(file: string): void {
  const descriptor = openSync(file, 'r+');
  fsyncSync(descriptor);
  closeSync(descriptor);
  const { status, stderr } = spawnSync('dd', [`if=${file}`, 'iflag=nocache', 'count=0', 'status=none'], { encoding: 'utf8' });
  if (status !== 0) throw new RsError('E_SYSTEM', `Cannot drop ${file} from the page cache: ${stderr}`);
}

function lineOf(load: Load, starts: readonly Start[]): Line {
  const rounds = (kind: Kind, some: readonly Start[]): readonly Measured[] => some.flatMap((start) => start.get(load)![kind]);
  /** The median of the ratios of all rounds; as bounds, the least and the greatest median of the rounds of a single start. */
  const ratio = (ours: Kind, value: (round: Measured) => number): Spread => {
    const of = (some: readonly Start[]): number => {
      const theirs = rounds('local', some).map(value);
      return spreadOf(rounds(ours, some).map((round, index) => value(round) / (theirs[index] ?? Number.NaN))).median;
    };
    const { min, max } = spreadOf(starts.map((start) => of([start])));
    return { median: of(starts), min, max };
  };
  const [local, shared] = [rounds('local', starts), rounds('shared', starts)];
  const values = [
    spreadOf(local.map(({ iops }) => iops)),
    spreadOf(shared.map(({ iops }) => iops)),
    ratio('shared', ({ iops }) => iops),
    ratio('second', ({ iops }) => iops),
    spreadOf(local.map(perRequestUs)),
    spreadOf(shared.map(perRequestUs)),
    ratio('shared', perCore),
    ratio('second', perCore),
  ];
  return { what: load.title, values };
}
