// Histories for tests of pages. Each history has a ring with short steps and a ring with long steps. The values come from a formula. Each
// ring has one gap.

import type { HistoryName, HistoryView, Ring, SeriesName } from '../model/history.ts';
import { SAMPLE_MS } from './sample-picture.ts';

const POINTS = 120;
const MIB = 1024 ** 2;
const TIB = 1024 ** 4;

export function sampleHistory(nowMs = SAMPLE_MS): HistoryView {
  return { ringsOf: (of) => [ringOf(of, 1_000, nowMs), ringOf(of, 60_000, nowMs)] };
}

function ringOf(of: HistoryName, stepMs: number, nowMs: number): Ring {
  const timesMs = Array.from({ length: POINTS }, (_, index) => nowMs - (POINTS - 1 - index) * stepMs);
  const seed = of.length % 17;
  const values = (base: number, swing: number, shift: number): (number | null)[] =>
    timesMs.map((_, index) =>
      index === 40 ? null : Math.round(base + swing * Math.sin((index + seed + shift) / 9) + (swing / 3) * Math.sin(index / 2.3 + shift)),
    );
  const isPool = of.startsWith('pool:');
  const series: Partial<Record<SeriesName, (number | null)[]>> = isPool
    ? { usedBytes: timesMs.map((_, index) => Math.round(11 * TIB + (index / POINTS) * 0.5 * TIB)), totalBytes: timesMs.map(() => 12 * TIB) }
    : {
        readBytesPerSecond: values(80 * MIB, 40 * MIB, 0),
        writtenBytesPerSecond: values(35 * MIB, 18 * MIB, 5),
        readsPerSecond: values(5_200, 2_100, 0),
        writesPerSecond: values(2_900, 1_300, 5),
        p50Us: values(240, 30, 2),
        p99Us: values(1_400, 350, 4),
        p999Us: values(4_600, 1_500, 6),
      };
  return { stepMs, timesMs, series };
}
