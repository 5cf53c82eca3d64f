// Starts rsiod as a person would: by systemd if its unit is installed, else by the launcher next to the running one, so that both are from one
// installation. It returns when the daemon is ready, or reports why it is not.
// Invariant: it ends within bounded time and passes all messages on.

import { execFile } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { errnoName, RsError } from '../lib/errors.ts';
import { DAEMON_END_GRACE_MS, DAEMON_START_TIMEOUT_MS } from '../daemon/limits.ts';

/** The daemon has a shorter time-out of its own. */
const TIMEOUT_MS = DAEMON_START_TIMEOUT_MS + 2 * DAEMON_END_GRACE_MS;
/** Exists exactly if systemd runs this machine. */
const SYSTEMD = '/run/systemd/system';
const UNITS = ['/etc/systemd/system/rsiod.service', '/usr/lib/systemd/system/rsiod.service', '/lib/systemd/system/rsiod.service'];

interface StartCommand {
  readonly program: string;
  readonly args: readonly string[];
  /** A further hint for the person. */
  readonly remark: string | null;
}

/** Throws E_SYSTEM if rsiod did not start; `note` has received rsiod's own message. */
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

/** `own`: the launcher that runs now. The systemd unit is for the real root only. */
export function startCommand(root: string, own: string | undefined, isThere: (path: string) => boolean): StartCommand {
  if (root === '' && isThere(SYSTEMD) && UNITS.some(isThere)) {
    return { program: 'systemctl', args: ['start', 'rsiod'], remark: 'To start rsiod at each boot: systemctl enable rsiod' };
  }
  const beside = own === undefined ? '' : join(dirname(realpathSync(own)), 'rsiod');
  // If there is none next to it, the one in PATH.
  return { program: isThere(beside) ? beside : 'rsiod', args: root === '' ? [] : ['--root', root], remark: null };
}
