// Mutants of the conditions for a take (F10, F15) and of the keys of reservations (F13). The zoo hunts these mutants in the worlds of
// explorers/take-worlds.ts and explorers/key-worlds.ts, because the worlds of test/sim/farm have other fences, and do not judge whether a
// move was needless.

import type { SharedDiskConfig } from '@rsio/common/config/schema/types';
import { TAKE_OVER_MS } from '@rsio/common/config/schema/limits';
import { ReservationEngine } from '@rsio/rssrv/farm/engines/reservation';
import { FarmWatch } from '@rsio/rssrv/farm/farm-watch';
import { SharedPool } from '@rsio/rssrv/farm/shared-pool';
import { override } from '../../base/override.ts';
import type { Mutant, PrivateAs } from '../mutants/mutant.ts';

interface WatchInner {
  readonly server: PrivateAs<FarmWatch['server'], string>;
}

interface PoolInner {
  config: PrivateAs<SharedPool['config'], SharedDiskConfig>;
}

/** Makes the servers decide with another configuration. */
function deciding(change: (config: SharedDiskConfig) => SharedDiskConfig): () => void {
  return override<PoolInner, [], void>(SharedPool, 'decide', (original) => (self) => {
    const { config } = self;
    self.config = change(config);
    original(self);
    self.config = config;
  });
}

export const TAKE_MUTANTS: readonly Mutant[] = [
  {
    name: 'silent-at-once',
    rule: 'F10',
    breaks: 'A server takes the pool of an owner whose notes it has just seen',
    explorer: 'takes',
    apply: () =>
      override<WatchInner, [string], number>(
        FarmWatch,
        'silentMs',
        (original) => (self, server) => (server === self.server ? original(self, server) : Number.MAX_SAFE_INTEGER),
      ),
  },
  {
    name: 'never-unheeded',
    rule: 'F10',
    breaks: 'With take-over-after = never, a server takes the pool without a command',
    explorer: 'takes',
    apply: () => deciding((config) => ({ ...config, takeOverMs: config.takeOverMs ?? TAKE_OVER_MS })),
  },
  {
    name: 'taken-unfenced',
    rule: 'F15',
    breaks: 'Without a fence, a server takes the pool of a silent owner',
    explorer: 'takes',
    apply: () => deciding((config) => ({ ...config, fence: { kind: 'rbd' } })),
  },
  {
    name: 'key-uncleared',
    rule: 'F13',
    breaks: 'A server registers a key although its kernel still has a mount, and cached writes, of a fenced client',
    explorer: 'keys',
    apply: () => override(ReservationEngine, 'refuseUncleared', () => () => Promise.resolve()),
  },
];
