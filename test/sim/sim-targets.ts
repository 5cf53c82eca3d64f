// What misfortunes can strike in a simulated world, and how their number is counted.
// Leaves what befalls which target to sim-faults.ts.

import type { SeededRandom } from '@rsio/common/testing/seeded-random';
import type { SimClient } from './sim-client.ts';
import type { SimClock } from './sim-clock.ts';
import type { SimNetwork } from './sim-network.ts';
import type { SimServer } from './sim-server.ts';
import type { SimVolume } from './sim-volume.ts';
import type { Trace } from './trace.ts';

/** What can be struck. */
export interface Targets {
  readonly clock: SimClock;
  readonly random: SeededRandom;
  readonly network: SimNetwork;
  readonly servers: readonly SimServer[];
  readonly clients: readonly SimClient[];
  readonly volumes: readonly SimVolume[];
  readonly trace: Trace;
  /** Another client comes by the same nodename, if there may be one more. */
  secondInstance(of: SimClient): void;
  /** Somebody who has not got the volume takes it, if there is somebody. */
  takeOver(volume: SimVolume): void;
}

export interface FaultCounts {
  faults: number;
  processCrashes: number;
  listenerCrashes: number;
  machineCrashes: number;
  clientCrashes: number;
  pauses: number;
}
