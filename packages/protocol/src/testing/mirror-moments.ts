// Takes snapshots of the mirror of a world, and judges the snapshots (M22). The snapshots of one moment must be equal. A READ of all blocks
// at that moment could have returned the content of these snapshots.

import { sleep } from '@rsio/base/lib/waiting';
import type { Clock } from '@rsio/base/lib/clock';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import type { MirrorIo } from '../mirror/io/mirror-io.ts';
import { SnapshotMoment } from '../mirror/moments/snapshot-moment.ts';
import type { FakeStore } from './fake-replica.ts';
import type { RegisterOracle, UserIo } from './register-oracle.ts';

/** Longest time that a server takes to make a snapshot. */
const SNAPSHOT_MAX_MS = 100;

export interface MomentWorld {
  readonly io: MirrorIo;
  readonly clock: Clock;
  readonly oracle: RegisterOracle;
  readonly random: SeededRandom;
  readonly places: readonly { readonly store: FakeStore }[];
  /** `at`: current step of the world. `takenAt`: step at which another client got the mirror. */
  readonly at: number;
  readonly takenAt: number;
  readonly violations: string[];
  isMoment: boolean;
  /** Number of proven snapshots. */
  snapshots: number;
  askVoters(): Promise<boolean>;
}

export async function takeMoment(world: MomentWorld, blocks: number): Promise<void> {
  world.isMoment = true;
  const taken = new Map<string, readonly number[]>();
  const reads: UserIo[] = [];
  const moment = new SnapshotMoment(world.io, {
    clock: world.clock,
    snapshot: async (identity) => {
      if (reads.length === 0) reads.push(world.oracle.begins('read', 0, blocks, world.at));
      await sleep(world.clock, world.random.int(0, SNAPSHOT_MAX_MS));
      const store = world.places.find((one) => one.store.identity === identity)?.store;
      // A server that has promised another client's term makes no snapshot.
      if (store === undefined || store.isRevoked) return 'It is taken';
      taken.set(identity, [...store.values]);
      return null;
    },
    confirmByVoters: () => world.askVoters(),
  });
  const outcomes = await moment.take().catch(() => new Map<string, string | null>());
  const proven = [...outcomes].flatMap(([identity, why]) => (why === null ? [taken.get(identity)!] : []));
  world.isMoment = false;
  world.snapshots += proven.length;
  const [read] = reads;
  if (read === undefined || proven.length === 0) return;
  if (new Set(proven.map(String)).size > 1) world.violations.push(`Snapshots of one moment differ: ${proven.join(' | ')}`);
  if (world.takenAt < read.submittedAt) world.violations.push('A snapshot was proven after another client had the mirror');
  for (const values of proven) {
    const wrong = world.oracle.read(read, values);
    if (wrong !== null) world.violations.push(`Snapshot: ${wrong}`);
  }
}
