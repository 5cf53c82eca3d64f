// rsiod: makes servers' volumes usable here. Arguments, configuration, life as a daemon; the work is in daemon.ts.
// Invariant: the instance number is counted up before any server hears of this daemon.

import { mkdirSync } from 'node:fs';
import { loadRscltConfig, warningSentences } from '@rsio/protocol/config/load-config';
import { type RsiodPaths, rsiodPaths } from '@rsio/protocol/config/root-paths';
import type { RscltConfig } from '@rsio/protocol/config/types';
import { runProgram } from '@rsio/protocol/lib/arguments';
import { systemClock } from '@rsio/protocol/lib/clock';
import { type Daemon, startDaemon } from '@rsio/protocol/lib/daemon-process';
import { runService, warner } from '@rsio/protocol/lib/daemon-service';
import { copyToStderr, openLog } from '@rsio/protocol/lib/log';
import { plural } from '@rsio/protocol/lib/units';
import { ClientDaemon } from './daemon.ts';
import { nextIdentity } from './identity.ts';

const HELP = `Usage: rsiod [--foreground] [--check]
Connects to the servers of /etc/rscltcfg and makes their volumes usable. Comes back to the prompt when paths were tried.

  --foreground      stay, and log to stderr too
  --check           check the configuration file and end
`;

async function run(daemon: Daemon, config: RscltConfig, paths: RsiodPaths, foreground: boolean): Promise<void> {
  mkdirSync(paths.runDir, { recursive: true, mode: 0o755 });
  const node = config.namespaces[0]?.nodename ?? 'rsiod';
  const copy = foreground ? copyToStderr : undefined;
  const log = openLog({ file: paths.logFile, node, copy, warn: (sentence) => daemon.warn(`Warning: ${sentence}`) });
  const warn = warner(daemon, log);
  warningSentences(config.warnings).forEach(warn);
  const identity = await nextIdentity(paths.stateDir);
  const client = new ClientDaemon({ config, paths, identity, clock: systemClock, log, warn });
  const service = {
    start: async () => {
      await client.start();
      log.info(`Up: instance ${identity.instance} of node ${node}`);
    },
    stop: (reason: string) => client.stop(reason),
    reload: () => client.hangUp(),
  };
  await runService(daemon, log, service, 'The client is shutting down');
}

runProgram(
  { name: 'rsiod', help: HELP, options: { foreground: { type: 'boolean' }, check: { type: 'boolean' } }, positionals: false },
  async ({ values, root, out, note }) => {
    const paths = rsiodPaths(root);
    const config = loadRscltConfig(paths.configFile);
    if (values.check === true) {
      for (const warning of warningSentences(config.warnings)) note(`Warning: ${warning}`);
      const servers = config.namespaces.reduce((sum, namespace) => sum + namespace.servers.length, 0);
      const counts = `${plural(config.interfaces.length, 'interface')}, ${plural(config.namespaces.length, 'namespace')}`;
      out(`${paths.configFile}: ${counts} and ${plural(servers, 'server interface')}: good\n`);
      return;
    }
    const foreground = values.foreground === true;
    await startDaemon({
      program: 'rsiod',
      foreground,
      pidFile: paths.pidFile,
      note,
      main: (daemon) => run(daemon, config, paths, foreground),
    });
  },
);
