// Entry point of rsweb, which serves pages about the servers and clients of this machine and others. This file handles arguments, the
// configuration and the process; web-service.ts does the work.

import './limits.ts';

import { mkdirSync } from 'node:fs';
import { warningSentences } from '@rsio/common/config/load-config';
import { type DaemonPaths, daemonPaths } from '@rsio/common/config/root-paths';
import { runProgram } from '@rsio/base/daemon/arguments';
import { type Daemon, startDaemon } from '@rsio/base/daemon/daemon-process';
import { loggedWork, reportCrash, runService, warner } from '@rsio/base/daemon/daemon-service';
import { isUnderJournal, LogPlace, type LogSettings } from '@rsio/base/daemon/log-place';
import { nameProcess } from '@rsio/base/daemon/process-facts';
import { systemClock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import { parseName, plural } from '@rsio/base/lib/units';
import { copyToStderr, openLog } from '@rsio/base/log/log';
import { hostname } from 'node:os';
import { serverIdentity } from './config/credentials.ts';
import type { WebRight } from './config/rights.ts';
import { loadWebConfig, type WebConfig } from './config/rswebcfg.ts';
import { WEB_SCHEMA } from './config/schema.ts';
import { hashOf, newToken } from './login/tokens.ts';
import { urlOf, WebService } from './web-service.ts';

const HELP = `usage: rsweb [--foreground] [--check] [--manage] [--root DIR]
       rsweb token NAME [--rights view|operate|admin]

Shows the servers and clients of this machine in a browser, as /etc/rswebcfg says.
Returns to the prompt once it listens. With token NAME, prints a new token and its section.

  --foreground      stay in the foreground and also log to stderr
  --check           check the configuration file and the certificate, and exit
  --manage          permit orders by tokens with rights = operate, admin or manage
  --rights RIGHTS   with token: what it permits; default: view
`;

interface Setup {
  readonly config: WebConfig;
  readonly paths: DaemonPaths;
  readonly foreground: boolean;
  readonly isManaging: boolean;
  /** True if systemd has connected the output to the journal. */
  readonly isJournal: boolean;
}

async function run(daemon: Daemon, { config, paths, foreground, isManaging, isJournal }: Setup): Promise<void> {
  nameProcess('rsweb');
  mkdirSync(paths.runDir, { recursive: true, mode: 0o755 });
  const note = (sentence: string): void => daemon.warn(`Warning: ${sentence}`);
  const place = new LogPlace({ program: 'rsweb', paths, clock: systemClock, isJournal, warn: note });
  const { way } = place.choose(config);
  const copy = foreground && !place.isOutput ? copyToStderr : undefined;
  const log = openLog({ ...way, node: hostname(), copy, warn: note, flushed: () => place.flushSync() });
  await loggedWork(log, async () => {
    reportCrash(log, 'rsweb', daemon);
    const warn = warner(daemon, log);
    warningSentences(config.warnings).forEach(warn);
    const relog = (settings: LogSettings): void => place.redirect(log, settings);
    const service = new WebService(config, { clock: systemClock, log, relog, root: paths.root, isManaging });
    await runService(daemon, log, service, 'The pages are shutting down');
  });
  place.close();
}

interface Output {
  readonly out: (text: string) => void;
  readonly note: (sentence: string) => void;
}

/**
 * Makes a token. The section about the token goes to stdout, so that a shell can append the section to rswebcfg. The token itself goes to
 * stderr.
 */
function makeToken(words: readonly string[], rights: WebRight, { out, note }: Output): void {
  const [word, name, ...rest] = words;
  if (word !== 'token' || name === undefined || rest.length > 0) {
    throw new RsError('E_USAGE', `Unexpected argument ${word === 'token' ? (rest[0] ?? 'token') : word}: see rsweb --help`);
  }
  const section = `[token ${parseName(name)}]`;
  const token = newToken();
  note(`The token ${name}, shown only now: ${token}`);
  note('Add the section to rswebcfg, and reload rsweb');
  out(`${section}\nsha256 = ${hashOf(token)}\nrights = ${rights}\n`);
}

runProgram(
  {
    name: 'rsweb',
    help: HELP,
    options: { foreground: { type: 'boolean' }, check: { type: 'boolean' }, manage: { type: 'boolean' }, rights: { type: 'string' } },
    takesPositionals: true,
  },
  async ({ values, positionals, root, out, note }) => {
    const isManaging = values.manage === true;
    const rights = values.rights === undefined ? null : WEB_SCHEMA.token.keys.rights.type.parse(values.rights);
    if (positionals.length > 0) {
      // With the word of release 0.2.0, --manage makes a token with rights = manage.
      makeToken(positionals, rights ?? (isManaging ? 'manage' : 'view'), { out, note });
      return;
    }
    if (rights !== null) throw new RsError('E_USAGE', 'Unexpected option --rights: it is for rsweb token NAME');
    const paths = daemonPaths(root, 'rsweb');
    const config = loadWebConfig(paths.configFile);
    if (values.check === true) {
      serverIdentity(config);
      for (const warning of warningSentences(config.warnings)) note(`Warning: ${warning}`);
      out(
        `${paths.configFile}: ${urlOf(config)}, ${plural(config.tokens.length, 'token')} and ${plural(config.sources.length, 'source')}: good\n`,
      );
      return;
    }
    const foreground = values.foreground === true;
    const isJournal = isUnderJournal(false);
    await startDaemon({
      program: 'rsweb',
      foreground,
      pidFile: paths.pidFile,
      note,
      main: (daemon) => run(daemon, { config, paths, foreground, isManaging, isJournal }),
    });
  },
);
