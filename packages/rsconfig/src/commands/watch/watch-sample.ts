// Computes what happened between two snapshots of the daemon: the rates on each path, and the waiting volumes. Invariant: a sample contains
// exactly the paths that -m status shows, in that order.

import type { PathStats, StatsView, StatusView, WaitingView } from '@rsio/api/rsiod/methods';
import type { Direction, PathState } from '@rsio/base/lib/path-states';
import { countersByPath, pathKey, perSecond } from '../../output/format-stats.ts';

/** Answers of rsiod to `status` and `stats`, requested at the same time. */
export interface Snapshot {
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
  /** Wall-clock time. */
  readonly atMs: number;
  readonly paths: readonly PathSample[];
  readonly waiting: readonly WaitingView[];
}

/** Computes the rates between the snapshots `before` and `now`. */
export function sampleOf(before: Snapshot, now: Snapshot): WatchSample {
  const seconds = (now.monotonicMs - before.monotonicMs) / 1_000;
  const earlier = countersByPath(before.stats);
  const counters = countersByPath(now.stats);
  const paths = now.status.interfaces.flatMap((view) =>
    view.reps.map((rep): PathSample => {
      const key = pathKey(view.name, rep);
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
