// The events at a server in the drills of `npm run drill -- restarts`: the server is killed, crashes with its machine, or is replaced by another
// build, or its storage fails to make acknowledged writes durable. A test can make several events one after the other, and each event is
// also a drill with a name. restart-drill.ts has the load and judges the effects.

import { rmSync, writeFileSync } from 'node:fs';
import type { Host } from '../hosts/host.ts';
import type { Hosts } from '../hosts/hosts.ts';
import { killServer, machineCrash } from '../faults/machine-crash.ts';
import { waitFor } from '../programs/wait-for.ts';
import { OtherBuild } from './other-build.ts';
import { type DrillResult, Stage, type StageOptions } from './restart-drill.ts';

export interface DrillOptions {
  /** Least time for which the server stays away. */
  readonly downMs: number;
  /** Decides which unsynced writes survive a crash. */
  readonly seed: number;
}

export interface DrillKind {
  readonly name: string;
  play(hosts: Hosts, options: DrillOptions): Promise<DrillResult>;
}

/** Keys of storage that keeps unflushed writes in RUN, and fails flushes while `brokenFileOf` exists. */
export const FORGETFUL: NonNullable<StageOptions['faults']> = (server) => ({
  losesUnsynced: true,
  errors: [{ operation: 'flush', errno: 'EIO', whileFile: brokenFileOf(server) }],
});

/**
 * The client notices the failure within this time: the server first syncs the volume without a request, and the client then opens the
 * volume again, perhaps several times.
 */
const NOTICED_MS = 45_000;
/**
 * The drill crashes the machine at most this many times until a crash finds unflushed data. In one of several hundred crashes, all data is
 * already flushed.
 */
const CRASHES_MAX = 4;
/** The storage recovers after at least this many flushes of the judge were answered EIO. */
const FLUSH_ERRORS = 2;

export async function kill(stage: Stage): Promise<void> {
  const { server } = stage;
  await stage.outage(
    () => killServer(server),
    () => server.startFaulty(),
  );
}

export async function crash(stage: Stage, seed: number): Promise<void> {
  const { server } = stage;
  await stage.outage(
    () => machineCrash(server, seed),
    () => server.startFaulty(),
  );
}

/**
 * Crashes the machine of a stage with FORGETFUL storage until the client has data to replay. One crash may not suffice, because sometimes
 * all data is flushed.
 */
export async function crashUnflushed(stage: Stage, seed: number): Promise<void> {
  const before = stage.replays;
  for (let crashes = 0; stage.replays === before; crashes++) {
    if (crashes === CRASHES_MAX) throw new Error(`Nothing had to be sent again after any of ${CRASHES_MAX} crashes`);
    await crash(stage, seed);
  }
}

/** Stops or kills the server of the checkout, and starts the server of the other build in its place. */
export async function replace(stage: Stage, build: OtherBuild, how: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  const { server } = stage;
  await stage.outage(
    () => (how === 'SIGTERM' ? server.stop('rssrv') : killServer(server)),
    () => build.startServer(server),
  );
  if (!build.isOf(server.pid('rssrv')) || !build.isOf(server.worker('big-2'))) throw new Error('The other build does not serve');
}

/**
 * Makes flushes on FORGETFUL storage fail. Makes the flushes succeed again when the client has sent the acknowledged writes again. If the
 * judged load flushes, the drill also waits until FLUSH_ERRORS flushes of this load were answered EIO.
 */
export async function failFlushes(stage: Stage): Promise<void> {
  const { judge, server } = stage;
  const broken = brokenFileOf(server);
  const [replays, errors] = [stage.replays, judge.flushErrors];
  writeFileSync(broken, '');
  const isNoticed = (): boolean => stage.replays > replays && (!judge.flushes || judge.flushErrors >= errors + FLUSH_ERRORS);
  await waitFor(isNoticed, NOTICED_MS, 'What was not flushed is sent again, and flushes are answered EIO');
  rmSync(broken);
  await stage.goesOn();
  await stage.flushed();
}

export const DRILL_KINDS: readonly DrillKind[] = [
  drill('kill -9 of all of rssrv', { fioFlushes: true, judgeFlushes: true }, kill),
  drill('crash of the server machine', { faults: FORGETFUL, fioFlushes: true, judgeFlushes: true }, (stage, { seed }) =>
    crash(stage, seed),
  ),
  replaced('another build after SIGTERM', 'SIGTERM'),
  replaced('another build after kill -9', 'SIGKILL'),
  // fio must not flush in this drill: flushes fail here, and fio ends at its first error.
  failing('flush fails, then machine crash', { faults: FORGETFUL, fioFlushes: false, judgeFlushes: true }),
  failing('the same, nobody flushing', { faults: FORGETFUL, fioFlushes: false, judgeFlushes: false }),
];

function drill(
  name: string,
  stage: Omit<StageOptions, 'downMs'>,
  strike: (stage: Stage, options: DrillOptions, hosts: Hosts) => Promise<void>,
): DrillKind {
  return {
    name,
    async play(hosts, options) {
      const set = await Stage.set(hosts, { ...stage, downMs: options.downMs });
      await strike(set, options, hosts);
      return set.end();
    },
  };
}

function replaced(name: string, how: 'SIGTERM' | 'SIGKILL'): DrillKind {
  return drill(name, { fioFlushes: true, judgeFlushes: true }, (stage, _options, hosts) => replace(stage, OtherBuild.make(hosts), how));
}

function failing(name: string, stage: Omit<StageOptions, 'downMs'>): DrillKind {
  return drill(name, stage, async (set, { seed }) => {
    await failFlushes(set);
    await crash(set, seed);
  });
}

function brokenFileOf(server: Host): string {
  return server.file('broken');
}
