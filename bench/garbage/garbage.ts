// How much heap a request allocates in rsiod and in the worker of rssrv, and how long collections pause both, with the load on the NBD
// socket of rsiod, over one path. The processes record their own collections (gc-probe.ts) and are otherwise unchanged.

import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { waitFor } from '@rsio/test/support/programs/wait-for';
import { localPair } from '../client/local-pair.ts';
import { LoadClient } from '../load/load-client.ts';
import type { LoadShape } from '../load/orders.ts';
import { benchFolder } from '../native/compile.ts';
import { inScene } from '../scene.ts';
import type { SectionContext, SectionResult } from '../section-run.ts';
import type { Line } from '../sheet.ts';
import { once, type Spread, worstOf } from '../summary.ts';
import { row } from '../workload.ts';
import { bytesPerRequest, type HeapHistory, pauseMs } from './collections.ts';

const KIB = 1024;
const ROWS = [row('read', 8 * KIB, 32), row('write', 8 * KIB, 32)];
const NODE = 'big-2';
const SIDES = ['server process', 'rsiod'] as const;
const WRITTEN_MS = 10_000;
/** Time of load before the first window, because compilation during a window would count as allocation of requests. */
const WARM_SECONDS = 3;
/** Time between the signal that starts the recording and the load. */
const BEGUN_MS = 100;

interface Noted {
  readonly requests: number[];
  readonly histories: HeapHistory[];
}

export function measureGarbage(context: SectionContext): Promise<SectionResult> {
  return inScene(context, async ({ hosts }) => {
    const folder = mkdtempSync(join(os.tmpdir(), 'rsio-bench-gc-'));
    hosts.onClean(() => rmSync(folder, { recursive: true, force: true }));
    const probe = pathToFileURL(join(benchFolder(), 'dist/garbage/gc-probe.js')).href;
    const command = ['env', `NODE_OPTIONS=--import=${probe}`, `RSIO_BENCH_GC=${folder}`];
    const { host, target } = await localPair(hosts, context.parent, { wantsDevices: false, command });
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
      const noted = await noteRounds(load, shape, pids, folder, context);
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
  folder: string,
  { plan }: SectionContext,
): Promise<Noted[]> {
  const noted: Noted[] = pids.map(() => ({ requests: [], histories: [] }));
  await load.run(shape, 1, { warmUpMs: 0, windowMs: WARM_SECONDS * 1000 }).done;
  for (let round = 1; round <= plan.rounds; round++) {
    for (const pid of pids) process.kill(pid, 'SIGUSR2');
    await after(BEGUN_MS);
    // The count includes the requests that are in flight at the end of the window. Requests in flight are only a thousandth of all
    // requests.
    const { requests } = await load.run(shape, round + 1, { warmUpMs: 0, windowMs: plan.seconds * 1000 }).done;
    for (const pid of pids) process.kill(pid, 'SIGUSR2');
    for (const [side, pid] of pids.entries()) {
      noted[side]?.histories.push(await historyOf(join(folder, `${pid}.json`)));
      noted[side]?.requests.push(requests);
    }
  }
  return noted;
}

async function historyOf(file: string): Promise<HeapHistory> {
  await waitFor(() => existsSync(file), WRITTEN_MS, `The process has written ${file}`);
  const history = JSON.parse(readFileSync(file, 'utf8')) as HeapHistory;
  rmSync(file);
  return history;
}
