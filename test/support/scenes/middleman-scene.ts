// A server and a client with two paths, and fio with verification. Each path leads through a proxy that may contain a middleman. The
// callers choose the manipulations. Invariant: the middleman is on one path at a time, so that the other path always works.

import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { type ChaosProxy, chaosProxies } from '../faults/chaos-proxy.ts';
import { Meddler, type MeddlerPlan } from '../faults/meddler.ts';
import { startClient, startServer } from '../hosts/configs.ts';
import type { Host } from '../hosts/host.ts';
import type { Hosts } from '../hosts/hosts.ts';
import { type RunningFio, startFio } from '../io/fio.ts';
import { untilWriting, volumeStats } from '../io/volume-stats.ts';
import { waitFor } from '../programs/wait-for.ts';

const VOLUME = 'osl:oracle@0';
const EXPORT = 'osl/oracle';
const PATHS = 2;
/** Longest wait until a path is up again. This wait is longer than the probation of a path that has failed three times in a minute. */
const BACK_DEADLINE_MS = 60_000;

export type WayName = 'toServer' | 'toClient';

export class MiddlemanScene {
  readonly client: Host;
  readonly server: Host;
  readonly proxies: readonly ChaosProxy[];
  readonly fio: RunningFio;
  private readonly random: SeededRandom;

  private constructor(server: Host, client: Host, proxies: readonly ChaosProxy[], fio: RunningFio, seed: number) {
    this.server = server;
    this.client = client;
    this.proxies = proxies;
    this.fio = fio;
    this.random = new SeededRandom(seed);
  }

  /** `defaults`: keys of `[defaults]` of the client. `seconds`: duration of fio. Resolves when fio has begun to write. */
  static async begin(
    hosts: Hosts,
    options: { readonly defaults: Readonly<Record<string, string>>; readonly seconds: number; readonly seed: number },
  ): Promise<MiddlemanScene> {
    const [server, client, network] = [hosts.host(), hosts.host(), await hosts.network(PATHS)];
    const { proxies, serverAddresses } = await chaosProxies(hosts, network);
    await startServer(server, network, { volumes: { oracle: { path: server.file('oracle.img'), size: '64m' } } });
    await startClient(client, network, { serverAddresses, defaults: options.defaults });
    await client.rsconfigWell('-a');
    const fio = startFio(client, EXPORT, { seconds: options.seconds, verifyBacklog: 128 });
    const scene = new MiddlemanScene(server, client, proxies, fio, options.seed);
    await scene.untilWriting();
    return scene;
  }

  /** Puts a middleman on this path, in one direction or in both. */
  meddle(path: number, plan: MeddlerPlan, ways: readonly WayName[] = ['toServer', 'toClient']): Meddler[] {
    const meddlers = ways.map((way) => ({ way, meddler: new Meddler(plan, () => this.random.unit()) }));
    this.proxies[path]?.set(Object.fromEntries(meddlers.map(({ way, meddler }) => [way, { meddler }])));
    return meddlers.map(({ meddler }) => meddler);
  }

  /** Removes the middleman; returns the time in ms until both paths are up. */
  async heal(): Promise<number> {
    const healedMs = performance.now();
    for (const proxy of this.proxies) proxy.heal();
    await this.whileWriting(this.client.pathsUp(PATHS, BACK_DEADLINE_MS));
    return performance.now() - healedMs;
  }

  untilWriting(count?: number): Promise<void> {
    return untilWriting(this.client, VOLUME, this.fio, count);
  }

  async deaths(): Promise<number[]> {
    return (await this.client.call('stats', {})).paths.map(({ deaths }) => deaths);
  }

  /** Waits for a condition. If fio fails or ends first, rejects with the output of fio. */
  until(condition: () => unknown, deadlineMs: number, what: string): Promise<void> {
    return this.whileWriting(waitFor(condition, deadlineMs, what));
  }

  /** Ends fio; rejects if an I/O failed, a block differed, or I/O ended with an error at the client. */
  async judged(): Promise<{
    readonly verified: number;
    readonly writes: number;
    readonly longestGapMs: number;
    readonly slowestMs: number;
  }> {
    this.fio.stop();
    const { verifyReads, writes, slowestMs } = await this.fio.outcome;
    const { errors, longestGapMs } = await volumeStats(this.client, VOLUME);
    if (errors > 0) throw new Error(`${errors} I/Os of ${VOLUME} ended with an error`);
    return { verified: verifyReads, writes, longestGapMs, slowestMs };
  }

  private async whileWriting(work: Promise<unknown>): Promise<void> {
    await Promise.race([work, this.fio.outcome.then(() => Promise.reject(new Error('fio ended too early')))]);
  }
}
