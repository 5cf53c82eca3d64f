// `npm run measure -- gaps`: measures how long I/O pauses when one of two paths fails. The program uses real daemons, with each path through a chaos
// proxy. This process makes 8 KiB random reads at depth 32 over the NBD socket. The result is the longest time without an answer between
// the beginning and the end of the fault. The tests judge data. Invariant: a failed read ends the measurement.

import { randomInt } from 'node:crypto';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { defineDrill } from '../support/drills/harness.ts';
import { count, flag, json } from '../support/drills/options.ts';
import { median, table } from '../support/drills/table.ts';
import { NbdClient } from '../support/io/nbd-client.ts';
import { chaosProxies, type ChaosProxy } from '../support/faults/chaos-proxy.ts';
import { ENCRYPTED, startClient, startServer } from '../support/hosts/configs.ts';
import type { Hosts } from '../support/hosts/hosts.ts';

const BLOCK_BYTES = 8 * 1024;
const VOLUME_MIB = 64;
const BLOCKS = (VOLUME_MIB * 1024 * 1024) / BLOCK_BYTES;
const DEPTH = 32;
const WARM_UP_MS = 1_500;
const BEFORE_MS = 1_000;
/** Longer than rsiod takes to declare a silent path dead. */
const FAULT_MS = 4_000;

interface Fault {
  readonly name: string;
  readonly goalMs: number;
  strike(proxy: ChaosProxy): void;
}

const FAULTS: readonly Fault[] = [
  { name: 'reset', goalMs: 50, strike: (proxy) => void proxy.cut() },
  { name: 'silent, client to server', goalMs: 500, strike: (proxy) => proxy.set({ toServer: { swallow: true } }) },
  { name: 'silent, server to client', goalMs: 500, strike: (proxy) => proxy.set({ toClient: { swallow: true } }) },
  { name: 'silent both ways', goalMs: 500, strike: (proxy) => proxy.set({ toServer: { swallow: true }, toClient: { swallow: true } }) },
];

interface Case {
  readonly fault: Fault;
  readonly isEncrypted: boolean;
}

/** Figures of a period of time, in ms. */
interface Pause {
  readonly longestGapMs: number;
  readonly slowestReadMs: number;
  /**
   * Longest time for which this process did not run. Load and proxies run in this process. The reported pauses may therefore be too long
   * by as much as this time.
   */
  readonly ownStallMs: number;
  readonly reads: number;
}

interface Run {
  readonly before: Pause;
  readonly during: Pause;
}

class Load {
  private readonly nbd: NbdClient;
  private readonly stalls = monitorEventLoopDelay({ resolution: 1 });
  private stopping = false;
  private lastMs = performance.now();
  private longestGapMs = 0;
  private slowestReadMs = 0;
  private reads = 0;
  readonly ended: Promise<unknown>;

  constructor(nbd: NbdClient) {
    this.nbd = nbd;
    this.stalls.enable();
    this.ended = Promise.all(Array.from({ length: DEPTH }, () => this.lane()));
    // Ignores a rejection here, because the caller awaits `ended` and gets the error.
    this.ended.catch(() => undefined);
  }

  /** Returns the figures since the last call. */
  take(): Pause {
    const longestGapMs = Math.max(this.longestGapMs, performance.now() - this.lastMs);
    const { slowestReadMs, reads } = this;
    const ownStallMs = this.stalls.max / 1e6;
    this.stalls.reset();
    this.longestGapMs = 0;
    this.slowestReadMs = 0;
    this.reads = 0;
    return { longestGapMs, slowestReadMs, ownStallMs, reads };
  }

  async stop(): Promise<void> {
    this.stopping = true;
    await this.ended;
    this.stalls.disable();
    await this.nbd.close();
  }

  private async lane(): Promise<void> {
    while (!this.stopping) {
      const startMs = performance.now();
      await this.nbd.read(randomInt(BLOCKS) * BLOCK_BYTES, BLOCK_BYTES);
      const nowMs = performance.now();
      this.longestGapMs = Math.max(this.longestGapMs, nowMs - this.lastMs);
      this.slowestReadMs = Math.max(this.slowestReadMs, nowMs - startMs);
      this.lastMs = nowMs;
      this.reads++;
    }
  }
}

