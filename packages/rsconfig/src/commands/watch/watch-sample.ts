// Two looks at the daemon become what happened between them: rates for each path, and what waits. Pure; when the looks are taken is
// watch.ts, how it is shown watch-picture.ts. Invariant: a path is in a sample exactly when -m status shows it, in its order.

import type { PathStats, StatsView, StatusView, WaitingView } from '@rsio/common/control/methods';
import type { Direction, PathState } from '@rsio/common/lib/path-states';
import { perSecond } from '../../output/format-stats.ts';

/** What rsiod said at one moment. */
export interface Look {
  readonly atMs: number;
  readonly monotonicMs: number;
  readonly status: StatusView;
  readonly stats: StatsView;
}

export interface PathSample {
  readonly interface: string;
  readonly address: string;
  readonly port: number;
  readonly state: PathState;
  readonly tx: Direction;
  readonly rx: Direction;
  readonly sentBytesPerSecond: number;
  readonly receivedBytesPerSecond: number;
  readonly requestsPerSecond: number;
  readonly roundTripMs: number | null;
}

export interface WatchSample {
  /** Wall clock. */
  readonly atMs: number;
  readonly paths: readonly PathSample[];
  readonly waiting: readonly WaitingView[];
}

/** What happened from `before` to `now`. */
export function sampleOf(before: Look, now: Look): WatchSample {
  const seconds = (now.monotonicMs - before.monotonicMs) / 1_000;
  const earlier = countersByPath(before.stats);
  const counters = countersByPath(now.stats);
  const paths = now.status.interfaces.flatMap((view) =>
    view.reps.map((rep): PathSample => {
      const key = keyOf(view.name, rep);
      const count = counters.get(key);
      const then = earlier.get(key);
      const rate = (of: (stats: PathStats) => number): number =>
        count === undefined ? 0 : perSecond(of(count), then === undefined ? undefined : of(then), seconds);
      return {
        interface: view.name,
        address: rep.address,
        port: rep.port,
        state: rep.state,
        tx: rep.tx,
        rx: rep.rx,
        sentBytesPerSecond: rate(({ sentBytes }) => sentBytes),
        receivedBytesPerSecond: rate(({ receivedBytes }) => receivedBytes),
        requestsPerSecond: rate(({ requests }) => requests),
        roundTripMs: rep.roundTripMs,
      };
    }),
  );
  return { atMs: now.atMs, paths, waiting: now.status.waiting };
}

function countersByPath({ paths }: StatsView): Map<string, PathStats> {
  return new Map(paths.map((path) => [keyOf(path.interface, path), path]));
}

/** Two servers may share an address, and differ in the port. */
function keyOf(name: string, { address, port }: { readonly address: string; readonly port: number }): string {
  return `${name} ${address} ${port}`;
}
