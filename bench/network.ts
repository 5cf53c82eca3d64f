// The network of the bench: the loopback of its own network namespace, with cubic on both sides, so that no setting of this machine
// matters. If the namespace cannot be made, the bench uses the machine's own loopback, and the output says so.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';

/** Environment variable that is set only in the bench's own namespace. */
const MARK = 'RSIO_BENCH_NETWORK';
const CONGESTION = 'cubic';
/** Sets cubic on the route, because the default of a namespace must be an algorithm that the administrator allows to all users. */
const SETUP = `set -e
ip link set lo up
for destination in 127.0.0.0/8 127.0.0.1; do
  ip route change local $destination dev lo proto kernel scope host src 127.0.0.1 table local congctl ${CONGESTION}
done`;
const UNSHARE = ['--net', '--', 'sh', '-c'];

/** A sentence that says why this machine allows no namespace; null: it allows one. */
function whyNot(): string | null {
  if (process.getuid?.() !== 0) return 'only root can make a network namespace';
  const { status, stderr, error } = spawnSync('unshare', [...UNSHARE, SETUP], { encoding: 'utf8' });
  return status === 0 ? null : `no network namespace: ${(error?.message ?? stderr).trim().split('\n').at(-1)}`;
}

/**
 * Runs this program again in a namespace and returns its exit code; null: this process uses its current network, which `networkText`
 * describes.
 */
export async function inOwnNetwork(): Promise<number | null> {
  if (process.env[MARK] !== undefined) return null;
  const reason = whyNot();
  process.env[MARK] = reason ?? '';
  if (reason !== null) return null;
  const command = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const child = spawn('unshare', [...UNSHARE, `${SETUP}\nexec "$@"`, 'sh', ...command], { stdio: 'inherit' });
  // Ctrl-C reaches this process and its child in the namespace. The child ends everything that it has started, and this process only waits
  // for the child.
  process.on('SIGINT', () => undefined);
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? 1;
}

export function congestionHere(): string {
  if (process.env[MARK] === '') return CONGESTION;
  return readFileSync('/proc/sys/net/ipv4/tcp_congestion_control', 'latin1').trim();
}

export function networkText(congestion: string): string {
  const reason = process.env[MARK] ?? '';
  if (reason === '') return `TCP over loopback in a network namespace of its own, ${congestion} on both sides`;
  return `TCP over this machine's loopback, ${congestion} (${reason})`;
}
