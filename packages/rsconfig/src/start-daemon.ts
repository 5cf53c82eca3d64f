// Starts rsiod as a person does: the launcher beside the one that runs now, so that both are of one installation. It comes back when the
// daemon is up, or says why not. Invariant: bounded in time; what rsiod says on the way is passed on.

import { execFile } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { errnoName, RsError } from '@rsio/protocol/lib/errors';
import { DAEMON_END_GRACE_MS, DAEMON_START_TIMEOUT_MS } from '@rsio/protocol/limits';
import type { CommandContext } from './commands/command-context.ts';

/** The daemon has its own, shorter bound. */
const TIMEOUT_MS = DAEMON_START_TIMEOUT_MS + 2 * DAEMON_END_GRACE_MS;

/** Throws E_SYSTEM when it did not come up; the reason, in rsiod's own words, has been printed. */
export async function startDaemon(context: CommandContext): Promise<void> {
  const { root } = context.paths;
  const launcher = launcherBeside(process.argv[1]);
  const args = root === '' ? [] : ['--root', root];
  context.note('Starting rsiod');
  const failure = await new Promise<Error | null>((resolve) => {
    execFile(launcher, args, { timeout: TIMEOUT_MS, killSignal: 'SIGKILL', encoding: 'utf8' }, (error, _stdout, stderr) => {
      for (const line of stderr.split('\n')) if (line.trim() !== '') context.note(line.replace(/^rsiod: /, ''));
      resolve(error);
    });
  });
  if (failure === null) return;
  const why = errnoName(failure) === 'ENOENT' ? `there is no ${launcher}` : 'see above';
  throw new RsError(
    'E_SYSTEM',
    `rsiod did not come up (${why}): start it by hand with ${launcher}${args.map((arg) => ` ${arg}`).join('')}`,
  );
}

/** Without one beside it, the one that PATH has. */
function launcherBeside(own: string | undefined): string {
  const beside = own === undefined ? '' : join(dirname(realpathSync(own)), 'rsiod');
  return existsSync(beside) ? beside : 'rsiod';
}
