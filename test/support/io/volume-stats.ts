// The counters of one attached volume and of paths, as `rsconfig -m stats --json` prints them: they count I/O as the client sees it. The
// counters of a volume start when the volume is attached, and the counters of a path start with the daemon. Tests read the counters often,
// and therefore over the control socket.

import type { VolumeStats } from '@rsio/api/rsiod/methods';
import type { FioOutcome, RunningFio } from './fio.ts';
import type { Host } from '../hosts/host.ts';
import { waitFor } from '../programs/wait-for.ts';

/** `volume` is the full name, such as `osl:oracle@0`. Throws if the volume is not attached. */
export async function volumeStats(host: Host, volume: string): Promise<VolumeStats> {
  const { volumes } = await host.call('stats', {});
  const stats = volumes.find((one) => one.volume === volume);
  if (stats === undefined) throw new Error(`${volume} is not among ${volumes.map((one) => one.volume).join(', ')}`);
  return stats;
}

const UP_DEADLINE_MS = 10_000;

/**
 * Waits until the first `count` paths are up, because a path may be suspect for a moment on a slow machine. Returns how often each path has
 * died.
 */
export async function deathsOfPaths(host: Host, count: number): Promise<number[]> {
  const allUp = async (): Promise<number[] | null> => {
    const paths = (await host.call('stats', {})).paths.slice(0, count);
    return paths.length === count && paths.every(({ state }) => state === 'up') ? paths.map(({ deaths }) => deaths) : null;
  };
  return waitFor(allUp, UP_DEADLINE_MS, `The first ${count} paths are up`);
}

const WRITING_DEADLINE_MS = 20_000;
/**
 * fio counts as writing only if at least this many writes were answered between two checks, because fio writes nothing while it reads back.
 */
const WRITES_BETWEEN_LOOKS = 20;

/**
 * Resolves while fio is writing, so that a fault hits unanswered writes: `count` more writes were answered, and fio was still writing
 * between the last two checks. Rejects if fio ends first.
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

/** After this many writes, fio as started by startFio has read back all earlier writes. */
const WRITES_READ_BACK = 1_500;

/**
 * Waits until fio has read back the writes that it has made so far, and then ends fio. `writes`: number of further writes after which all
 * earlier ones are certainly read back. The number must be a few hundred more than `verifyBacklog`.
 */
export async function verifiedAndEnded(host: Host, volume: string, fio: RunningFio, writes = WRITES_READ_BACK): Promise<FioOutcome> {
  await untilWriting(host, volume, fio, writes);
  fio.stop();
  return fio.outcome;
}
