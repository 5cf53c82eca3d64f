// The cost of a client's replay log: writes through rsiod's NBD socket, alternately with the log and without, and the memory of rsiod with
// a full log. log-clients.ts starts the clients, and summary.ts makes the figures. The clients have a core to themselves, so that their
// cost determines the figures; server and load share the other core.

import { setTimeout as after } from 'node:timers/promises';
import { callControl } from '@rsio/api/rsiod/call-rsiod';
import { RsError } from '@rsio/base/lib/errors';
import { LoadClient } from './load/load-client.ts';
import type { Measured, Window } from './load/orders.ts';
import { type LogClient, startLogScene } from './log-clients.ts';
import { measure } from './measure.ts';
import { rssBytesOf } from './proc.ts';
import { type Figures, figuresOf, ratioOf, type Spread } from './summary.ts';
import { LOG_ROW, type Plan, type Row } from './workload.ts';

export interface LogMemory {
  /** Memory of rsiod with a full log, and of rsiod without log under the same load. */
  readonly rssBytes: readonly [number, number];
  readonly usedBytes: number;
  readonly sizeBytes: number;
}

export interface LogCost {
  readonly row: Row;
  /** The client with the log, then the client without. */
  readonly clients: readonly [Figures, Figures];
  /** IOPS with the log divided by IOPS without. */
  readonly ratio: Spread;
  readonly memory: LogMemory;
}

interface Pair {
  readonly client: LogClient;
  readonly load: LoadClient;
}

/** A log that holds this share of its size counts as full. A log stops below its size when the next write does not fit. */
const FULL_SHARE = 0.95;
const FULL_WITHIN_MS = 20_000;
const LOOK_MS = 20;
/** The load that fills the log. The load is shorter than a delayed flush, and long enough to fill the log. */
const FILLING: Window = { warmUpMs: 1_000, windowMs: 4_000 };

export async function measureLog(
  directory: string,
  cores: { readonly client: number; readonly other: number },
  plan: Plan,
  endings: (() => Promise<void> | void)[],
): Promise<LogCost> {
  const stops: (() => Promise<void>)[] = [];
  endings.push(async () => {
    for (let stop = stops.pop(); stop !== undefined; stop = stops.pop()) await stop();
  });
  const scene = await startLogScene(directory, cores.other, cores.client, stops);
  const pairs: Pair[] = [];
  for (const client of scene.clients) {
    const load = await LoadClient.open(client.target, { client: 0, connections: 1, isReadonly: false, cores: [cores.other] });
    endings.push(() => load.stop());
    pairs.push({ client, load });
  }
  const [ours, theirs] = pairs;
  if (ours === undefined || theirs === undefined) throw new RsError('E_INTERNAL', 'Two clients are needed');
  const rounds: { readonly ours: Measured; readonly theirs: Measured }[] = [];
  for (let round = 1; round <= plan.rounds; round++) {
    rounds.push({ ours: await window(ours, round, plan), theirs: await window(theirs, round, plan) });
  }
  const clients = [
    figuresOf(
      'log',
      'rsiod with its log',
      rounds.map((round) => round.ours),
    ),
    figuresOf(
      'no-log',
      'rsiod without it',
      rounds.map((round) => round.theirs),
    ),
  ] as const;
  scene.holdFlushes(true);
  const memory = await fill(ours, theirs);
  scene.holdFlushes(false);
  return { row: LOG_ROW, clients, ratio: ratioOf(...clients, ({ iops }) => iops), memory };
}

function window({ client, load }: Pair, seed: number, times: Window): Promise<Measured> {
  return measure([load], LOG_ROW, seed, times, [client.pid]);
}

/** Fills the log; the server answers no FLUSH during this time. */
async function fill(ours: Pair, theirs: Pair): Promise<LogMemory> {
  await window(theirs, 1, FILLING);
  const without = rssBytesOf(theirs.client.pid);
  const filling = window(ours, 1, FILLING);
  const endMs = performance.now() + FULL_WITHIN_MS;
  for (;;) {
    const [log] = (await callControl(ours.client.controlSocket, 'status', {})).logs;
    if (log !== undefined && log.usedBytes >= FULL_SHARE * log.sizeBytes) {
      const rssBytes = rssBytesOf(ours.client.pid);
      await filling;
      return { rssBytes: [rssBytes, without], usedBytes: log.usedBytes, sizeBytes: log.sizeBytes };
    }
    if (performance.now() > endMs)
      throw new RsError(
        'E_TIMEOUT',
        `The log of rsiod is not full after ${FULL_WITHIN_MS} ms: it has ${log?.usedBytes} of ${log?.sizeBytes} bytes`,
      );
    await after(LOOK_MS);
  }
}
