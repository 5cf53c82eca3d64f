// The map of one I/O lists what a READ and a WRITE cost the client beside the relay in C, through the NBD socket and the block device, at
// depth 1 and 32: system calls, wake-ups, turns of the event loop, CPU time in the kernel and outside, bytes copied, and the functions that
// take the time. All figures cover the client's processes only. Each kind of figure has its own window, so that counting does not affect
// the times.

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { waitFor } from '@rsio/test/support/programs/wait-for';
import { relayScene } from '../client/beside-relay.ts';
import { type FioTarget, runFioAt } from '../client/fio-targets.ts';
import { LoadClient } from '../load/load-client.ts';
import type { Target } from '../load/orders.ts';
import { benchFolder } from '../native/compile.ts';
import { cpuSecondsBetween, cpuTimeOf, processTree, wakeUpsOf } from '../proc.ts';
import { inScene } from '../scene.ts';
import type { SectionContext, SectionResult } from '../section-run.ts';
import type { Line, Sheet } from '../sheet.ts';
import { once, spreadOf } from '../summary.ts';
import { missingFio, missingTool } from '../tools.ts';
import { row } from '../workload.ts';
import type { Probed } from './probed.ts';
import { SAMPLE_KINDS, samplesDuring } from './samples.ts';
import { type Calls, callsDuring } from './syscalls.ts';

interface Shape {
  readonly kind: 'read' | 'write';
  readonly blockBytes: number;
  readonly depth: number;
}

/** A way through a client, and a load on it. */
interface Way {
  readonly title: string;
  readonly pids: () => readonly number[];
  /** Processes with the probe; empty if the client has no JavaScript. */
  readonly probed: () => readonly number[];
  /** Runs the load, and returns the number of answered requests. */
  run(shape: Shape, seconds: number): Promise<number>;
}

interface Cost {
  readonly calls: Calls;
  readonly wakeUps: number;
  readonly cpuUs: number;
}

const KIB = 1024;
const SHAPES: readonly Shape[] = (['read', 'write'] as const).flatMap((kind) =>
  [4 * KIB, 8 * KIB].flatMap((blockBytes) => [1, 32].map((depth) => ({ kind, blockBytes, depth }))),
);
const PROFILED: Shape = { kind: 'write', blockBytes: 8 * KIB, depth: 32 };
const PROFILED_READ: Shape = { ...PROFILED, kind: 'read' };
const SECONDS = 1;
const WARM_SECONDS = 2;
const PROFILE_SECONDS = 3;
/** Time between the signal that starts the probe and the load. */
const BEGUN_MS = 100;
const WRITTEN_MS = 10_000;
const SIZE = '512m';
const MICROSECONDS = 1e6;

const COLUMNS = [
  { heading: 'system calls', digits: 2 },
  { heading: 'waits', digits: 2 },
  { heading: 'receives', digits: 2 },
  { heading: 'sends', digits: 2 },
  { heading: 'futexes', digits: 2 },
  { heading: 'wake-ups', digits: 2 },
  { heading: 'turns of the loop', digits: 2 },
  { heading: 'CPU us', digits: 1 },
  { heading: 'kernel: copies', digits: 1 },
  { heading: 'kernel: rest', digits: 1 },
  { heading: 'memory copies', digits: 1 },
  { heading: 'JavaScript', digits: 1 },
  { heading: 'other code', digits: 1 },
  { heading: 'bytes copied per byte', digits: 2 },
];

export async function measureMap(context: SectionContext): Promise<SectionResult> {
  const reason = missingFio() ?? missingTool('perf', 'linux-perf');
  if (reason !== null) return { sheets: [], figures: {}, absent: [`the map of one I/O: ${reason}`] };
  return inScene(context, async ({ hosts }) => {
    const folder = mkdtempSync(join(os.tmpdir(), 'rsio-map-'));
    hosts.onClean(() => rmSync(folder, { recursive: true, force: true }));
    const { pair, relay } = await withProbe(folder, () => relayScene(hosts, context.parent, true));
    const rsiod = (): readonly number[] => processTree(pair.host.pid('rsiod'));
    const probed = (): readonly number[] => rsiod().filter((pid) => existsSync(join(folder, `${pid}.there`)));
    const load = async (target: Target): Promise<Way['run']> => {
      const { server, load: other } = context.cores;
      const client = await LoadClient.open(target, { client: 0, connections: 1, isReadonly: false, cores: [server, other] });
      hosts.onClean(() => client.stop());
      return loadWith(client);
    };
    const [, block] = pair.devices;
    const ways: Way[] = [
      { title: 'relay in C', pids: () => [relay.pid], probed: () => [], run: await load(relay.target) },
      { title: 'rsiod, NBD socket', pids: rsiod, probed, run: await load(pair.target) },
      ...(block === undefined ? [] : [{ title: block.title, pids: rsiod, probed, run: fioWith(block) }]),
    ];
    for (const way of ways) for (const shape of [PROFILED, PROFILED_READ]) await way.run(shape, WARM_SECONDS);
    const lines: Line[] = [];
    for (const shape of SHAPES) for (const way of ways) lines.push(await lineOf(way, shape, folder, context.plan.rounds));
    const notes = [
      'for each I/O, of all processes of the client; the five columns behind CPU us are its parts, in us',
      'work of the kernel for the block device in threads of its own is not counted',
    ];
    const sheet: Sheet = { name: 'map', title: 'What one I/O costs the client', columns: COLUMNS, lines, notes };
    const profiles: Sheet[] = [];
    for (const way of ways) {
      if (way.probed().length === 0) continue;
      for (const shape of [PROFILED_READ, PROFILED]) profiles.push(profileSheet(way, shape, await probe(way, shape, folder, true)));
    }
    const absent = pair.noDevices === null ? [] : [`the map of one I/O of the block device: ${pair.noDevices}`];
    return { sheets: [sheet, ...profiles], figures: {}, absent };
  });
}

