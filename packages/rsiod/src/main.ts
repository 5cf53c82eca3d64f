// Entry point of rsiod, the daemon that makes the volumes of servers usable on this machine. This file handles arguments, the configuration
// and the process; the work itself is done in daemon.ts. Invariant: the instance number is increased before the daemon contacts a server.

import './limits.ts';

import { mkdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { CLIENT_PROCESSES_MAX } from '@rsio/common/config/schema/limits';
import { loadRscltConfig, warningSentences } from '@rsio/common/config/load-config';
import { triggerProblems, withSafeTriggers } from '@rsio/common/config/trigger-programs';
import { type RsiodPaths, rsiodPaths } from '@rsio/common/config/root-paths';
import type { RscltConfig } from '@rsio/common/config/schema/types';
import { runProgram } from '@rsio/base/daemon/arguments';
import { type Daemon, startDaemon } from '@rsio/base/daemon/daemon-process';
import { isUnderJournal, keeperLog, LogPlace } from '@rsio/base/daemon/log-place';
import { loggedWork, reportCrash, runService, warner } from '@rsio/base/daemon/daemon-service';
import { nameProcess } from '@rsio/base/daemon/process-facts';
import { EventFile } from '@rsio/common/events/event-file';
import { systemClock } from '@rsio/base/lib/clock';
import { toRsError } from '@rsio/base/lib/errors';
import { plural } from '@rsio/base/lib/units';
import { copyToStderr, type DaemonLog, isMoreVerbose, openLog } from '@rsio/base/log/log';
import { ClientDaemon } from './daemon/daemon.ts';
import type { NewGates } from './frontends/gate-frontends.ts';
import { deviceFacts } from './frontends/system/device-choice.ts';
import { type KeeperAbove, keeperAbove, keeperFor, wantsKeeper } from './keeper/keeper-choice.ts';
import { native } from './sys/koffi.ts';
import { KEEPER_VARIABLE, KeeperLink } from './keeper/keeper-link.ts';
import { nextIdentity } from '@rsio/protocol/client-identity';
import { CORES_PER_PROCESS } from './processes/limits.ts';
import { processCount } from './processes/placement.ts';
import { spawnProcess } from './processes/spawn.ts';

const HELP = `usage: rsiod [--foreground] [--check] [--root DIR]

Connects to the servers in /etc/rscltcfg and provides their volumes.
Returns to the prompt once every path has been tried.

  --foreground      stay in the foreground and also log to stderr
  --check           check the configuration file and exit
`;

interface Setup {
  readonly newGates: NewGates;
  readonly config: RscltConfig;
  readonly paths: RsiodPaths;
  readonly foreground: boolean;
  readonly above: KeeperAbove | null;
  /** Reason why this machine cannot run a keeper; null if it can. */
  readonly keeperLack: string | null;
  /** True if systemd has connected the output to the journal. */
  readonly isJournal: boolean;
}

async function run(daemon: Daemon, setup: Setup): Promise<void> {
  const { paths, config, foreground, isJournal } = setup;
  nameProcess('rsiod');
  mkdirSync(paths.runDir, { recursive: true, mode: 0o755 });
  const warn = (sentence: string): void => daemon.warn(`Warning: ${sentence}`);
  const place = new LogPlace({ program: 'rsiod', paths, clock: systemClock, isJournal, warn });
  const { way } = place.choose(config);
  const copy = foreground && !place.isOutput ? copyToStderr : undefined;
  const log = openLog({ ...way, node: nodeOf(config), level: config.logLevel, copy, warn, flushed: () => place.flushSync() });
  let level = config.logLevel;
  const relog: Relog = (next) => {
    place.redirect(log, next);
    const before = level;
    level = next.logLevel;
    // The lines about a reload are logged with the level that shows more of them.
    if (isMoreVerbose(next.logLevel, before)) log.setLevel(next.logLevel);
    else systemClock.soon(() => log.setLevel(next.logLevel));
  };
  await loggedWork(log, () => work(daemon, setup, log, relog));
  place.close();
}

type Relog = (config: RscltConfig) => void;

async function work(daemon: Daemon, { newGates, config, paths, above, keeperLack }: Setup, log: DaemonLog, relog: Relog): Promise<void> {
  reportCrash(log, 'rsiod', daemon);
  const node = nodeOf(config);
  const warn = warner(daemon, log);
  // A wrong trigger only causes a warning, because devices of the previous process may need this process.
  const unsafe = triggerProblems(config.triggers).map((problem) => ({ file: config.file, ...problem }));
  warningSentences([...config.warnings, ...unsafe]).forEach(warn);
  let hasEnded = false;
  const lost = (): void => {
    if (hasEnded) return;
    log.error('The keeper has ended. This process ends, too, because another daemon may be started now');
    process.exit(1);
  };
  const link = above === null ? null : new KeeperLink(above, { clock: systemClock, lost });
  const keeper = link === null ? null : { link, inheritance: await link.begun() };
  const { life = 1, why = '' } = keeper?.inheritance ?? {};
  if (life > 1) log.warn(`Restart ${life - 1}: the previous process has ended (${why})`);
  const identity = await nextIdentity(paths.stateDir);
  let isStopping = false;
  const restart = async (): Promise<void> => {
    if (isStopping) return;
    log.info('Restarting, as requested by rsconfig restart');
    hasEnded = true;
    await client.handOver();
    // A process that is already stopping after SIGTERM must not ask the keeper to start another process.
    if (isStopping) return;
    link?.again();
    process.exit(0);
  };
  const stop = (): void => void process.kill(process.pid, 'SIGTERM');
  const store = new EventFile(paths.eventsFile, systemClock, log);
  process.once('exit', () => store.close());
  const count = processesFor(config, link, warn);
  const client = new ClientDaemon({
    config,
    paths,
    identity,
    clock: systemClock,
    // The monotonic clock is 0 when the process starts, so the difference of the clocks is the start time.
    beganMs: Math.floor(systemClock.wallMs() - systemClock.monotonicMs()),
    log,
    store,
    relog,
    warn,
    keeper,
    keeperLack,
    restart,
    stop,
    newGates,
    processes: count === 1 ? null : { count, spawn: spawnProcess },
    part: null,
  });
  const service = {
    start: async () => {
      await client.start();
      log.info(`Up: instance ${identity.instance} of node ${node}`);
      link?.ready();
    },
    stop: (reason: string) => {
      isStopping = true;
      return client.stop(reason);
    },
    refusal: () => client.parts.ends.refusal('stop'),
    reload: () => client.parts.reloads.hangUp(),
  };
  await runService(daemon, log, service, 'The client is shutting down');
  hasEnded = true;
  link?.farewell();
}

/** Returns the number of processes that carry the I/O of volumes. */
function processesFor(config: RscltConfig, link: KeeperLink | null, warn: (sentence: string) => void): number {
  const wanted = processCount(config.processes, availableParallelism(), CORES_PER_PROCESS, CLIENT_PROCESSES_MAX);
  if (wanted === 1 || link === null || link.holdsForOthers) return wanted;
  // A restart of rsiod does not replace the keeper.
  warn(
    `The keeper is of an older version, so that rsiod has one process, not ${wanted}: stop rsiod and start it again (rsconfig stop, rsiod)`,
  );
  return 1;
}

/** Reads the configuration. A process that the keeper has restarted has no terminal, so it reports a refused configuration in the log. */
function configOf(paths: RsiodPaths, life: number): RscltConfig {
  try {
    return loadRscltConfig(paths.configFile);
  } catch (thrown) {
    if (life <= 1) throw thrown;
    const log = openLog({ file: paths.logFile, node: 'rsiod' });
    log.error(`The configuration is refused, and I/O on devices waits until it is corrected: ${toRsError(thrown).message}`);
    log.close();
    throw thrown;
  }
}

function nodeOf(config: RscltConfig): string {
  return config.namespaces[0]?.nodename ?? 'rsiod';
}

/** Runs the program. `newGates`: makes its gates, which are a package of their own. */
export function runRsiod(newGates: NewGates): void {
  runProgram(
    { name: 'rsiod', help: HELP, options: { foreground: { type: 'boolean' }, check: { type: 'boolean' } }, takesPositionals: false },
    async ({ values, root, out, note }) => {
      const paths = rsiodPaths(root);
      const above = keeperAbove(process.env);
      // The variable is removed from the environment, so that no child process takes the keeper of this process for its own.
      delete process.env[KEEPER_VARIABLE];
      const config = configOf(paths, above?.life ?? 0);
      if (values.check === true) {
        withSafeTriggers(config);
        for (const warning of warningSentences(config.warnings)) note(`Warning: ${warning}`);
        const servers = config.namespaces.reduce((sum, namespace) => sum + namespace.servers.length, 0);
        const counts = `${plural(config.interfaces.length, 'interface')}, ${plural(config.namespaces.length, 'namespace')}`;
        out(`${paths.configFile}: ${counts} and ${plural(servers, 'server interface')}: good\n`);
        return;
      }
      const foreground = values.foreground === true;
      const isJournal = isUnderJournal(above !== null);
      const isKept = above !== null || wantsKeeper(config, deviceFacts(paths.root));
      const keeper = keeperFor({
        life: above?.life ?? 0,
        root: paths.root,
        logFile: keeperLog(paths, config.log, isJournal),
        node: nodeOf(config),
      });
      // The daemon loads koffi later. A machine on which it could not is told now.
      native();
      await startDaemon({
        program: 'rsiod',
        foreground,
        pidFile: paths.pidFile,
        note,
        keeper: isKept && typeof keeper !== 'string' ? keeper : null,
        main: (daemon) =>
          run(daemon, { newGates, config, paths, foreground, above, keeperLack: typeof keeper === 'string' ? keeper : null, isJournal }),
      });
    },
  );
}