/** Starts new daemons for each run, so that no path is on probation and all paths have the same age. */
async function measure(hosts: Hosts, { fault, isEncrypted }: Case): Promise<Run> {
  const [server, client, network] = [hosts.host(), hosts.host(), await hosts.network(2)];
  const { proxies, serverAddresses } = await chaosProxies(hosts, network);
  await startServer(server, network, { volumes: { oracle: { type: 'memory', size: `${VOLUME_MIB}m` } } });
  await startClient(client, network, { serverAddresses, defaults: isEncrypted ? ENCRYPTED : {} });
  await client.rsconfigWell('-a');
  const load = new Load(await NbdClient.open(client.rsiodPaths.nbdSocket, 'osl/oracle', new AbortController().signal));
  await sleep(WARM_UP_MS);
  load.take();
  await sleep(BEFORE_MS);
  const before = load.take();
  const hit = proxies[randomInt(2)] as ChaosProxy;
  fault.strike(hit);
  await sleep(FAULT_MS);
  const during = load.take();
  hit.heal();
  await load.stop();
  return { before, during };
}

/**
 * Returns whether the goal was met. A pause does not count as an effect of the fault if I/O paused for as long without the fault, because
 * the machine was busy.
 */
function verdict(goalMs: number, runs: readonly Run[]): string {
  const missed = runs.filter(({ during }) => during.longestGapMs > goalMs);
  const isClear = missed.some(({ before, during }) => during.longestGapMs - Math.max(before.longestGapMs, during.ownStallMs) > goalMs);
  if (missed.length === 0) return 'met';
  return isClear ? 'MISSED' : 'unclear, machine busy';
}

function medianGapMs(runs: readonly Run[]): number {
  return median(runs.map(({ during }) => during.longestGapMs));
}

/** Makes a row of the table. `plain`: the runs of the same fault without TLS; null: `runs` are without TLS. */
function row({ fault: { name, goalMs } }: Case, runs: readonly Run[], plain: readonly Run[] | null): string[] {
  const gaps = runs.map(({ during }) => during.longestGapMs);
  const worst = (value: (run: Run) => number): string => Math.max(...runs.map(value)).toFixed(0);
  const rate = median(runs.map(({ before }) => before.reads / (BEFORE_MS / 1000)));
  return [
    plain === null ? name : `${name}, TLS`,
    gaps.map((ms) => ms.toFixed(0)).join(' '),
    `${medianGapMs(runs).toFixed(0)}, ${Math.max(...gaps).toFixed(0)}`,
    plain === null ? '' : (medianGapMs(runs) / medianGapMs(plain)).toFixed(2),
    `${goalMs}: ${verdict(goalMs, runs)}`,
    worst(({ during }) => during.slowestReadMs),
    worst(({ before }) => before.longestGapMs),
    worst(({ during }) => during.ownStallMs),
    rate.toFixed(0),
  ];
}

const HEADINGS = [
  'fault',
  'longest gap, each run',
  'median, worst',
  'median, x plain',
  'goal',
  'slowest read',
  'gap before',
  'own stall',
  'reads/s before',
];

export const drill = defineDrill({
  about: 'Measures the longest I/O pause when one of two paths fails, with 8 KiB random reads at queue depth 32.',
  needs: [],
  unit: 'runs',
  options: {
    runs: count(5, 'runs of each fault', { max: 1_000 }),
    tls: flag('measure each fault with and without TLS, in turn'),
    json: json(),
  },
  async play(scene, { runs: runCount, tls }) {
    const cases = FAULTS.flatMap((fault) => (tls ? [false, true] : [false]).map((isEncrypted): Case => ({ fault, isEncrypted })));
    const results = new Map(cases.map((one) => [one, [] as Run[]]));
    // Each round has one run of every fault, so that other programs on the machine disturb all faults equally.
    for (let run = 0; run < runCount && !scene.isEnding; run++)
      for (const [one, runs] of results) {
        scene.round(`run ${run + 1}, ${one.fault.name}`);
        const figures = await scene.attempt((hosts) => measure(hosts, one));
        // A failed read ends the measurement.
        if (figures === null) return;
        runs.push(figures);
      }
    const plainOf = (one: Case): Run[] => results.get(cases.find(({ fault }) => fault === one.fault) ?? one) ?? [];
    scene.show(
      [...results].map(([{ fault, isEncrypted }, runs]) => ({ fault: fault.name, tls: isEncrypted, goalMs: fault.goalMs, runs })),
      () =>
        'Longest time without any I/O, ms, from the fault on for 4 s: 8 KiB random reads, 32 out, one path of two hit\n' +
        `${table([HEADINGS, ...[...results].map(([one, runs]) => row(one, runs, one.isEncrypted ? plainOf(one) : null))])}` +
        'own stall: the longest time in which this process, load and proxies, got no processor; no gap is known finer than that\n',
    );
  },
});