/** Calls `start`. Each program that `start` runs loads the probe. */
async function withProbe<T>(folder: string, start: () => Promise<T>): Promise<T> {
  const before = process.env['NODE_OPTIONS'];
  const file = pathToFileURL(join(benchFolder(), 'dist/map/map-probe.js')).href;
  process.env['NODE_OPTIONS'] = `${before ?? ''} --import=${file}`.trim();
  process.env['RSIO_BENCH_MAP'] = folder;
  try {
    return await start();
  } finally {
    delete process.env['RSIO_BENCH_MAP'];
    if (before === undefined) delete process.env['NODE_OPTIONS'];
    else process.env['NODE_OPTIONS'] = before;
  }
}

function loadWith(client: LoadClient): Way['run'] {
  return async ({ kind, blockBytes, depth }, seconds) => {
    const { requests } = await client.run(row(kind, blockBytes, depth), 1, { warmUpMs: 0, windowMs: seconds * 1000 }).done;
    return requests;
  };
}

function fioWith(target: FioTarget): Way['run'] {
  return async ({ kind, blockBytes, depth }, seconds) => {
    const words = [`--rw=rand${kind}`, `--bs=${blockBytes}`, `--iodepth=${depth}`];
    const { io_bytes } = await runFioAt(target, { words, size: SIZE, seconds, rampSeconds: 0 }, []);
    return io_bytes / blockBytes;
  };
}

async function lineOf(way: Way, shape: Shape, folder: string, rounds: number): Promise<Line> {
  const costs: Cost[] = [];
  for (let round = 0; round < rounds; round++) costs.push(await costOf(way, shape, folder));
  const median = (value: (cost: Cost) => number) => once(spreadOf(costs.map(value)).median);
  const { median: cpuUs } = spreadOf(costs.map((one) => one.cpuUs));
  const shares = await samplesDuring(way.pids(), join(folder, 'samples'), async () => void (await way.run(shape, SECONDS)));
  const found = way.probed().length === 0 ? null : await probe(way, shape, folder, false);
  const { kind, blockBytes, depth } = shape;
  return {
    what: `${kind}, ${blockBytes / KIB} KiB, depth ${depth}: ${way.title}`,
    values: [
      median(({ calls }) => calls.all),
      median(({ calls }) => calls.waits),
      median(({ calls }) => calls.receives),
      median(({ calls }) => calls.sends),
      median(({ calls }) => calls.futexes),
      median(({ wakeUps }) => wakeUps),
      found === null ? null : once(found.turns / found.requests),
      once(cpuUs),
      ...SAMPLE_KINDS.map((kind) => (shares === null ? null : once(shares[kind] * cpuUs))),
      found === null ? once(0) : once(found.copiedBytes / (found.requests * blockBytes)),
    ],
  };
}

async function costOf(way: Way, shape: Shape, folder: string): Promise<Cost> {
  const pids = way.pids();
  const [before, wokenBefore] = [cpuTimeOf(pids), wakeUpsOf(pids)];
  const requests = await way.run(shape, SECONDS);
  const [then, woken] = [cpuTimeOf(pids), wakeUpsOf(pids)];
  let counted = 0;
  const calls = await callsDuring(pids, join(folder, 'calls'), async () => {
    counted = await way.run(shape, SECONDS);
  });
  const each = Object.fromEntries(Object.entries(calls).map(([kind, count]) => [kind, count / counted])) as Calls;
  return { calls: each, wakeUps: (woken - wokenBefore) / requests, cpuUs: (cpuSecondsBetween(before, then) * MICROSECONDS) / requests };
}

/** Returns the counts of all processes of the client together, and the functions of the busiest process. */
async function probe(way: Way, shape: Shape, folder: string, isProfile: boolean): Promise<Probed & { readonly requests: number }> {
  const marker = join(folder, 'profile');
  if (isProfile) writeFileSync(marker, '');
  const pids = way.probed();
  for (const pid of pids) process.kill(pid, 'SIGUSR2');
  await after(BEGUN_MS);
  rmSync(marker, { force: true });
  const requests = await way.run(shape, isProfile ? PROFILE_SECONDS : SECONDS);
  for (const pid of pids) process.kill(pid, 'SIGUSR2');
  const all: Probed[] = [];
  for (const pid of pids) {
    const file = join(folder, `${pid}.json`);
    await waitFor(() => existsSync(file), WRITTEN_MS, `The process has written ${file}`);
    all.push(JSON.parse(readFileSync(file, 'utf8')) as Probed);
    rmSync(file);
  }
  const sum = (value: (one: Probed) => number): number => all.reduce((total, one) => total + value(one), 0);
  const [busiest] = all.toSorted((a, b) => b.functions.length - a.functions.length);
  return {
    requests,
    copiedBytes: sum(({ copiedBytes }) => copiedBytes),
    copies: sum(({ copies }) => copies),
    turns: sum(({ turns }) => turns),
    functions: busiest?.functions ?? [],
  };
}

function profileSheet(way: Way, { kind, blockBytes, depth }: Shape, { functions }: Probed): Sheet {
  const title = `${way.title}, ${blockBytes / KIB} KiB ${kind}s, depth ${depth}: functions of rsiod by their own time`;
  const lines = functions.map(({ name, share }): Line => ({ what: name, values: [once(100 * share)] }));
  const columns = [{ heading: '% of the time that is not idle', digits: 1 }];
  return { name: 'map', title, columns, lines, notes: [] };
}
