// What misfortunes can strike in a simulated world, and how their number is counted.
// Leaves what befalls which target to sim-faults.ts.

import type { SeededRandom } from '@rsio/protocol/testing/seeded-random';
import type { SimClient } from './sim-client.ts';
import type { SimClock } from './sim-clock.ts';
import type { SimNetwork } from './sim-network.ts';
import type { SimServer } from './sim-server.ts';
import type { SimStorage } from './sim-storage.ts';
import type { Trace } from './trace.ts';

/** What can be struck. */
export interface Targets {
  readonly clock: SimClock;
  readonly random: SeededRandom;
  readonly network: SimNetwork;
  readonly servers: readonly SimServer[];
  readonly clients: readonly SimClient[];
  readonly storages: readonly SimStorage[];
  readonly trace: Trace;
}

export interface FaultCounts {
  faults: number;
  processCrashes: number;
  listenerCrashes: number;
  clientCrashes: number;
  pauses: number;
}
