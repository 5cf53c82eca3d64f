// Mutants of rules for requests that a limit or a pause holds. By these rules, a held request survives the end of its path, and never runs
// after the end of its handle. The zoo runs these mutants against seeds with limits (explorers/limited-seeds.ts).

import type { ServerPath } from '@rsio/rssrv/session/server-path';
import { Session } from '@rsio/rssrv/session/session';
import type { Status } from '@rsio/protocol/wire/status';
import { type HeldRequest, type ThrottledHandle, VolumeThrottle } from '@rsio/rssrv/volumes/throttle/volume-throttle';
import type { FixedQueue } from '@rsio/base/structures/fixed-queue';
import { override } from '../../base/override.ts';
import type { Mutant, PrivateAs } from '../mutants/mutant.ts';

interface ThrottleInner {
  queue: PrivateAs<VolumeThrottle['queue'], FixedQueue<HeldRequest>>;
}

interface SessionInner {
  volumes: { readonly throttles: { byVolume: Map<string, ThrottleInner> } };
}

export const LIMIT_MUTANTS: readonly Mutant[] = [
  {
    name: 'held-forgotten',
    rule: 'S1',
    also: ['G37'],
    breaks: 'The requests that a limit holds are dropped when a path closes',
    explorer: 'limits',
    apply: () =>
      override<SessionInner, [ServerPath, string], void>(Session, 'pathClosed', (original) => (self, path, reason) => {
        for (const { queue } of self.volumes.throttles.byVolume.values()) queue.clear();
        original(self, path, reason);
      }),
  },
  {
    name: 'held-runs-late',
    rule: 'S11',
    also: ['O1', 'G37'],
    breaks: 'A request that a limit holds is answered with STALE when its handle ends, and is executed as well',
    explorer: 'limits',
    apply: () =>
      override<ThrottleInner, [ThrottledHandle | null, Status], void>(VolumeThrottle, 'endHeld', (original) => (self, open, status) => {
        const held = self.queue.toArray().filter((request) => open === null || request.open === open);
        for (const request of held) request.start(request.sinceMs);
        original(self, open, status);
      }),
  },
];
