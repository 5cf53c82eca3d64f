// A mirror on machines of a netlab with one link of 1 Gbit/s to each server, a load of reads, and a load of writes. The loads use different
// halves of the volume, and each runs in its own process. Other files of this folder make the faults.

import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { linkFault } from '../../support/netlab/link-faults.ts';
import { linkedMirrorMachines, type MirrorMachines } from '../../support/netlab/mirror-machines.ts';
import { LoadClient } from '../../support/netlab/load/load-client.ts';
import type { LoadReport } from '../../support/netlab/load/load-process.ts';
import type { LoadShape } from '../../support/netlab/load/nbd-load.ts';
import { Netlab } from '../../support/netlab/netlab.ts';
import { GIGABIT } from '../../support/netlab/shaped-links.ts';
import { MirrorSite } from '../../support/scenes/mirror-site.ts';

export const MIB = 1024 * 1024;
export const MIRROR = 'db';
export const EXPORT = `osl/${MIRROR}`;
const MEMORY = '/dev/shm';
const BLOCK_BYTES = 8 * 1024;
const DEPTH = 16;
const FILL_DEPTH = 8;

/** The times of the client's configuration that decide how soon a mirror continues, in ms. */
export interface Timing {
  readonly heartbeatMs: number;
  readonly suspectMs: number;
  readonly deadMs: number;
  readonly patienceMs: number;
}

export const DEFAULT_TIMING: Timing = { heartbeatMs: 1_000, suspectMs: 200, deadMs: 3_000, patienceMs: 1_000 };
/** With these times, a mirror continues without a server that falls silent after at most 1 s. */
export const ONE_SECOND: Timing = { heartbeatMs: 300, suspectMs: 100, deadMs: 700, patienceMs: 300 };

/** Longest time until the mirror continues without a silent replica. */
export function boundMs({ deadMs, patienceMs }: Timing): number {
  return deadMs + patienceMs;
}

export function random(readPercent: number, beginBytes: number, sizeBytes: number): LoadShape {
  return { blockBytes: BLOCK_BYTES, depth: DEPTH, order: 'random', readPercent, sizeBytes, beginBytes };
}

export function sequentialWrites(sizeBytes: number): LoadShape {
  return { blockBytes: MIB, depth: FILL_DEPTH, order: 'sequential', readPercent: 0, sizeBytes };
}

export class MirrorScene {
  readonly machines: MirrorMachines;
  readonly site: MirrorSite;
  private readonly loads: LoadClient[] = [];

  private constructor(machines: MirrorMachines, site: MirrorSite) {
    this.machines = machines;
    this.site = site;
  }

  /** Starts new daemons, calls `use`, and ends the daemons. `folder`: folder of the pools. Null: the pools are in memory. */
  static async with<T>(
    { timing, sizeBytes, folder = null }: { readonly timing: Timing; readonly sizeBytes: number; readonly folder?: string | null },
    use: (scene: MirrorScene) => Promise<T>,
  ): Promise<T> {
    const netlab = new Netlab();
    const undo: (() => void)[] = [];
    let scene: MirrorScene | null = null;
    try {
      const machines = await linkedMirrorMachines(netlab, 1, GIGABIT);
      const { heartbeatMs, suspectMs, deadMs, patienceMs } = timing;
      const times = { heartbeat: heartbeatMs, suspect: suspectMs, dead: deadMs, 'mirror-patience': patienceMs };
      const defaults = Object.fromEntries(Object.entries(times).map(([key, ms]) => [key, `${ms}ms`]));
      const poolParent = folder ?? (existsSync(MEMORY) ? MEMORY : tmpdir());
      const site = await MirrorSite.start(machines, { poolParent, defaults }, (action) => undo.push(action));
      await site.addMirror(MIRROR, sizeBytes);
      scene = new MirrorScene(machines, site);
      return await use(scene);
    } finally {
      for (const load of scene?.loads ?? []) await load.close();
      await netlab.clean();
      for (const action of undo) action();
    }
  }

  async load(shape: LoadShape): Promise<LoadClient> {
    const load = new LoadClient();
    this.loads.push(load);
    await load.open([{ path: this.site.client.rsiodPaths.nbdSocket }], EXPORT);
    await load.begin(shape);
    return load;
  }

  /** Writes every byte of the mirror, or of its first `sizeBytes`, once. */
  async fill(sizeBytes: number): Promise<void> {
    const load = await this.load(sequentialWrites(sizeBytes));
    let bytes = 0;
    while (bytes < sizeBytes) {
      await sleep(100);
      bytes += (await load.take()).bytes;
    }
    await this.endLoad(load);
  }

  async endLoad(load: LoadClient): Promise<LoadReport> {
    const report = await load.end();
    await load.close();
    return report;
  }

  /** Cuts the power of a server: first its network ends, and then its processes. */
  async cutPower(index: number): Promise<void> {
    for (const link of this.machines.links[index]!) await linkFault('silent').begin(link);
    this.site.kill(index);
  }

  /** Bytes that the client has sent to a server. */
  async sentTo(index: number): Promise<number> {
    let bytes = 0;
    for (const { device } of this.machines.links[index]!) bytes += (await this.machines.clientMachine.counters(device)).sentBytes;
    return bytes;
  }
}
