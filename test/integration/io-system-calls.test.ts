// The system calls of rsiod and of the worker of rssrv for bursts of 32 requests of 8 KiB, counted and not timed. Invariant: the calls of a
// burst do not grow with its requests, apart from the worker's calls that read and write the file of the volume.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { startClient, startServer } from '../support/hosts/configs.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { NbdClient } from '../support/io/nbd-client.ts';
import { report } from '../support/programs/report.ts';
import { SystemCalls } from '../support/hosts/system-calls.ts';

const NODE = 'big-2';
const LENGTH_BYTES = 8192;
const BLOCKS = 2048;
const DEPTH = 32;
const BURSTS = 100;
const REQUESTS = BURSTS * DEPTH;
/** Bursts before the count, which write every block. */
const WARM_BURSTS = 100;
/**
 * Calls for each request. A call for each request would exceed these goals. Found: 0.4 to 0.6 in rsiod, and 1.2 to 1.3 in the worker, of
 * which one is for the file.
 */
const GOALS = { rsiod: 0.9, worker: 1.9 } as const;

const hosts = useHosts();

it('the system calls of a burst do not grow with its requests', async (context) => {
  context.skip(spawnSync('strace', ['--version']).error !== undefined, 'needs strace');
  const host = hosts.host();
  const network = await hosts.network(1);
  await startServer(host, network, { volumes: { oracle: { path: host.file('oracle.img'), size: String(BLOCKS * LENGTH_BYTES) } } });
  await startClient(host, network);
  await host.rsconfigWell('-a', 'oracle');
  const aborter = new AbortController();
  hosts.onClean(() => aborter.abort());
  const nbd = await NbdClient.open(host.rsiodPaths.nbdSocket, 'osl/oracle', aborter.signal);
  const data = Buffer.alloc(LENGTH_BYTES, 'x');

  const bursts = async (kind: 'read' | 'write', count: number): Promise<void> => {
    for (let burst = 0; burst < count; burst++) {
      const offsets = Array.from({ length: DEPTH }, (_, index) => ((burst * DEPTH + index) % BLOCKS) * LENGTH_BYTES);
      await Promise.all(offsets.map((offset) => (kind === 'read' ? nbd.read(offset, LENGTH_BYTES) : nbd.write(offset, data))));
    }
  };

  const found: Record<string, number> = {};
  const rsiod = async (kind: 'read' | 'write'): Promise<void> => {
    const calls = await SystemCalls.begin(hosts, host.pid('rsiod'));
    await bursts(kind, BURSTS);
    const all = [...(await calls.end())];
    const each = all.reduce((sum, [, count]) => sum + count, 0) / REQUESTS;
    found[`rsiod, ${kind}s`] = each;
    expect(each, `rsiod: system calls for each ${kind}: ${JSON.stringify(all)}`).toBeLessThanOrEqual(GOALS.rsiod);
    // Less would mean that strace has seen nothing.
    expect(each, `rsiod, ${kind}s`).toBeGreaterThan(0.05);
  };
  // The worker would take calls that strace slows down for those of slow storage, and would use its threads.
  const worker = async (kind: 'read' | 'write'): Promise<void> => {
    const before = readsAndWrites(host.worker(NODE));
    await bursts(kind, BURSTS);
    const each = (readsAndWrites(host.worker(NODE)) - before) / REQUESTS;
    found[`worker, ${kind}s`] = each;
    expect(each, `worker: reads and writes for each ${kind}`).toBeLessThanOrEqual(GOALS.worker);
    expect(each, `worker: reads and writes for each ${kind}`).toBeGreaterThan(1);
  };

  for (const kind of ['write', 'read'] as const) {
    await bursts(kind, WARM_BURSTS);
    await worker(kind);
    await rsiod(kind);
  }
  report('system calls for a request of 8 KiB', found);
  await nbd.close();
});

/** Number of read and write calls of a process so far. */
function readsAndWrites(pid: number): number {
  const lines = readFileSync(`/proc/${pid}/io`, 'utf8');
  const countOf = (name: string): number => Number(new RegExp(`^${name}: (\\d+)$`, 'mu').exec(lines)?.[1]);
  return countOf('syscr') + countOf('syscw');
}
