// Makes the objects for requests that wait in the throttle of their volume. A waiting request counts as received but not as begun. Copies
// of a waiting request get the same answer, and the wait does not count as slow storage. If the handle of a waiting request is closed, the
// request ends with STALE. Invariant: the buffer of a request passes either to the code that begins the request, or back to the pool of
// buffers.

import type { Clock } from '@rsio/base/lib/clock';
import type { BufferPool } from '@rsio/base/structures/buffer-pool';
import type { SlotTable } from '@rsio/protocol/link/slot-table';
import type { Header } from '@rsio/protocol/wire/header';
import type { Status } from '@rsio/protocol/wire/status';
import type { HeldRequest, ThrottledHandle } from './volume-throttle.ts';

export interface HeldRequestPorts {
  readonly clock: Clock;
  readonly slots: SlotTable;
  readonly bodies: Pick<BufferPool, 'giveBack'>;
  /** Arrival time of the request that is being handled. */
  now(): number;
  /** Called before a request begins. */
  begins(nowMs: number): void;
  /** Answers the request on every path that has delivered the request or a copy. */
  answered(header: Header, status: Status): void;
}

/**
 * Returns a request that begins later, by a call of `begin`. `body`: the buffer with the data of the request; empty if the request has
 * no data.
 */
export function heldRequest(
  ports: HeldRequestPorts,
  open: ThrottledHandle & { readonly counters: { held(ms: number): void } },
  header: Header,
  bytes: number,
  body: Buffer,
  begin: () => void,
): HeldRequest {
  const sinceMs = ports.now();
  ports.slots.hold(header.slot);
  return {
    open,
    bytes,
    sinceMs,
    start: (nowMs) => {
      ports.begins(nowMs);
      ports.slots.begins(header.slot, nowMs);
      open.counters.held(nowMs - sinceMs);
      begin();
    },
    end: (status) => {
      open.counters.held(ports.clock.monotonicMs() - sinceMs);
      if (body.length > 0) ports.bodies.giveBack(body);
      ports.answered(header, status);
    },
  };
}
