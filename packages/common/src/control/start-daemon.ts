// Starts rsiod as an administrator would: with systemctl if the systemd unit of rsiod is installed, else with the launcher of rsiod. A
// launcher in the running program's own folder is preferred, so that both belong to the same installation. Invariant: an attempt to start
// rsiod ends within a bounded time.

import { execFile } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { errnoName, RsError } from '@rsio/base/lib/errors';
import { DAEMON_END_GRACE_MS, DAEMON_START_TIMEOUT_MS } from '@rsio/base/daemon/limits';

/** This time-out is longer than the daemon's own time-out for starting. */
const TIMEOUT_MS = DAEMON_START_TIMEOUT_MS + 2 * DAEMON_END_GRACE_MS;
/** This folder exists only if systemd manages this machine. */
const SYSTEMD = '/run/systemd/system';
const UNITS = ['/etc/systemd/system/rsiod.service', '/usr/lib/systemd/system/rsiod.service', '/lib/systemd/system/rsiod.service'];

interface StartCommand {
  readonly program: string;
  readonly args: readonly string[];
  /** Hint for the administrator after a successful start; null if there is no hint. */
  readonly remark: string | null;
}

/** Starts rsiod, passes every message from rsiod to `note`, and returns when rsiod is ready. Throws E_SYSTEM if rsiod does not start. */
export async function startDaemon(root: string, note: (sentence: string) => void): Promise<void> {
  const { program, args, remark } = startCommand(root, process.argv[1], existsSync);
  const failure = await new Promise<Error | null>((resolve) => {
    execFile(program, args, { timeout: TIMEOUT_MS, killSignal: 'SIGKILL', encoding: 'utf8' }, (error, _stdout, stderr) => {
      for (const line of stderr.split('\n')) if (line.trim() !== '') note(line.replace(/^rsiod: /, ''));
      resolve(error);
    });
  });
  if (failure !== null) {
    const why = errnoName(failure) === 'ENOENT' ? `there is no ${program}` : 'see above';
    throw new RsError('E_SYSTEM', `rsiod did not start (${why}): start it by hand with ${[program, ...args].join(' ')}`);
  }
  if (remark !== null) note(remark);
}

/**
 * Returns the command that starts rsiod. `own` is the path of the running launcher. The systemd unit is used only for the real root
 * directory.
 */
export function startCommand(root: string, own: string | undefined, isThere: (path: string) => boolean): StartCommand {
  if (root === '' && isThere(SYSTEMD) && UNITS.some(isThere)) {
    return { program: 'systemctl', args: ['start', 'rsiod'], remark: 'To start rsiod at each boot: systemctl enable rsiod' };
  }
  const beside = own === undefined ? '' : join(dirname(realpathSync(own)), 'rsiod');
  return { program: isThere(beside) ? beside : 'rsiod', args: root === '' ? [] : ['--root', root], remark: null };
}
