// Runs a program again in a namespace of its own. In the shared mount namespace, other programs could get copies of its mounts, and a copy keeps
// a file system and its disk busy. In the shared network namespace, counters count the bytes of other programs. Invariant: no mount of the
// program is visible outside.

import { spawn } from 'node:child_process';
import { once } from 'node:events';

export type Own = 'mounts' | 'network';

const UNSHARE: Readonly<Record<Own, readonly string[]>> = {
  mounts: ['--mount', '--propagation', 'private'],
  network: ['--net', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh'],
};

/** Returns the exit code of this program, run again in a namespace of its own; null if this process already has one. */
export async function runInOwn(own: Own): Promise<number | null> {
  // This variable is set in the process that has its own namespace.
  const mark = `RSIO_OWN_${own.toUpperCase()}`;
  if (process.env[mark] !== undefined) return null;
  const command = [...UNSHARE[own], process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const child = spawn('unshare', command, { stdio: 'inherit', env: { ...process.env, [mark]: 'yes' } });
  for (const how of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(how, () => child.kill(how));
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? 1;
}
