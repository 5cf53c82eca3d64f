// Fences and orders of two clients at one server, over restarts (G20). Invariant: after a fence was answered, no order of the client begins
// until the fence is lifted, and when the server says that the client is idle, none of its orders is in execution.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { RsError } from '@rsio/base/lib/errors';
import { turns } from '@rsio/rssrv/testing/contenders';
import { Fences } from '@rsio/rssrv/volumes/fences';

const NODES = ['big-1', 'venus'];
const STEPS = 30;

class FenceWorld {
  fault: string | null = null;
  private readonly random: SeededRandom;
  private readonly file: string;
  private fences!: Fences;
  private hasHadFences = false;
  private readonly fenced = new Set<string>();
  private running: { readonly node: string; readonly end: () => void }[] = [];

  constructor(random: SeededRandom, folder: string) {
    this.random = random;
    this.file = join(folder, 'fences.json');
  }

  /** Starts or restarts the server. The orders of the previous start have ended. */
  async start(): Promise<void> {
    this.endOrders(this.running.length);
    const note = {
      isThere: () => this.hasHadFences,
      get hasHadFences(): boolean {
        return note.isThere();
      },
      noteFences: async () => void (this.hasHadFences = true),
    };
    this.fences = new Fences(new FakeClock(), this.file, note, () => Promise.resolve());
    await this.fences.load();
  }

  async step(): Promise<void> {
    const { random } = this;
    const node = random.pick(NODES);
    switch (random.int(0, 6)) {
      case 0:
        return this.fence(node);
      case 1:
        if (await this.fences.lift(node)) this.fenced.delete(node);
        return;
      case 2:
        return this.start();
      case 3:
        return this.endOrders(1);
      default:
        return this.order(node);
    }
  }

  endOrders(count: number): void {
    for (const { end } of this.running.splice(0, count)) end();
  }

  private async fence(node: string): Promise<void> {
    await this.fences.set(node, null);
    this.fenced.add(node);
    let isIdle = false;
    const idle = this.fences.idle(node).then(() => (isIdle = true));
    await turns();
    if (isIdle && this.running.some((one) => one.node === node)) this.fault ??= `G20: ${node} counts as idle, but its order still runs`;
    this.endOrders(this.running.length);
    await idle;
  }

  private order(node: string): void {
    const work = (): Promise<void> => {
      if (this.fenced.has(node)) this.fault ??= `G20: an order of ${node} begins, which is fenced`;
      return new Promise((resolve) => void this.running.push({ node, end: resolve }));
    };
    this.fences.order(node, work).catch((thrown: unknown) => {
      if (!(thrown instanceof RsError)) throw thrown;
    });
  }
}

/** Runs the world of this seed. Returns the fault as a sentence; null: no fault. */
export async function fenceWorld(seed: number): Promise<string | null> {
  const folder = mkdtempSync(join(tmpdir(), 'rsio-fences-'));
  const world = new FenceWorld(new SeededRandom(seed), folder);
  try {
    await world.start();
    for (let step = 0; step < STEPS && world.fault === null; step++) await world.step();
    return world.fault;
  } finally {
    world.endOrders(Number.POSITIVE_INFINITY);
    rmSync(folder, { recursive: true, force: true });
  }
}
