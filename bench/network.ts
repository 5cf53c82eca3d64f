// The network that is measured over: loopback of a network namespace of the bench's own, with cubic both ways, so that nothing set on this
// machine counts. The bench starts itself again in it. Where that cannot be, the machine's own loopback, which is said.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';

/** Set in the namespace. */
const MARK = 'RSIO_BENCH_NETWORK';
const CONGESTION = 'cubic';
/** By route: the default of a namespace may be set to what the administrator allows all users only. */
const SETUP = `set -e
ip link set lo up
for destination in 127.0.0.0/8 127.0.0.1; do
  ip route change local $destination dev lo proto kernel scope host src 127.0.0.1 table local congctl ${CONGESTION}
done`;
const UNSHARE = ['--net', '--', 'sh', '-c'];

/** Why this machine allows none, a sentence; null: it does. */
function whyNot(): string | null {
  if (process.getuid?.() !== 0) return 'only root can make a network namespace';
  const { status, stderr, error } = spawnSync('unshare', [...UNSHARE, SETUP], { encoding: 'utf8' });
  return status === 0 ? null : `no network namespace: ${(error?.message ?? stderr).trim().split('\n').at(-1)}`;
}

/** Runs this program again in a namespace and gives its exit code; or null: the network is what it is, and `networkText` says what. */
export async function inOwnNetwork(): Promise<number | null> {
  if (process.env[MARK] !== undefined) return null;
  const reason = whyNot();
  process.env[MARK] = reason ?? '';
  if (reason !== null) return null;
  const command = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const child = spawn('unshare', [...UNSHARE, `${SETUP}\nexec "$@"`, 'sh', ...command], { stdio: 'inherit' });
  // Ctrl-C reaches both: the other one ends what it has started, this one waits for it.
  process.on('SIGINT', () => undefined);
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? 1;
}

/** What connections get that nobody has looked at. */
export function congestionHere(): string {
  if (process.env[MARK] === '') return CONGESTION;
  return readFileSync('/proc/sys/net/ipv4/tcp_congestion_control', 'latin1').trim();
}

/** `congestion`: what the connections really have. */
export function networkText(congestion: string): string {
  const reason = process.env[MARK] ?? '';
  if (reason === '') return `TCP over loopback in a network namespace of its own, ${congestion} on both sides`;
  return `TCP over this machine's loopback, ${congestion} (${reason})`;
}
