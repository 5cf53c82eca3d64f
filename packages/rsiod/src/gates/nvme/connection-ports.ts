// What a connection of a host uses, and whom it tells what happens. nvme-connection.ts has the connection.
// Invariant: all connections of all gates share the pools and the budget.

import type { DataBuffers } from '../../frontends/streams/data-buffers.ts';
import type { MemoryBudget } from '../../frontends/streams/memory-budget.ts';
import type { BatchPool } from '../../frontends/streams/transport.ts';
import type { Subsystem } from './subsystem.ts';

export interface NvmePools {
  readonly data: DataBuffers;
  readonly batches: BatchPool;
  readonly budget: MemoryBudget;
  /** Calls `fire` once, at the end of the current event-loop turn. */
  readonly schedule: (fire: () => void) => void;
}

export interface NvmeConnectionEvents {
  /** Finds the subsystem that a host names; null if it is not here. */
  subsystem(nqn: string): Subsystem | null;
  /** Called once, when the host has logged in. */
  connected(): void;
  /** Returns true if the process has just stood still; all connections are then closed (rule D1). */
  stoodStill(): boolean;
  /** Called when the connection is closed, with the reason. */
  closing(why: string): void;
  failed(thrown: unknown): void;
  /** Called once, when the connection is closed and neither a volume nor the socket uses anything of it. */
  finished(): void;
}
