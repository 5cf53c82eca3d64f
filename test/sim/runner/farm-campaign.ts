// Runs many worlds of farms over all cores (`npm run sim -- --farm`), and prints what happened in them. Invariant: the campaign also reports a
// violation if a worker ends too early.

import { systemClock } from '@rsio/base/lib/clock';
import { type CampaignOrder, runSeeds } from './campaign.ts';
import { type FarmResult, runFarmSeed } from '../farm/farm-world.ts';

const REPORT_MS = 10_000;
const MINUTE_MS = 60_000;
const MS_PER_SECOND = 1000;
const US_PER_MS = 1000;

/** Runs the worlds of the order. Returns true if none had a violation. */
export async function runFarmCampaign({ from, to, minutes }: CampaignOrder, say: (line: string) => void): Promise<boolean> {
  const startMs = systemClock.monotonicMs();
  const sums: Record<string, number> = {};
  const kinds: Record<string, number> = {};
  let [worlds, violations, cpuMs] = [0, 0, 0];
  const violated = (sentence: string): void => {
    violations++;
    say(`VIOLATION ${sentence}`);
  };
  const summary = (): string => {
    const seconds = ((systemClock.monotonicMs() - startMs) / MS_PER_SECOND).toFixed(0);
    const said = Object.entries(sums).map(([name, count]) => `${name} ${count}`);
    const each = ((cpuMs * US_PER_MS) / Math.max(1, sums['ios'] ?? 0)).toFixed(0);
    return `${seconds} s: ${worlds} worlds, ${said.join(', ')}, ${each} us of CPU for each I/O, ${violations} violations`;
  };
  const report = setInterval(() => say(summary()), REPORT_MS);
  await runSeeds<FarmResult>(
    seedsOf(from, to),
    minutes === null ? 0 : minutes * MINUTE_MS,
    {
      finished: (result) => {
        worlds++;
        cpuMs += result.cpuMs;
        addTo(sums, result.counts);
        addTo(kinds, result.faults);
        for (const breach of result.breaches)
          violated(`seed ${result.seed}: ${breach} (npm run sim -- --farm --seed ${result.seed} --trace)`);
      },
      died: (seed, how) => violated(`seed ${seed}: its worker ${how}`),
    },
    ['farms'],
  );
  clearInterval(report);
  say(kindsOf(kinds));
  say(summary());
  return violations === 0 && worlds > 0;
}

/** Runs one world, and prints its violations and its result. */
export async function runOneFarm(seed: number, isTraced: boolean, say: (line: string) => void): Promise<boolean> {
  const { breaches, counts, faults, digest } = await runFarmSeed(seed, { trace: isTraced ? say : null });
  for (const breach of breaches) say(`seed ${seed}: ${breach}`);
  say(kindsOf(faults));
  const said = Object.entries(counts).map(([name, count]) => `${name} ${count}`);
  say(`seed ${seed}: ${breaches.length} violations, ${said.join(', ')}, digest ${digest}`);
  return breaches.length === 0;
}

/** Yields the seeds from `from` to `to`. If `to` is 0, the seeds have no end. */
function* seedsOf(from: number, to: number): Generator<number> {
  for (let seed = from; to === 0 || seed <= to; seed++) yield seed;
}

function addTo(sums: Record<string, number>, counts: Readonly<Record<string, number>>): void {
  for (const [name, count] of Object.entries(counts)) sums[name] = (sums[name] ?? 0) + count;
}

function kindsOf(kinds: Readonly<Record<string, number>>): string {
  const said = Object.entries(kinds).toSorted(([, one], [, other]) => other - one);
  return `faults: ${said.map(([kind, count]) => `${count} ${kind}`).join(', ')}`;
}
