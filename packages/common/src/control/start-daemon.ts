// Starts rsiod as a person does: by systemd where its unit is installed, else the launcher beside the one that runs now, so that both are
// of one installation. It comes back when the daemon is up, or says why not.
// Invariant: bounded in time; what is said on the way is passed on.

import { execFile } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { errnoName, RsError } from '../lib/errors.ts';
import { DAEMON_END_GRACE_MS, DAEMON_START_TIMEOUT_MS } from '../daemon/limits.ts';

/** The daemon has its own, shorter bound. */
const TIMEOUT_MS = DAEMON_START_TIMEOUT_MS + 2 * DAEMON_END_GRACE_MS;
/** There exactly when systemd runs this machine. */
const SYSTEMD = '/run/systemd/system';
const UNITS = ['/etc/systemd/system/rsiod.service', '/usr/lib/systemd/system/rsiod.service', '/lib/systemd/system/rsiod.service'];

interface StartCommand {
  readonly program: string;
  readonly args: readonly string[];
  /** What a person should know besides. */
  readonly remark: string | null;
}

/** Throws E_SYSTEM when it did not come up; the reason, in rsiod's own words, has been told to `note`. */
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
    throw new RsError('E_SYSTEM', `rsiod did not come up (${why}): start it by hand with ${[program, ...args].join(' ')}`);
  }
  if (remark !== null) note(remark);
}

/** `own`: the launcher that runs now. A unit is for the real root only. */
export function startCommand(root: string, own: string | undefined, isThere: (path: string) => boolean): StartCommand {
  if (root === '' && isThere(SYSTEMD) && UNITS.some(isThere)) {
    return { program: 'systemctl', args: ['start', 'rsiod'], remark: 'So that rsiod is started at each boot: systemctl enable rsiod' };
  }
  const beside = own === undefined ? '' : join(dirname(realpathSync(own)), 'rsiod');
  // Without one beside it, the one that PATH has.
  return { program: isThere(beside) ? beside : 'rsiod', args: root === '' ? [] : ['--root', root], remark: null };
}
