// Runs a program again in its own mount namespace. In the shared namespace, other programs could get copies of its mounts, and a copy keeps
// a file system and its disk busy. Invariant: no mount of the program is visible outside.

import { spawnSync } from 'node:child_process';

/** Environment variable that is set in the process that has its own mount namespace. */
const OWN_MOUNTS = 'RSIO_OWN_MOUNTS';

/** Returns the exit code of this program, run again in its own mount namespace; null if this process already has one. */
export function runWithOwnMounts(): number | null {
  if (process.env[OWN_MOUNTS] !== undefined) return null;
  const command = ['--mount', '--propagation', 'private', process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const { status } = spawnSync('unshare', command, { stdio: 'inherit', env: { ...process.env, [OWN_MOUNTS]: 'yes' } });
  return status ?? 1;
}
