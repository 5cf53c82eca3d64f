// The counters of one attached volume and of paths, as `rsconfig -m stats --json` prints them: I/O as the client sees it. A volume's counters
// start when it is attached, a path's with the daemon. They are asked for over the control socket, because tests ask again and again.

import type { VolumeStats } from '@rsio/common/control/methods';
import type { FioOutcome, RunningFio } from './fio.ts';
import type { Host } from '../hosts/host.ts';
import { waitFor } from '../programs/wait-for.ts';

/** `volume` is its whole name, `osl:oracle@0`. Throws when it is not attached. */
export async function volumeStats(host: Host, volume: string): Promise<VolumeStats> {
  const { volumes } = await host.call('stats', {});
  const stats = volumes.find((one) => one.volume === volume);
  if (stats === undefined) throw new Error(`${volume} is not among ${volumes.map((one) => one.volume).join(', ')}`);
  return stats;
}

const UP_DEADLINE_MS = 10_000;

/** How often each of the first `count` paths has died, when all of them are up: on a slow machine one may be suspect for a moment. */
export async function deathsOfPaths(host: Host, count: number): Promise<number[]> {
  const allUp = async (): Promise<number[] | null> => {
    const paths = (await host.call('stats', {})).paths.slice(0, count);
    return paths.length === count && paths.every(({ state }) => state === 'up') ? paths.map(({ deaths }) => deaths) : null;
  };
  return waitFor(allUp, UP_DEADLINE_MS, `The first ${count} paths are up`);
}

const WRITING_DEADLINE_MS = 20_000;
/** Writes between two checks: while it reads back, fio writes nothing. */
const WRITES_BETWEEN_LOOKS = 20;

/**
 * Resolves in the middle of writing, so that what strikes next strikes unanswered writes: `count` more writes than now were answered, and
 * many of them between the last two looks. Rejects when fio ends before.
 */
export async function untilWriting(host: Host, volume: string, fio: RunningFio, count = 300): Promise<void> {
  const writes = async (): Promise<number> => {
    const { volumes } = await host.call('stats', {});
    return volumes.find((one) => one.volume === volume)?.writes ?? 0;
  };
  const first = await writes();
  let last = first;
  const isWriting = async (): Promise<boolean> => {
    const before = last;
    last = await writes();
    return last >= first + count && last >= before + WRITES_BETWEEN_LOOKS;
  };
  const ended = fio.outcome.then(() => Promise.reject(new Error(`fio ended before ${volume} was being written`)));
  await Promise.race([ended, waitFor(isWriting, WRITING_DEADLINE_MS, `${volume} is being written, ${count} times and on`)]);
}

/** More than fio writes before it reads all of them back, as startFio runs it. */
const WRITES_READ_BACK = 1_500;

/**
 * By now fio has read back its writes, and continues. It is ended, however long it was to run. `writes`: where its `verifyBacklog` is smaller,
 * a few hundred more than that.
 */
export async function verifiedAndEnded(host: Host, volume: string, fio: RunningFio, writes = WRITES_READ_BACK): Promise<FioOutcome> {
  await untilWriting(host, volume, fio, writes);
  fio.stop();
  return fio.outcome;
}
