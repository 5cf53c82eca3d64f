// The hazard of two paths: a host writes A; a path stops with B in it; the host gives the path up, and writes B again and then C over the
// other path; the first path goes on, and its target executes the old B. Then a read returns B, although C was acknowledged. Rules: D1.
// Invariant: a round counts only if B was in the stopped path, and the host had given this path up before it went on.

import { report } from '../../support/programs/report.ts';
import { waitFor } from '../../support/programs/wait-for.ts';
import type { GuestPath } from './guest-path.ts';
import { BLOCK_BYTES, type LinuxHost } from './linux-host.ts';

export interface HazardPath extends Pick<GuestPath, 'proxy'> {
  /** The process of the target, which stops; null: the network holds the bytes back instead. */
  readonly pid: number | null;
}

interface HazardRound {
  /** The block after the round: B if the old write was executed, C if not. */
  readonly read: string;
  /** Whether the other path had completed B before the first one went on. False if both paths had stopped. */
  readonly wasRepeated: boolean;
  /** Time until the host had given the path up, in ms. */
  readonly gaveUpMs: number;
}

export type HazardPaths = readonly [HazardPath, HazardPath];

const NSID = 1;
const GIVES_UP_MS = 30_000;

/** Plays `count` rounds, each with a block of its own from `block` on. Returns what each has read. */
export async function hazardRounds(host: LinuxHost, paths: HazardPaths, count: number, block: number): Promise<string[]> {
  const rounds: HazardRound[] = [];
  for (let round = 0; round < count; round++) rounds.push(await hazardRound(host, paths, block + round));
  const seconds = rounds.map(({ gaveUpMs }) => (gaveUpMs / 1000).toFixed(1));
  const repeated = rounds.filter(({ wasRepeated }) => wasRepeated).length;
  report('hazard', {
    read: rounds.map(({ read }) => read).join(''),
    'given up after s': seconds.join(' '),
    'B repeated meanwhile': repeated,
  });
  return rounds.map(({ read }) => read);
}

/** Plays one round. Both paths are connected. `block` is overwritten. */
async function hazardRound(host: LinuxHost, paths: HazardPaths, block: number): Promise<HazardRound> {
  await host.pathsLive(2);
  const path = await usedPath(host, paths, block);
  let sentBytes = 0;
  stop(path, (bytes) => (sentBytes += bytes));
  const startMs = performance.now();
  let wasRepeated = false;
  const repeated = host.write(NSID, block, 'B').then(() => (wasRepeated = true));
  repeated.catch(() => undefined);
  try {
    await waitFor(async () => wasRepeated || (await host.livePaths()) === 0, GIVES_UP_MS, 'The host gives up the path');
    const round = { wasRepeated, gaveUpMs: performance.now() - startMs };
    if (sentBytes < BLOCK_BYTES) throw new Error('B was not in the path that had stopped');
    if (!round.wasRepeated) goOn(path);
    await repeated;
    await host.write(NSID, block, 'C');
    goOn(path);
    // When a target accepts the host again, it has read all that was left in the first connection.
    await host.pathsLive(2);
    return { ...round, read: await host.read(NSID, block) };
  } finally {
    goOn(path);
  }
}

/** Writes A, and returns the path over which it went. */
async function usedPath(host: LinuxHost, paths: HazardPaths, block: number): Promise<HazardPath> {
  const passed = (): number[] => paths.map(({ proxy }) => proxy.stats.toServer.passed);
  const before = passed();
  await host.write(NSID, block, 'A');
  const index = passed().findIndex((bytes, at) => bytes - (before[at] ?? 0) >= BLOCK_BYTES);
  const path = paths[index];
  if (path === undefined) throw new Error('A went over neither path');
  return path;
}

function stop({ proxy, pid }: HazardPath, sent: (bytes: number) => void): void {
  const isHalted = pid === null;
  proxy.set({ toServer: { isHalted, tap: (bytes) => sent(bytes.length) }, toClient: { isHalted } });
  if (pid !== null) process.kill(pid, 'SIGSTOP');
}

function goOn({ proxy, pid }: HazardPath): void {
  if (pid !== null) process.kill(pid, 'SIGCONT');
  proxy.heal();
}
