// rssrv: offers volumes to clients. Arguments, configuration, life as a daemon; the work is the listener's.
// Invariant: the caller's prompt comes back only when clients can connect.

import { mkdirSync } from 'node:fs';
import { loadRssrvConfig, warningSentences } from '@rsio/protocol/config/load-config';
import { type RssrvPaths, rssrvPaths } from '@rsio/protocol/config/root-paths';
import type { RssrvConfig } from '@rsio/protocol/config/types';
import { runProgram } from '@rsio/protocol/lib/arguments';
import { systemClock } from '@rsio/protocol/lib/clock';
import { type Daemon, startDaemon } from '@rsio/protocol/lib/daemon-process';
import { runService, warner } from '@rsio/protocol/lib/daemon-service';
import { copyToStderr, type LogLevel, openLog } from '@rsio/protocol/lib/log';
import { plural } from '@rsio/protocol/lib/units';
import { Listener } from './listener.ts';

const HELP = `Usage: rssrv [--foreground] [--check]
Offers the volumes of /etc/dvsc/rssrvcfg to the clients named there. Comes back to the prompt when it listens.

  --foreground      stay, and log to stderr too
  --check           check the configuration file and end
`;

async function serve(daemon: Daemon, config: RssrvConfig, paths: RssrvPaths, foreground: boolean): Promise<void> {
  mkdirSync(paths.runDir, { recursive: true, mode: 0o755 });
  const { name, logLevel } = config.server;
  const copy = foreground ? copyToStderr : undefined;
  const warn = (sentence: string): void => daemon.warn(`Warning: ${sentence}`);
  const log = openLog({ file: paths.logFile, node: name, level: logLevel as LogLevel, copy, warn });
  warningSentences(config.warnings).forEach(warner(daemon, log));
  const listener = new Listener({ config, paths, clock: systemClock, log, foreground, warn: (sentence) => daemon.warn(sentence) });
  await runService(daemon, log, listener, 'The server is shutting down');
}

runProgram(
  { name: 'rssrv', help: HELP, options: { foreground: { type: 'boolean' }, check: { type: 'boolean' } }, positionals: false },
  async ({ values, root, out, note }) => {
    const paths = rssrvPaths(root);
    const config = loadRssrvConfig(paths.configFile);
    if (values.check === true) {
      for (const warning of warningSentences(config.warnings)) note(`Warning: ${warning}`);
      const { server, volumes, clients, interfaces } = config;
      const counts = `${plural(interfaces.length, 'interface')}, ${plural(volumes.length, 'volume')} and ${plural(clients.length, 'client')}`;
      out(`${paths.configFile}: server ${server.name} with ${counts}: good\n`);
      return;
    }
    const foreground = values.foreground === true;
    await startDaemon({
      program: 'rssrv',
      foreground,
      pidFile: paths.pidFile,
      note,
      main: (daemon) => serve(daemon, config, paths, foreground),
    });
  },
);
