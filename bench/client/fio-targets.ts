// What fio reads and writes: an NBD socket, or a raw or block device of a client. Runs fio on a target once, and counts the CPU time that
// other processes, such as rsiod, used during the run. Attaching volumes is the job of the sections.

import { type FioRun, type FioSide, onlySide, runFio } from '@rsio/test/support/io/fio-figures';
import { cpuSecondsBetween, cpuTimeOf } from '../proc.ts';
import type { SectionPlan } from '../sections.ts';

/** Requests of 4 KiB at random places, one at a time: READs, then WRITEs. */
export const SINGLE_REQUESTS = [
  { what: 'reads', words: ['--rw=randread', '--bs=4k', '--iodepth=1'] },
  { what: 'writes', words: ['--rw=randwrite', '--bs=4k', '--iodepth=1'] },
] as const;
const SIZE = '512m';
/** Warm-up, in which programs that have just started compile their code. */
const WARM_SECONDS = 3;

export interface FioTarget {
  readonly title: string;
  /**
   * Words before `fio` in its command line. These words start fio in the client's mount namespace, because devices are visible only there.
   */
  readonly command: readonly string[];
  readonly where: readonly string[];
}

export interface FioFigures extends FioSide {
  /** CPU time of the given processes during the run. */
  readonly cpuSeconds: number;
}

export function nbdTarget(title: string, uri: string): FioTarget {
  return { title, command: [], where: ['--ioengine=nbd', `--uri=${uri}`] };
}

export function deviceTarget(title: string, command: readonly string[], device: string): FioTarget {
  return { title, command, where: ['--ioengine=libaio', '--direct=1', `--filename=${device}`] };
}

/** Runs fio without a ramp, so that fio's figures and the CPU time cover the same time. `pids`: the processes whose CPU time counts. */
export async function runFioAt({ command, where }: FioTarget, run: Omit<FioRun, 'where'>, pids: readonly number[]): Promise<FioFigures> {
  const before = cpuTimeOf(pids);
  const side = onlySide(await runFio(command, { ...run, where }));
  return { ...side, cpuSeconds: cpuSecondsBetween(before, cpuTimeOf(pids)) };
}

/** Runs fio on the targets one after another in each round, and returns the rounds of each target. */
export async function inTurn(
  targets: readonly FioTarget[],
  words: readonly string[],
  { rounds, seconds }: SectionPlan,
): Promise<FioFigures[][]> {
  const window = (target: FioTarget, length: number): Promise<FioFigures> =>
    runFioAt(target, { words, size: SIZE, seconds: length, rampSeconds: 0 }, []);
  for (const target of targets) await window(target, WARM_SECONDS);
  const all: FioFigures[][] = targets.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const [index, target] of targets.entries()) all[index]?.push(await window(target, seconds));
  }
  return all;
}
