// How much heap a request allocates in rsiod and in the worker of rssrv, and how long collections pause both, with the load on the NBD
// socket of rsiod, over one path. The processes record their own collections (test/support/heap) and are otherwise unchanged.

import type { HeapHistory } from '@rsio/test/support/heap/heap-history';
import { NotedHeap } from '@rsio/test/support/heap/noted-heap';
import { localPair } from '../client/local-pair.ts';
import { LoadClient } from '../load/load-client.ts';
import type { LoadShape } from '../load/orders.ts';
import { inScene } from '../scene.ts';
import type { SectionContext, SectionResult } from '../section-run.ts';
import type { Line } from '../sheet.ts';
import { once, type Spread, worstOf } from '../summary.ts';
import { row } from '../workload.ts';
import { bytesPerRequest, pauseMs } from './collections.ts';

const KIB = 1024;
const ROWS = [row('read', 8 * KIB, 32), row('write', 8 * KIB, 32)];
const NODE = 'big-2';
const SIDES = ['server process', 'rsiod'] as const;
/** Time of load before the first window, because compilation during a window would count as allocation of requests. */
const WARM_SECONDS = 3;

interface Noted {
  readonly requests: number[];
  readonly histories: HeapHistory[];
}

export function measureGarbage(context: SectionContext): Promise<SectionResult> {
  return inScene(context, async ({ hosts }) => {
    const heap = new NotedHeap(hosts);
    const { host, target } = await localPair(hosts, context.parent, { wantsDevices: false, command: heap.command });
    const load = await LoadClient.open(target, {
      client: 0,
      connections: 1,
      isReadonly: false,
      cores: [context.cores.server, context.cores.load],
    });
    hosts.onClean(() => load.stop());
    const pids = [host.worker(NODE), host.pid('rsiod')];
    const lines: Line[] = [];
    const all: Spread[][] = SIDES.map(() => []);
    const pauses: HeapHistory[][] = SIDES.map(() => []);
    for (const shape of ROWS) {
      const noted = await noteRounds(load, shape, pids, heap, context);
      for (const [side, { requests, histories }] of noted.entries()) {
        const bytes = bytesPerRequest(histories, requests);
        all[side]?.push(bytes);
        pauses[side]?.push(...histories);
        const collections = histories.reduce((sum, one) => sum + one.collections.length, 0);
        const values = [bytes, once(collections), once(pauseMs(histories, 999)), once(pauseMs(histories, 1000))];
        lines.push({ what: `${shape.title}: ${SIDES[side] ?? ''}`, values });
      }
    }
    const columns = [
      { heading: 'heap bytes per request', digits: 0 },
      { heading: 'collections', digits: 0 },
      { heading: 'pauses p99.9, ms', digits: 2 },
      { heading: 'longest, ms', digits: 2 },
    ];
    const sheet = {
      name: 'garbage',
      title: 'Garbage collection at both ends, load at the NBD socket of rsiod, one path',
      columns,
      lines,
      notes: [],
    };
    return { sheets: [sheet], figures: figuresOf(all, pauses), absent: [] };
  });
}

/**
 * Returns the figures for the goals: the higher one of the server's allocations for reads and for writes, and the pauses of both processes.
 */
function figuresOf(
  [server = [], client = []]: Spread[][],
  [serverPauses = [], clientPauses = []]: HeapHistory[][],
): SectionResult['figures'] {
  const [reads, writes] = client;
  return {
    serverGarbage: worstOf(server),
    ...(reads === undefined || writes === undefined ? {} : { clientGarbageReads: reads, clientGarbageWrites: writes }),
    serverPauses: once(pauseMs(serverPauses, 999)),
    clientPauses: once(pauseMs(clientPauses, 999)),
  };
}

/** Alternates between the load and the writing of the histories. */
async function noteRounds(
  load: LoadClient,
  shape: LoadShape,
  pids: readonly number[],
  heap: NotedHeap,
  { plan }: SectionContext,
): Promise<Noted[]> {
  const noted: Noted[] = pids.map(() => ({ requests: [], histories: [] }));
  await load.run(shape, 1, { warmUpMs: 0, windowMs: WARM_SECONDS * 1000 }).done;
  for (let round = 1; round <= plan.rounds; round++) {
    await heap.begin(pids);
    // The count includes the requests that are in flight at the end of the window. Requests in flight are only a thousandth of all
    // requests.
    const { requests } = await load.run(shape, round + 1, { warmUpMs: 0, windowMs: plan.seconds * 1000 }).done;
    for (const [side, history] of (await heap.end(pids)).entries()) {
      noted[side]?.histories.push(history);
      noted[side]?.requests.push(requests);
    }
  }
  return noted;
}
