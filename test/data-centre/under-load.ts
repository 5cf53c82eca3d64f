// Makes the changes of turmoil.ts under I/O: on volumes of every client, fio writes blocks with checksums and reads them back while daemons
// and files change. fio stops at the first error or difference.

import { type RunningFio, startFio } from '../support/io/fio.ts';
import type { Host } from '../support/hosts/host.ts';
import { volumeStats } from '../support/io/volume-stats.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import type { DataCentre } from './data-centre.ts';
import { Turmoil } from './turmoil.ts';

/** fio ends after this time unless the test stops it earlier. */
const FIO_SECONDS = 400;
/** Rate of fio. The rate is so low that the load never reaches the limit of the machine. */
const RATE_IOPS = 250;

const FURTHER_WRITES = 50;
/** fio writes this many blocks before it reads them back. Each volume gets several times this number of writes in a run. */
const BACKLOG = 64;
const WRITES_MIN = 400;
const GOES_ON_MS = 20_000;

interface Load {
  readonly host: Host;
  readonly volume: string;
  readonly fio: RunningFio;
}

export interface TurmoilOutcome {
  readonly seconds: number;
  readonly verifyReads: number;
  /** Longest time in ms for which one of the volumes had no answered I/O. */
  readonly longestGapMs: number;
}

/** Attaches four volumes and makes `count` changes under I/O. Throws if an I/O failed or an output is not right. */
export async function turmoilUnderLoad(
  centre: DataCentre,
  seed: number,
  count: number,
  say: (line: string) => void,
): Promise<TurmoilOutcome> {
  const { big2, venus, big6 } = centre.site.clients;
  const loaded = [
    [big2, 'osl:oracle@0', '40m'],
    [big2, 'dev:oracle@0', '24m'],
    [venus, 'osl:pool@2', '24m'],
    [big6, 'dev:play@0', '24m'],
  ] as const;
  const loads = await Promise.all(
    loaded.map(async ([client, name, size]): Promise<Load> => {
      const host = centre.host(client);
      await host.rsconfigWell('-a', name);
      const exported = name.replace(':', '/').replace('@0', '');
      const fio = startFio(host, exported, { seconds: FIO_SECONDS, size, verifyBacklog: BACKLOG, rateIops: RATE_IOPS });
      return { host, volume: name, fio };
    }),
  );
  await Promise.all(loads.map((load) => untilWritten(load)));
  const startMs = performance.now();
  const failed = Promise.race(
    loads.map(({ volume, fio }) => fio.outcome.then(() => Promise.reject(new Error(`fio on ${volume} ended early`)))),
  );
  await Promise.race([failed, new Turmoil(centre, seed, say).run(count)]);
  const seconds = (performance.now() - startMs) / 1000;
  await Promise.all(loads.map((load) => untilWritten(load, WRITES_MIN)));
  // Asks all fio processes to stop before it waits for the first one to end, because each needs some time.
  for (const { fio } of loads) fio.stop();
  const [gaps, reads]: [number[], number[]] = [[], []];
  for (const { host, volume, fio } of loads) {
    reads.push((await fio.outcome).verifyReads);
    const { errors, longestGapMs } = await volumeStats(host, volume);
    if (errors !== 0) throw new Error(`${volume} had ${errors} errors`);
    gaps.push(longestGapMs);
  }
  return { seconds, verifyReads: reads.reduce((sum, one) => sum + one, 0), longestGapMs: Math.max(...gaps) };
}

/**
 * Resolves when FURTHER_WRITES more writes were answered, and at least `inAll` writes since the volume was attached. Rejects if fio has
 * ended.
 */
async function untilWritten({ host, volume, fio }: Load, inAll = 0): Promise<void> {
  const writes = async (): Promise<number> => {
    const { volumes } = await host.call('stats', {});
    return volumes.find((one) => one.volume === volume)?.writes ?? 0;
  };
  const wanted = Math.max((await writes()) + FURTHER_WRITES, inAll);
  const ended = fio.outcome.then(() => Promise.reject(new Error(`fio on ${volume} ended early`)));
  await Promise.race([ended, waitFor(async () => (await writes()) >= wanted, GOES_ON_MS, `I/O of ${volume} goes on`)]);
}
