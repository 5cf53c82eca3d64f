// Takes snapshots in a simulated world. Each server takes one snapshot after the other, each of one or several volumes at one moment, in
// chunks of random size. Production code makes the moment; the snapshot judge judges answered snapshots. This file has its own source of
// random numbers. Invariant: worlds without snapshots do not depend on this file.

import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { toRsError } from '@rsio/base/lib/errors';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { SnapshotJudge } from '../judges/snapshot-judge.ts';
import type { SimServer } from '../machines/sim-server.ts';
import type { SimVolume } from '../machines/sim-volume.ts';
import { SimCopy } from '../snapshots/sim-copy.ts';
import type { SimWorld } from './sim-world.ts';

/** Added to the seed, so that these draws differ from those of the world and its pools. */
const SALT = 1_000_117;
const GAP_MAX_MS = 200;
/** Longest wait for the answer to a request for a snapshot. The wait is bounded because the listener may be dead. */
const ANSWER_MAX_MS = 5_000;
/**
 * Chance that the snapshot leaves out volumes that may lack answered writes. With a volume that lacks answered writes, the server refuses
 * the snapshot.
 */
const SETTLED_CHANCE = 0.8;
/** Chance that the snapshot includes a volume. */
const IN_CHANCE = 0.6;
const CHUNKS_BYTES = [512, 4096, 8192, 65_536];
const CHUNKS_MAX = 64;
const WHOLE_CHANCE = 0.4;

export class SimSnapshots {
  /** Whether the world requests no more snapshots. */
  isDone = false;
  private readonly judge = new SnapshotJudge();
  refused = 0;
  private readonly world: SimWorld;
  private readonly random: SeededRandom;
  private isOver = false;

  constructor(world: SimWorld, seed: number) {
    this.world = world;
    this.random = new SeededRandom(seed * SALT + 3);
    void Promise.all(world.servers.map((server) => this.run(server))).then(() => {
      this.isDone = true;
    });
  }

  get breaches(): readonly string[] {
    return this.judge.breaches;
  }

  get taken(): number {
    return this.judge.judged;
  }

  heal(): void {
    this.isOver = true;
  }

  private async run(server: SimServer): Promise<void> {
    while (!this.isOver) {
      await this.pause(this.random.unit() * GAP_MAX_MS);
      for (const volume of server.machine.volumes.values()) this.judge.watch(volume.oracle);
      if (server.isListening) await this.take(server);
    }
  }

  private async take(server: SimServer): Promise<void> {
    const { random, world } = this;
    const isSettled = random.chance(SETTLED_CHANCE);
    const able = [...server.machine.volumes.values()].filter(
      ({ id, isCut, isRemoved, form, isPooled, config }) =>
        !isCut && !isRemoved && form === null && (!isPooled || config !== null) && !(isSettled && isUnsettled(server, id)),
    );
    const volumes = able.filter(() => random.chance(IN_CHANCE));
    if (volumes.length === 0) return;
    const copies = volumes.map((volume) => this.copyOf(volume, server));
    const take = this.judge.asks(volumes.map(({ oracle }) => oracle));
    const code = await this.outcome(server, copies);
    const names = volumes.map(({ name }) => name);
    if (world.trace.isOn) world.trace.say(`${server.name}: snapshot of ${names.join(', ')}: ${code ?? 'no answer'}`);
    if (code !== 'taken') this.refused++;
    else
      this.judge.answered(
        take,
        copies.map(({ content }, at) => ({ oracle: volumes[at]!.oracle, name: names[at]!, content })),
      );
  }

  private copyOf({ id, storage, oracle }: SimVolume, { listener }: SimServer): SimCopy {
    const { random } = this;
    const sizeBytes = oracle.sectors * SECTOR_BYTES;
    const drawnBytes = random.pick(CHUNKS_BYTES);
    const isWhole = random.chance(WHOLE_CHANCE) || drawnBytes >= sizeBytes || sizeBytes / drawnBytes > CHUNKS_MAX;
    return new SimCopy(id, sizeBytes, isWhole ? sizeBytes : drawnBytes, { storage, process: listener, random });
  }

  /** Requests a snapshot; null: no answer. */
  private outcome(server: SimServer, copies: readonly SimCopy[]): Promise<string | null> {
    return new Promise((resolve) => {
      const timer = this.world.clock.after(ANSWER_MAX_MS, () => resolve(null));
      const ended = (code: string): void => {
        timer.cancel();
        resolve(code);
      };
      this.asked(server, copies).then(
        () => ended('taken'),
        (thrown: unknown) => ended(toRsError(thrown).code),
      );
    });
  }

  /** Requests a snapshot. If the listener dies before it answers, the promise never resolves. Throws RsError. */
  private async asked({ listener, moments }: SimServer, copies: readonly SimCopy[]): Promise<void> {
    await new Promise<void>((resolve) => listener.after(this.random.unit() * this.world.shape.controlMs, resolve));
    await moments!.take(copies);
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.world.clock.after(ms, resolve);
    });
  }
}

/** Whether a client must still replay lost writes of the volume. */
function isUnsettled({ holds, machine }: SimServer, volume: string): boolean {
  return holds.holders.unsettledNode(volume, machine.incarnationOf(volume)) !== null;
}
