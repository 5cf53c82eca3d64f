// Data processes of rsiod are killed one after the other, and sometimes again while they start, under verified I/O on the volumes of all
// data processes. Invariants: no read returns a byte that was not written, no acknowledged write is lost, and the I/O of the other volumes
// continues. `RUNS=20 npx vitest run --project integration data-process-kills` runs more rounds.

import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { NUMBER_VARIABLE } from '@rsio/rsiod/processes/spawn';
import { expect, it } from 'vitest';
import { RejoiningLoad, REJOINING_BYTES } from '../support/drills/rejoining-load.ts';
import { lengthMs } from '../support/drills/gaps.ts';
import { ENCRYPTED, startClient, startServer } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { report } from '../support/programs/report.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const RUNS = Number(process.env['RUNS'] ?? 1);
const RUN_MS = 120_000;
const SPARE_MS = 180_000;
const NAMES = ['a', 'b', 'c', 'd'];
const LANE_PAUSE_MS = 2;
/** I/Os of a volume before the first kill, and after each kill. */
const SOME_IOS = 50;
const GOES_ON_MS = 20_000;
/** The second kill of a process comes within this time after its start, and may hit any step of the start. */
const AGAIN_WITHIN_MS = 800;
/** Longest permitted pause, as in chaos.test.ts. A pause includes the start of a data process, which takes a core for a moment. */
const PAUSE_MAX_MS = 2_000;

const hosts = useHosts('file');

/** Process id of a data process. The test looks for this id in /proc, because rsiod does not answer while a data process starts. */
function pidOf(host: Host, number: number): number | undefined {
  const isMeant = (pid: number): boolean =>
    readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(`${NUMBER_VARIABLE}=${number}`);
  return host.processes().find(isMeant);
}

it.each([
  { protection: 'plain', defaults: {} },
  { protection: 'TLS', defaults: ENCRYPTED },
])(
  'killed data processes cost no acknowledged write, and the other volumes no pause: $protection',
  { timeout: RUNS * RUN_MS + SPARE_MS },
  async ({ protection, defaults }) => {
    const [host, network] = [hosts.host(), await hosts.network(2)];
    const memory = { type: 'memory', size: String(REJOINING_BYTES) };
    await startServer(host, network, { volumes: Object.fromEntries(NAMES.map((name) => [name, memory])), tls: 'allow' });
    await startClient(host, network, { defaults: { ...defaults, processes: '4' } });
    await host.rsconfigWell('-a', ...NAMES);
    const loads = NAMES.map((name) => new RejoiningLoad(host, `osl/${name}`, LANE_PAUSE_MS));
    const goesOn = async (some: readonly RejoiningLoad[], what: string): Promise<void> => {
      const first = some.map(({ answered }) => answered);
      const isOn = (): boolean => some.every(({ answered }, index) => answered >= first[index]! + SOME_IOS);
      await waitFor(isOn, GOES_ON_MS, `${what} go on`);
    };
    await goesOn(loads, 'All volumes');

    const [away, others]: [number[], number[]] = [[], []];
    let kills = 0;
    /** Kills the process with this number once its pid differs from `before`. */
    const kill = async (number: number, before?: number): Promise<number> => {
      const isNew = (): number | false => {
        const pid = pidOf(host, number);
        return pid !== undefined && pid !== before && pid;
      };
      const pid = await waitFor(isNew, GOES_ON_MS, `Process ${number} runs`);
      if (before !== undefined) await sleep(randomInt(AGAIN_WITHIN_MS));
      process.kill(pid, 'SIGKILL');
      kills++;
      return pid;
    };
    for (let run = 1; run <= RUNS; run++)
      for (const [index, killed] of loads.entries()) {
        const rest = loads.filter((load) => load !== killed);
        for (const { gaps } of loads) gaps.forget();
        const before = await kill(index + 1);
        if (index % 2 === run % 2) await kill(index + 1, before);
        await Promise.all([goesOn(rest, 'The other volumes'), goesOn([killed], `The volumes of process ${index + 1}`)]);
        away.push(lengthMs(killed.gaps.longest));
        others.push(...rest.map(({ gaps }) => lengthMs(gaps.longest)));
      }
    await Promise.all(loads.map((load) => load.stop()));
    report(`${kills} kills of data processes, ${protection}`, {
      'volume away, mean ms': away.reduce((sum, ms) => sum + ms, 0) / away.length,
      'volume away, longest ms': Math.max(...away),
      'other volumes, longest pause ms': Math.max(...others),
      'I/Os compared': loads.reduce((sum, { answered }) => sum + answered, 0),
      'connections lost': loads.reduce((sum, { lost }) => sum + lost, 0),
    });
    expect(loads.flatMap(({ breaches }) => breaches)).toEqual([]);
    expect(Math.max(...others)).toBeLessThan(PAUSE_MAX_MS);
    const { processes = [] } = await host.call('status', {});
    expect(processes.map(({ volumes }) => volumes)).toEqual([1, 1, 1, 1]);
    expect(Math.min(...processes.map(({ restarts }) => restarts))).toBeGreaterThanOrEqual(RUNS);
  },
);
