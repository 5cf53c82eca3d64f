// Many seeds of many targets over all cores: in each slice of time, all processes run the same target, and each process takes every n-th
// seed. The targets take turns for several rounds. seed-runner.ts runs the seeds. Invariant: a seed that hangs or kills its process is
// reported as a finding, with the number of the seed. Each process therefore notes a seed in a file before it runs the seed.

import { fork } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '@rsio/base/lib/clock';
import { type FuzzFinding, findingText } from './hunt.ts';
import { type Slice, type SliceResult, seedBytes } from './slice.ts';
import type { FuzzTarget } from '../fixtures/fuzz-target.ts';

const MINUTE_MS = 60_000;
const MS_PER_SECOND = 1000;
/**
 * In a campaign, each target has this many slices. With more than one slice, every target runs early in the campaign. More than a few
 * slices would cost too much time, because each slice starts new processes.
 */
const ROUNDS = 2;
/** A process may be hanging if it has not reported within this time after the end of its slice. A seed takes only milliseconds. */
const SILENCE_MAX_MS = 60_000;
/** On a busy machine, a process may even need longer to start. Its seed is a finding only if it does not end in this time, alone, either. */
const ALONE_MAX_MS = 600_000;
/** At most this many findings of a target are printed. */
const FINDINGS_PER_TARGET_MAX = 3;

interface Sums {
  cases: number;
  deep: number;
  seconds: number;
  findings: number;
  nextSeed: number;
}

/** Runs the targets one after another for this time, each from seed `from` on. Returns true if there was no finding. */
export async function runCampaign(
  targets: readonly FuzzTarget[],
  minutes: number,
  from: number,
  say: (line: string) => void,
): Promise<boolean> {
  const cores = availableParallelism();
  const endMs = systemClock.monotonicMs() + minutes * MINUTE_MS;
  let slicesLeft = ROUNDS * targets.length;
  const sums = new Map(targets.map(({ name }) => [name, { cases: 0, deep: 0, seconds: 0, findings: 0, nextSeed: from }]));
  for (let round = 1; round <= ROUNDS; round++) {
    for (const target of targets) {
      const sum = sums.get(target.name)!;
      const first = sum.nextSeed;
      const sliceMs = Math.max(0, endMs - systemClock.monotonicMs()) / slicesLeft--;
      const slices = Array.from({ length: cores }, (_, index) => ({
        target: target.name,
        from: first + index,
        stride: cores,
        forMs: sliceMs,
      }));
      const startMs = systemClock.monotonicMs();
      const results = await Promise.all(slices.map(runSlice));
      sum.seconds += (systemClock.monotonicMs() - startMs) / MS_PER_SECOND;
      for (const result of results) addTo(sum, result, say);
      say(`round ${round}: ${line(target, sum)}`);
    }
  }
  const found = [...sums.values()].reduce((sum, { findings }) => sum + findings, 0);
  say(`${[...sums.values()].reduce((sum, { cases }) => sum + cases, 0)} inputs on ${cores} cores, ${found} findings`);
  return found === 0;
}

function addTo(sum: Sums, result: SliceResult, say: (line: string) => void): void {
  sum.cases += result.cases;
  sum.deep += result.deep;
  sum.nextSeed = Math.max(sum.nextSeed, result.nextSeed);
  if (result.finding === null) return;
  if (++sum.findings <= FINDINGS_PER_TARGET_MAX) say(findingText(result.finding));
}

function line({ name, deep }: FuzzTarget, sum: Sums): string {
  const perSecond = Math.round(sum.cases / Math.max(sum.seconds, 0.001));
  const share = sum.cases === 0 ? 0 : Math.round((100 * sum.deep) / sum.cases);
  return `${name.padEnd(16)} ${String(sum.cases).padStart(9)} inputs ${String(perSecond).padStart(6)}/s, ${share} % deep (${deep}), ${sum.findings} findings`;
}

/** Runs one slice in a process. Never rejects, because each end of the process gives a result. */
async function runSlice(slice: Slice): Promise<SliceResult> {
  const folder = mkdtempSync(path.join(tmpdir(), 'rsio-fuzz-'));
  const noted = path.join(folder, 'seed');
  writeFileSync(noted, seedBytes(slice.from));
  try {
    const first = await runProcess(slice, noted, SILENCE_MAX_MS);
    if ('cases' in first) return first;
    const alone = await runProcess({ ...slice, from: first.hangingSeed, forMs: 0 }, noted, ALONE_MAX_MS);
    const finding = 'cases' in alone ? alone.finding : endless(slice.target, first.hangingSeed);
    const nextSeed = first.hangingSeed + slice.stride;
    return { cases: (nextSeed - slice.from) / slice.stride, deep: 0, nextSeed, finding };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Resolves when the process has ended: with its report, or with the seed at which it was ended because it had been silent. */
function runProcess(slice: Slice, noted: string, silenceMaxMs: number): Promise<SliceResult | { readonly hangingSeed: number }> {
  const child = fork(fileURLToPath(new URL('./seed-runner.ts', import.meta.url)), [JSON.stringify(slice), noted]);
  let told: SliceResult | null = null;
  let isHanging = false;
  const watchdog = setTimeout(() => {
    isHanging = true;
    child.kill('SIGKILL');
  }, slice.forMs + silenceMaxMs);
  child.once('message', (result: SliceResult) => {
    told = result;
  });
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => {
      clearTimeout(watchdog);
      const seed = readFileSync(noted).readDoubleLE(0);
      resolve(told ?? (isHanging ? { hangingSeed: seed } : lost(slice, seed, `its process ended with ${signal ?? `code ${code}`}`)));
    });
  });
}

/** Makes the result of a process that has ended without a report. The seed that the process noted last counts as the finding. */
function lost({ target, from, stride }: Slice, seed: number, what: string): SliceResult {
  return { cases: Math.floor((seed - from) / stride), deep: 0, nextSeed: seed + stride, finding: unreduced(target, seed, what) };
}

function endless(target: string, seed: number): FuzzFinding {
  return unreduced(target, seed, `it does not end within ${ALONE_MAX_MS} ms, alone in its process`);
}

function unreduced(target: string, seed: number, what: string): FuzzFinding {
  return { target, seed, what, inputHex: 'not made small: it ends the process' };
}
