// One window of load on one server: all clients start together, and the CPU time of the server is read at the start and the end of the
// window. Callers combine windows into rounds and figures.

import { callsOf, type CpuTime, cpuSecondsBetween, cpuTimeOf, diskBytesOf, machineBusySeconds } from './proc.ts';
import { Latencies } from './load/latencies.ts';
import type { LoadClient } from './load/load-client.ts';
import type { LoadFigures, LoadShape, Measured, Window } from './load/orders.ts';

interface Sample {
  readonly atMs: number;
  readonly server: CpuTime;
  readonly machine: number;
  readonly diskBytes: number;
  readonly calls: number;
}

const NANOSECONDS = 1e9;

function sample(pids: readonly number[]): Sample {
  return {
    atMs: performance.now(),
    server: cpuTimeOf(pids),
    machine: machineBusySeconds(),
    diskBytes: diskBytesOf(pids),
    calls: callsOf(pids),
  };
}

/** Measures one window. `seed` is the seed of the round, so that every server of the round gets the same blocks in the same order. */
export async function measure(
  clients: readonly LoadClient[],
  shape: LoadShape,
  seed: number,
  window: Window,
  serverPids: readonly number[],
): Promise<Measured> {
  const runs = clients.map((client, index) => client.run(shape, seed * clients.length + index + 1, window));
  await Promise.all(runs.map(({ begun }) => begun));
  const first = sample(serverPids);
  await Promise.race(runs.map(({ ended }) => ended));
  const last = sample(serverPids);
  return combine(await Promise.all(runs.map(({ done }) => done)), first, last);
}

/** Runs load that is not counted, until the server has used `cpuMs` of CPU time, because a new process has not yet compiled its code. */
export async function warmUp(
  clients: readonly LoadClient[],
  shape: LoadShape,
  serverPids: readonly number[],
  { cpuMs, windowMs, windowsMax }: { readonly cpuMs: number; readonly windowMs: number; readonly windowsMax: number },
): Promise<void> {
  for (let turn = 0, usedMs = 0; usedMs < cpuMs && turn < windowsMax; turn++) {
    const measured = await measure(clients, shape, turn, { warmUpMs: 0, windowMs }, serverPids);
    usedMs += measured.serverCores * measured.windowMs;
  }
}

function combine(figures: readonly LoadFigures[], first: Sample, last: Sample): Measured {
  const latencies = new Latencies();
  for (const { histogram } of figures) latencies.add(histogram);
  const sum = (value: (one: LoadFigures) => number): number =>
    figures.reduce((total, one) => total + (value(one) * NANOSECONDS) / one.windowNs, 0);
  const seconds = (last.atMs - first.atMs) / 1000;
  const serverCores = cpuSecondsBetween(first.server, last.server) / seconds;
  const generatorCores = sum(({ cpuNs }) => cpuNs / NANOSECONDS);
  const bytesPerSecond = sum(({ bytes }) => bytes);
  return {
    windowMs: last.atMs - first.atMs,
    iops: sum(({ requests }) => requests),
    bytesPerSecond,
    serverCores,
    generatorCores,
    callsPerSecond: (last.calls - first.calls) / seconds,
    diskShare: bytesPerSecond > 0 ? (last.diskBytes - first.diskBytes) / seconds / bytesPerSecond : 0,
    otherCores: Math.max(0, (last.machine - first.machine) / seconds - serverCores - generatorCores),
    p50Us: latencies.quantileUs(0.5),
    p99Us: latencies.quantileUs(0.99),
    p999Us: latencies.quantileUs(0.999),
  };
}
