// A load in a separate process, so that the netlab's own work does not appear as a pause. load-client.ts, in the parent process, sends
// orders over the channel, and each order gets one answer. The process ends with its parent.

import { monitorEventLoopDelay } from 'node:perf_hooks';
import { type LoadFigures, NbdLoad, type LoadShape } from './nbd-load.ts';
import { type NbdPlace, NbdStream } from './nbd-stream.ts';

export type LoadOrder =
  /** Order to open connections. The load distributes its requests over these connections in rotation. */
  | { readonly type: 'open'; readonly places: readonly NbdPlace[]; readonly name: string }
  | { readonly type: 'begin'; readonly shape: LoadShape }
  | { readonly type: 'take' }
  /** Order to send no more requests. The order is answered when all requests are answered. */
  | { readonly type: 'end' };

export interface LoadReport extends LoadFigures {
  /** Longest time in ms for which the load process itself did not run. Measured pauses may be too long by this time. */
  readonly ownStallMs: number;
}

export type LoadAnswer = { readonly report: LoadReport | null } | { readonly failure: string };

const stalls = monitorEventLoopDelay({ resolution: 1 });
let streams: NbdStream[] = [];
let load: NbdLoad | null = null;

async function execute(order: LoadOrder): Promise<LoadReport | null> {
  switch (order.type) {
    case 'open':
      for (const stream of streams) stream.close();
      streams = [];
      for (const place of order.places) streams.push(await NbdStream.open(place, order.name));
      return null;
    case 'begin':
      begin(order.shape);
      return null;
    case 'take':
      return take();
    case 'end':
      await load?.end();
      return take();
  }
}

function begin(shape: LoadShape): void {
  const made = new NbdLoad(
    shape,
    (lane, bytes) => streams[lane % streams.length]?.send(bytes),
    () => performance.now(),
  );
  for (const stream of streams) stream.serve(made);
  load = made;
  stalls.enable();
  stalls.reset();
  made.begin();
}

function take(): LoadReport {
  if (load === null) throw new Error('No load has begun');
  const ownStallMs = stalls.max / 1e6;
  stalls.reset();
  return { ...load.take(), ownStallMs };
}

function answer(message: LoadAnswer): void {
  if (process.connected) process.send?.(message);
}

process.on('message', (order) => {
  execute(order as LoadOrder).then(
    (report) => answer({ report }),
    (thrown: unknown) => answer({ failure: thrown instanceof Error ? thrown.message : String(thrown) }),
  );
});
process.on('disconnect', () => process.exit(0));
// Ctrl-C in a terminal signals the whole process group. The load process ignores Ctrl-C, because the parent decides when the load ends.
process.on('SIGINT', () => undefined);
