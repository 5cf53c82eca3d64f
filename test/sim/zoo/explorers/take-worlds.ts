// Three servers that may take one shared pool (F10, F15), over a storage that executes calls late. Servers die and start again, and people
// move the pool. A world has a fence or none, and takes over by itself or only by command. Invariant: the judge knows only the record of the
// storage, which servers were up, and the orders of people.

import type { SharedDiskConfig } from '@rsio/common/config/schema/types';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { firstRecord, type FarmRecord } from '@rsio/rssrv/farm/farm-record';
import { movePool } from '@rsio/rssrv/farm/move-pool';
import { FarmServer, settled, SharedStorage } from '@rsio/rssrv/testing/shared-storage';

const OWNERS = ['big-1', 'big-2', 'big-3'];
const TAKE_OVER_MS = 10_000;
const [STEPS, STEP_MS, CALLS] = [300, 200, 12];
const [KILLS, BOOTS, MOVES] = [0.01, 0.02, 0.01];
/** With a command, the servers may change the owner for this long. */
const ORDER_MS = 60_000;

class TakeWorld {
  private readonly random: SeededRandom;
  private readonly storage: SharedStorage;
  private readonly servers: readonly FarmServer[];
  private readonly hasFence: boolean;
  private readonly isByCommand: boolean;
  private nowMs = 0;
  /** For each server: the time at which it started. */
  private readonly upSinceMs = new Map<string, number>();
  private orderedUntilMs = 0;
  private fault: string | null = null;

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    this.hasFence = this.random.chance(0.5);
    this.isByCommand = this.random.chance(0.3);
    this.storage = new SharedStorage(firstRecord(OWNERS, 0), this.random);
    const config: SharedDiskConfig = {
      disk: { kind: 'device', path: '/dev/x' },
      fencesSelf: false,
      owners: OWNERS,
      fence: { kind: this.hasFence ? 'rbd' : 'none' },
      takeOverMs: this.isByCommand ? null : TAKE_OVER_MS,
    };
    this.servers = OWNERS.map((name) => new FarmServer(name, this.storage, config));
    for (const { name, pool } of this.servers) {
      this.upSinceMs.set(name, 0);
      void pool.start();
    }
  }

  async run(): Promise<string | null> {
    for (let step = 0; step < STEPS && this.fault === null; step++) {
      this.happens();
      this.nowMs += STEP_MS;
      for (const { isAlive, clock } of this.servers) if (isAlive) clock.advance(STEP_MS);
      await settled();
      for (let call = 0; call < CALLS; call++) {
        const before = this.storage.record;
        await this.storage.stir();
        this.judge(before, this.storage.record);
      }
    }
    return this.fault;
  }

  private happens(): void {
    const { random, servers } = this;
    const server = random.pick(servers);
    if (server.isAlive && random.chance(KILLS)) {
      server.kill();
      this.upSinceMs.delete(server.name);
    } else if (!server.isAlive && random.chance(BOOTS)) {
      server.boot();
      this.upSinceMs.set(server.name, this.nowMs);
    } else if (server.isAlive && random.chance(MOVES)) {
      this.orderedUntilMs = this.nowMs + ORDER_MS;
      movePool(server.pool, server.name, random.pick(OWNERS), server.clock).catch(() => undefined);
    }
  }

  private judge(before: FarmRecord | null, now: FarmRecord | null): void {
    if (before === null || now === null || now.generation === before.generation) return;
    const { owner } = before;
    const taker = now.owner?.server ?? '';
    const isOrdered = this.nowMs < this.orderedUntilMs;
    if (this.isByCommand && !isOrdered && before.next !== taker) this.fails(`F10: ${taker} takes the pool without a command`);
    if (owner === null || owner.server === taker) return;
    if (!this.hasFence) this.fails(`F15: without a fence, ${taker} takes the pool of ${owner.server}`);
    const upMs = this.nowMs - (this.upSinceMs.get(owner.server) ?? this.nowMs);
    if (upMs > TAKE_OVER_MS) this.fails(`F10: ${taker} takes the pool of ${owner.server}, which is up`);
  }

  private fails(sentence: string): void {
    this.fault ??= sentence;
  }
}

/** Runs the world of this seed. Returns the fault as a sentence; null: no fault. */
export function takeWorld(seed: number): Promise<string | null> {
  return new TakeWorld(seed).run();
}
