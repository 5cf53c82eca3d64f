// The heap that a request allocates in rsiod and in the worker of rssrv, counted and not timed: both processes record their collections while
// a client keeps 32 requests of 8 KiB in flight. Invariant: a request allocates no more than its goal, which `npm run bench` publishes as
// well.

import { expect, it } from 'vitest';
import { allocatedBytes, HEAP_GOALS } from '../support/heap/heap-history.ts';
import { NotedHeap } from '../support/heap/noted-heap.ts';
import { startClient, startServer } from '../support/hosts/configs.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { NbdClient } from '../support/io/nbd-client.ts';
import { report } from '../support/programs/report.ts';

const NODE = 'big-2';
const LENGTH_BYTES = 8192;
const BLOCKS = 2048;
const DEPTH = 32;
/** Until then, the engine has compiled what requests run through. */
const WARM_REQUESTS = 30_000;
const REQUESTS = 10_000;
/** On a busy machine, a window has fewer requests for each time that rsiod wakes up, and what else a process does counts as well. */
const WINDOWS_MAX = 12;

const hosts = useHosts();

it('a read and a write of 8 KiB allocate no more heap than their goals', async () => {
  const heap = new NotedHeap(hosts);
  const host = hosts.host(heap.command);
  const network = await hosts.network(1);
  await startServer(host, network, { volumes: { oracle: { path: host.file('oracle.img'), size: String(BLOCKS * LENGTH_BYTES) } } });
  await startClient(host, network);
  await host.rsconfigWell('-a', 'oracle');
  const aborter = new AbortController();
  hosts.onClean(() => aborter.abort());
  const nbd = await NbdClient.open(host.rsiodPaths.nbdSocket, 'osl/oracle', aborter.signal);
  const pids = [host.worker(NODE), host.pid('rsiod')];
  const data = Buffer.alloc(LENGTH_BYTES, 'x');

  /** Keeps DEPTH requests in flight. */
  const load = async (kind: 'read' | 'write', requests: number): Promise<void> => {
    let begun = 0;
    const lane = async (): Promise<void> => {
      while (begun < requests) {
        const offset = (begun++ % BLOCKS) * LENGTH_BYTES;
        await (kind === 'read' ? nbd.read(offset, LENGTH_BYTES) : nbd.write(offset, data));
      }
    };
    await Promise.all(Array.from({ length: DEPTH }, lane));
  };

  /** What each process allocates for a request, in the window in which it allocates least. */
  const allocated = async (kind: 'read' | 'write', rsiodGoal: number): Promise<readonly [server: number, rsiod: number]> => {
    await load(kind, WARM_REQUESTS);
    let [server, rsiod] = [Infinity, Infinity];
    for (let window = 0; window < WINDOWS_MAX && (server > HEAP_GOALS.server || rsiod > rsiodGoal); window++) {
      await heap.begin(pids);
      await load(kind, REQUESTS);
      const [its = NaN, own = NaN] = (await heap.end(pids)).map((history) => allocatedBytes(history) / REQUESTS);
      [server, rsiod] = [Math.min(server, its), Math.min(rsiod, own)];
    }
    return [server, rsiod];
  };

  const [readServer, readClient] = await allocated('read', HEAP_GOALS.rsiodReads);
  const [writeServer, writeClient] = await allocated('write', HEAP_GOALS.rsiodWrites);
  const found = { server: Math.max(readServer, writeServer), rsiodReads: readClient, rsiodWrites: writeClient };
  report('heap bytes for a request of 8 KiB', found);
  for (const [what, goal] of Object.entries(HEAP_GOALS)) {
    const bytes = found[what as keyof typeof found];
    expect(bytes, `${what}: heap bytes for a request`).toBeLessThanOrEqual(goal);
    // Less would mean that the probe has seen nothing.
    expect(bytes, what).toBeGreaterThan(goal / 10);
  }
  await nbd.close();
});
