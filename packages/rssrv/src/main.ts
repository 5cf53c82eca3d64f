// rssrv: serves volumes to clients. This module parses arguments, loads the configuration and starts the listener as a daemon. Invariant:
// the start command returns only when clients can connect.

import './limits.ts';

import { mkdirSync } from 'node:fs';
import { withControlGroup } from '@rsio/common/config/control-group';
import { loadRssrvConfig, warningSentences } from '@rsio/common/config/load-config';
import { type RssrvPaths, rssrvPaths } from '@rsio/common/config/root-paths';
import type { RssrvConfig } from '@rsio/common/config/schema/types';
import { runProgram } from '@rsio/base/daemon/arguments';
import { type Daemon, startDaemon } from '@rsio/base/daemon/daemon-process';
import { isUnderJournal, LogPlace } from '@rsio/base/daemon/log-place';
import { loggedWork, reportCrash, runService, warner } from '@rsio/base/daemon/daemon-service';
import { nameProcess } from '@rsio/base/daemon/process-facts';
import { EventFile } from '@rsio/common/events/event-file';
import { systemClock } from '@rsio/base/lib/clock';
import { plural } from '@rsio/base/lib/units';
import { copyToStderr, openLog } from '@rsio/base/log/log';
import { libc } from './machine/libc.ts';
import { openFilesLimit, openFilesWarning } from './server/descriptor-limit.ts';
import { missingAddresses, volumeWarnings } from './server/environment-check.ts';
import { Listener } from './listener/listener.ts';
import { addressMissingText } from './server/listening-sockets.ts';
import { workerRightsWarning } from './server/workers/worker-rights.ts';

const HELP = `usage: rssrv [--foreground] [--check] [--root DIR]

Offers the volumes in /etc/dvsc/rssrvcfg to the clients listed there.
Returns to the prompt once it listens.

  --foreground      stay in the foreground and also log to stderr
  --check           check the configuration file, addresses and volumes, and exit
`;

interface ServeOptions {
  readonly foreground: boolean;
  /** True if systemd has connected the output to the journal. */
  readonly isJournal: boolean;
}

async function serve(daemon: Daemon, config: RssrvConfig, paths: RssrvPaths, { foreground, isJournal }: ServeOptions): Promise<void> {
  nameProcess('rssrv: listener');
  mkdirSync(paths.runDir, { recursive: true, mode: 0o755 });
  const { name, logLevel } = config.server;
  const warn = (sentence: string): void => daemon.warn(`Warning: ${sentence}`);
  const place = new LogPlace({ program: 'rssrv', paths, clock: systemClock, isJournal, warn });
  const { way } = place.choose(config.server);
  const copiesLog = foreground && !place.isOutput;
  const copy = copiesLog ? copyToStderr : undefined;
  const log = openLog({ ...way, node: name, level: logLevel, copy, warn, flushed: () => place.flushSync() });
  reportCrash(log, 'rssrv', daemon);
  warningSentences(config.warnings).forEach(warner(daemon, log));
  const filesWarning = openFilesWarning(config, openFilesLimit());
  if (filesWarning !== null) warner(daemon, log)(filesWarning);
  const store = new EventFile(paths.eventsFile, systemClock, log);
  process.once('exit', () => store.close());
  const listener = new Listener({
    config,
    paths,
    clock: systemClock,
    log,
    store,
    relog: ({ server }) => place.redirect(log, server),
    warn: (sentence) => daemon.warn(sentence),
  });
  await loggedWork(log, () => runService(daemon, log, listener, 'The server is shutting down'));
  place.close();
}

runProgram(
  {
    name: 'rssrv',
    help: HELP,
    options: { foreground: { type: 'boolean' }, check: { type: 'boolean' } },
    takesPositionals: false,
  },
  async ({ values, root, out, note, report }) => {
    // rssrv cannot lock, mark or pass files on a machine without the calls of the kernel.
    libc();
    const paths = rssrvPaths(root);
    const config = withControlGroup(loadRssrvConfig(paths.configFile));
    if (values.check === true) {
      const { server, volumes, clients, interfaces } = config;
      const missing = await missingAddresses(interfaces);
      // If at least one address works, the server starts, and tries the missing addresses again later.
      const isFatal = missing.some(({ code }) => code !== 'E_ADDRESS_MISSING') || missing.length === interfaces.length;
      const ofMachine = [openFilesWarning(config, openFilesLimit()), workerRightsWarning(server)];
      const warnings = [
        ...(isFatal ? [] : missing.map(addressMissingText)),
        ...ofMachine.filter((warning) => warning !== null),
        ...(await volumeWarnings(volumes)),
      ];
      for (const warning of [...warningSentences(config.warnings), ...warnings]) note(`Warning: ${warning}`);
      if (isFatal) {
        for (const { code, message } of missing) report(code, message);
        return 1;
      }
      const counts = `${plural(interfaces.length, 'interface')}, ${plural(volumes.length, 'volume')} and ${plural(clients.length, 'client')}`;
      out(`${paths.configFile}: server ${server.name} with ${counts}: good\n`);
      return 0;
    }
    const foreground = values.foreground === true;
    const isJournal = isUnderJournal(false);
    await startDaemon({
      program: 'rssrv',
      foreground,
      pidFile: paths.pidFile,
      note,
      main: (daemon) => serve(daemon, config, paths, { foreground, isJournal }),
    });
    return 0;
  },
);
