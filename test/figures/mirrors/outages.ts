// Measures how long reads and writes of a mirror pause when the power of a server is cut, or when a server is killed and started again.
// Also measures how many bytes are copied when the server returns. Invariant: a failed request is counted and shown.

import { setTimeout as sleep } from 'node:timers/promises';
import type { LoadShape } from '../../support/netlab/load/nbd-load.ts';
import { boundMs, MIB, MirrorScene, random, sequentialWrites, type Timing } from './scene.ts';

const SIZE = 64 * MIB;
const WARM_UP_MS = 1_500;
const BEFORE_MS = 1_000;
const AFTER_BOUND_MS = 1_500;
/** The load continues for this time after the return of a server, because the mirror may remove a replica even after the return. */
const AFTER_RETURN_MS = 3_000;
const AWAY_MS = 1_000;
/**
 * Duration of the load before the server is killed. The load runs so long that some regions have bits that the copier has not cleared yet,
 * because it clears bits lazily.
 */
const HISTORY_MS = 12_000;

export interface Outage {
  readonly readGapMs: number;
  readonly writeGapMs: number;
  /** The longest gap of reads or writes before the fault. */
  readonly beforeMs: number;
  /** Longest time for which a process of the load did not run. */
  readonly ownStallMs: number;
  readonly errors: number;
  readonly firstError: string | null;
}

/** Runs loads, calls `strike` on a server, and measures the gaps until the server returns. */
async function outage(scene: MirrorScene, strike: () => Promise<void>): Promise<Outage> {
  const reads = await scene.load(random(100, 0, SIZE / 2));
  const writes = await scene.load(random(0, SIZE / 2, SIZE / 2));
  const both = [reads, writes];
  await sleep(WARM_UP_MS);
  await Promise.all(both.map((load) => load.take()));
  await sleep(BEFORE_MS);
  const before = await Promise.all(both.map((load) => load.take()));
  await strike();
  const [read, write] = [await reads.take(), await writes.take()];
  for (const load of both) await scene.endLoad(load);
  return {
    readGapMs: read.longestGapMs,
    writeGapMs: write.longestGapMs,
    beforeMs: Math.max(...before.map(({ longestGapMs }) => longestGapMs)),
    ownStallMs: Math.max(read.ownStallMs, write.ownStallMs),
    errors: read.errors + write.errors,
    firstError: read.firstError ?? write.firstError,
  };
}

export function powerCut(timing: Timing, server: number): Promise<Outage> {
  return MirrorScene.with({ timing, sizeBytes: SIZE }, (scene) =>
    outage(scene, async () => {
      await scene.cutPower(server);
      await sleep(boundMs(timing) + AFTER_BOUND_MS);
    }),
  );
}

export function restart(timing: Timing, server: number): Promise<Outage> {
  return MirrorScene.with({ timing, sizeBytes: SIZE }, (scene) =>
    outage(scene, async () => {
      scene.site.kill(server);
      await sleep(AWAY_MS);
      await scene.site.startAgain(server);
      await scene.site.untilInSync();
      await sleep(AFTER_RETURN_MS);
    }),
  );
}

export interface Pattern {
  readonly name: string;
  readonly shape: LoadShape;
  /** Whether the load has run for a while when the server is killed. */
  readonly hasHistory: boolean;
}

const COPIED_SIZE = 1024 * MIB;
const HOT_BYTES = 16 * MIB;

export const PATTERNS: readonly Pattern[] = [
  { name: '1 MiB sequential, since the kill', shape: sequentialWrites(COPIED_SIZE), hasHistory: false },
  { name: '1 MiB sequential, for 12 s before', shape: sequentialWrites(COPIED_SIZE), hasHistory: true },
  { name: '8 KiB random in 16 MiB, for 12 s before', shape: random(0, 0, HOT_BYTES), hasHistory: true },
  { name: '8 KiB random in 1 GiB, since the kill', shape: random(0, 0, COPIED_SIZE), hasHistory: false },
];

export interface Copied {
  readonly writtenBytes: number;
  readonly copiedBytes: number;
  readonly errors: number;
}

/** Measures how many bytes the client sends to a server that returns after 1 s. After that, no application writes any data. */
export function copied(timing: Timing, { shape, hasHistory }: Pattern, server: number): Promise<Copied> {
  return MirrorScene.with({ timing, sizeBytes: COPIED_SIZE }, async (scene) => {
    await scene.fill(COPIED_SIZE);
    // After this time, the copier has cleared the intent maps.
    await sleep(HISTORY_MS);
    const before = hasHistory ? await scene.load(shape) : null;
    if (before !== null) await sleep(HISTORY_MS);
    await before?.take();
    scene.site.kill(server);
    const load = before ?? (await scene.load(shape));
    await sleep(AWAY_MS + timing.patienceMs);
    const { bytes: writtenBytes, errors } = await scene.endLoad(load);
    const sent = await scene.sentTo(server);
    await scene.site.startAgain(server);
    await scene.site.untilInSync();
    return { writtenBytes, copiedBytes: (await scene.sentTo(server)) - sent, errors };
  });
}
