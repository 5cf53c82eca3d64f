// The targets of faults in a simulated world, and the choice among them.
// sim-faults.ts decides which target gets which fault.

import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import type { SimClient } from '../machines/sim-client.ts';
import type { SimClock } from '../base/sim-clock.ts';
import type { SimNetwork } from '../network/sim-network.ts';
import type { SimServer } from '../machines/sim-server.ts';
import type { SimVolume } from '../machines/sim-volume.ts';
import type { Trace } from '../base/trace.ts';

export interface Targets {
  readonly clock: SimClock;
  readonly random: SeededRandom;
  readonly network: SimNetwork;
  readonly servers: readonly SimServer[];
  readonly clients: readonly SimClient[];
  readonly volumes: readonly SimVolume[];
  readonly trace: Trace;
  /** Starts another client with the same nodename, if the world allows a further client. */
  secondInstance(of: SimClient): void;
  /** Makes a user that does not have the volume take it over, if there is such a user. */
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
