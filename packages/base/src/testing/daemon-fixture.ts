// A program that starts in the same way as rssrv and rsiod, for testing daemon-process: `node daemon-fixture.ts MODE FOLDER
// [--foreground]`. The program writes its events as lines to FOLDER/events, because a background daemon has no other output. MODE is one of
// the words run, slow (never ready, but exits on request), hang (never ready and never exits), fail, crash and quit.

import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { runProgram } from '../daemon/arguments.ts';
import { type Daemon, startDaemon } from '../daemon/daemon-process.ts';
import { RsError } from '../lib/errors.ts';

const HOUR_MS = 3_600_000;

async function work(mode: string, daemon: Daemon, event: (text: string) => void): Promise<void> {
  if (mode === 'fail') throw new RsError('E_ADDRESS_IN_USE', 'Address 127.0.0.1:5000 is in use: stop its user');
  if (mode === 'quit') return;
  const alive = setInterval(() => {}, HOUR_MS);
  const stopped = new Promise<void>((resolve) => {
    daemon.onStop((reason) => {
      event(`stop ${reason}`);
      if (mode !== 'hang') resolve();
    });
  });
  daemon.onReload(() => event('reload'));
  if (mode === 'run') {
    daemon.warn('No server in reach: waiting for one');
    daemon.ready();
    daemon.ready();
  }
  if (mode === 'crash') setImmediate(fallOver);
  event(`started ${process.pid} in ${process.cwd()}`);
  await stopped;
  clearInterval(alive);
}

function fallOver(): never {
  throw new RsError('E_VOLUME', 'Volume oracle fell over');
}

const help = 'usage: daemon-fixture MODE FOLDER [--foreground]\n';

runProgram({ name: 'fixture', help, options: { foreground: { type: 'boolean' } }, takesPositionals: true }, async (invocation) => {
  const [mode = '', folder = ''] = invocation.positionals;
  const event = (text: string) => appendFileSync(join(folder, 'events'), `${text}\n`);
  await startDaemon({
    program: 'fixture',
    foreground: invocation.values.foreground === true,
    pidFile: join(folder, 'pid'),
    note: (sentence) => invocation.note(sentence),
    main: (daemon) => work(mode, daemon, event),
  });
  return 0;
});
