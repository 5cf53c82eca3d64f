// Entry point of rsapp, which runs the applications of this node beside rsiod. This file handles arguments, the configuration and the process;
// runner/ does the work.

import './limits.ts';

import { mkdirSync, readFileSync } from 'node:fs';
import { loadRscltConfig, warningSentences } from '@rsio/common/config/load-config';
import { type DaemonPaths, daemonPaths } from '@rsio/common/config/root-paths';
import type { ApplicationConfig, RscltConfig } from '@rsio/common/config/schema/types';
import { runProgram as runMain } from '@rsio/base/daemon/arguments';
import { type Daemon, startDaemon } from '@rsio/base/daemon/daemon-process';
import { loggedWork, reportCrash, runService, warner } from '@rsio/base/daemon/daemon-service';
import { isUnderJournal, LogPlace } from '@rsio/base/daemon/log-place';
import { nameProcess } from '@rsio/base/daemon/process-facts';
import { EventFile } from '@rsio/common/events/event-file';
import { systemClock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import { plural } from '@rsio/base/lib/units';
import { copyToStderr, openLog } from '@rsio/base/log/log';
import { AppDaemon } from './app-daemon.ts';
import { ownGroup } from './machine/control-group.ts';
import { Mounts, mountsFile } from './machine/mounts.ts';
import { preflight } from './machine/preflight.ts';
import { runProgram } from './machine/programs.ts';

const HELP = `usage: rsapp [--foreground] [--check] [--root DIR]

Runs the applications of /etc/rscltcfg on the volumes of rsiod, each on one node at
a time. Returns to the prompt once it is up. Applications go on when it ends.

  --foreground      stay in the foreground and also log to stderr
  --check           check the sections [application NAME] and their programs and
                    mounts on this machine, and exit
`;

interface Setup {
  readonly config: RscltConfig;
  readonly paths: DaemonPaths;
  readonly foreground: boolean;
  readonly isJournal: boolean;
}

async function run(daemon: Daemon, { config, paths, foreground, isJournal }: Setup): Promise<void> {
  nameProcess('rsapp');
  for (const folder of [paths.runDir, paths.stateDir]) mkdirSync(folder, { recursive: true, mode: 0o755 });
  const note = (sentence: string): void => daemon.warn(`Warning: ${sentence}`);
  const place = new LogPlace({ program: 'rsapp', paths, clock: systemClock, isJournal, warn: note });
  const { way } = place.choose(config);
  const copy = foreground && !place.isOutput ? copyToStderr : undefined;
  const node = config.namespaces[0]?.nodename ?? '';
  const log = openLog({ ...way, node, copy, warn: note, flushed: () => place.flushSync() });
  await loggedWork(log, async () => {
    reportCrash(log, 'rsapp', daemon);
    warningSentences(config.warnings).forEach(warner(daemon, log));
    const groups = groupOfThis();
    const store = new EventFile(paths.eventsFile, systemClock, log);
    process.once('exit', () => store.close());
    const service = new AppDaemon(config, { clock: systemClock, log, paths, store, groups, relog: (next) => place.redirect(log, next) });
    await runService(daemon, log, service, 'rsapp ends');
  });
  place.close();
}

function groupOfThis(): string | null {
  return ownGroup(readFileSync('/proc/self/mountinfo', 'utf8'), readFileSync('/proc/self/cgroup', 'utf8'));
}

runMain(
  { name: 'rsapp', help: HELP, options: { foreground: { type: 'boolean' }, check: { type: 'boolean' } }, takesPositionals: false },
  async ({ values, root, out, note }) => {
    const paths = daemonPaths(root, 'rsapp');
    const config = loadRscltConfig(paths.configFile);
    if (values.check === true) {
      const mountsOf = ({ name }: ApplicationConfig): Mounts => new Mounts(runProgram, systemClock, mountsFile(paths.runDir, name));
      const found = await preflight(config.applications, { run: runProgram, groups: groupOfThis(), mountsOf });
      for (const warning of [...warningSentences(config.warnings), ...found.warnings]) note(`Warning: ${warning}`);
      for (const error of found.errors) note(`Error: ${error}`);
      if (found.errors.length > 0)
        throw new RsError('E_CONFIG', 'This machine cannot run all of its applications: correct the errors above');
      out(`${paths.configFile}: ${plural(config.applications.length, 'application')}: good\n`);
      return;
    }
    const foreground = values.foreground === true;
    const isJournal = isUnderJournal(false);
    await startDaemon({
      program: 'rsapp',
      foreground,
      pidFile: paths.pidFile,
      note,
      main: (daemon) => run(daemon, { config, paths, foreground, isJournal }),
    });
  },
);
