// `npm run drill -- middleman`: a middleman on one of two encrypted paths flips bits, and drops, replays and cuts bytes in both directions, even in
// handshakes, while fio writes and verifies over both paths. A seed decides the manipulations. The program prints the manipulations and the
// effect on the application. If data differed or an I/O failed, the play ends with an error.

import { setTimeout as sleep } from 'node:timers/promises';
import { defineDrill } from '../support/drills/harness.ts';
import { FIO } from '../support/drills/needs.ts';
import { amount, json, seed } from '../support/drills/options.ts';
import type { Scene } from '../support/drills/scene.ts';
import { type Meddler, type Meddling, MEDDLINGS } from '../support/faults/meddler.ts';
import { ENCRYPTED } from '../support/hosts/configs.ts';
import { MiddlemanScene } from '../support/scenes/middleman-scene.ts';

const MINUTE_MS = 60_000;
const EVERY_BYTES = 6 * 1024 * 1024;
const EARLY_SHARE = 0.4;
/**
 * The middleman stays on a path for a time between STAY_MIN_MS and STAY_MAX_MS. Then the middleman leaves, and enters the other path when
 * both paths are up.
 */
const STAY_MIN_MS = 3_000;
const STAY_MAX_MS = 12_000;
/** fio continues for this time after the middleman has stopped; the end of the run takes less. */
const SPARE_SECONDS = 180;

interface Figures {
  readonly seed: number;
  readonly minutes: number;
  readonly counts: Readonly<Record<Meddling, number>>;
  readonly early: number;
  readonly deaths: readonly number[];
  readonly connections: number;
  readonly backMs: readonly number[];
  readonly verified: number;
  readonly writes: number;
  readonly longestGapMs: number;
  readonly slowestMs: number;
}

async function measure(on: Scene, minutes: number): Promise<Figures> {
  const { hosts, random, seed: chosen } = on;
  const seconds = minutes * 60 + SPARE_SECONDS;
  const scene = await MiddlemanScene.begin(hosts, { defaults: ENCRYPTED, seconds, seed: chosen });
  const meddlers: Meddler[] = [];
  const backMs: number[] = [];
  const endMs = performance.now() + minutes * MINUTE_MS;
  for (let turn = 0; performance.now() < endMs && !on.isEnding; turn++) {
    on.round(`turn ${turn + 1}`);
    meddlers.push(...scene.meddle(turn % scene.proxies.length, { kinds: MEDDLINGS, everyBytes: EVERY_BYTES, earlyShare: EARLY_SHARE }));
    await Promise.race([sleep(random.int(STAY_MIN_MS, STAY_MAX_MS)), scene.fio.outcome]);
    backMs.push(await scene.heal());
  }
  const judged = await scene.judged();
  const connections = scene.proxies.reduce((sum, { stats }) => sum + stats.connections, 0);
  const early = meddlers.reduce((sum, meddler) => sum + meddler.early, 0);
  return { seed: chosen, minutes, counts: countsOf(meddlers), early, deaths: await scene.deaths(), connections, backMs, ...judged };
}

function countsOf(meddlers: readonly Meddler[]): Record<Meddling, number> {
  const counts: Record<Meddling, number> = { flip: 0, drop: 0, replay: 0, cut: 0 };
  for (const meddler of meddlers) for (const kind of MEDDLINGS) counts[kind] += meddler.counts[kind];
  return counts;
}

function text(figures: Figures): string {
  const { counts, early, deaths, connections, backMs, verified, writes, longestGapMs, slowestMs } = figures;
  const total = MEDDLINGS.reduce((sum, kind) => sum + counts[kind], 0);
  const lines = [
    ['manipulations', `${total}: ${MEDDLINGS.map((kind) => `${kind} ${counts[kind]}`).join(', ')}; ${early} of them in handshakes`],
    ['path deaths', `${deaths.join(' and ')}; ${connections} connections in all`],
    ['paths back', `${backMs.length} times, after ${Math.max(...backMs).toFixed(0)} ms at most`],
    ['fio', `${writes} writes, ${verified} I/Os read back and verified, no error, no difference`],
    ['longest time without I/O', `${longestGapMs.toFixed(0)} ms; slowest single I/O ${slowestMs.toFixed(0)} ms`],
  ];
  return lines.map(([what = '', value = '']) => `${what.padEnd(26)}${value}\n`).join('');
}

export const drill = defineDrill({
  about: 'Changes bytes of one of two encrypted paths while fio verifies, and prints figures.',
  needs: [FIO],
  unit: 'turns',
  options: { minutes: amount(10, 'duration', { max: 1_440 }), seed: seed(), json: json() },
  async play(scene, { minutes }) {
    scene.say(`A middleman on one encrypted path of two for ${minutes} minutes`);
    const figures = await measure(scene, minutes);
    scene.show(figures, () => text(figures));
  },
});
