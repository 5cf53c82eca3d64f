// Flushes several replicas. Invariant: a flush counts only if each replica, when its answer arrives, has the tenure that the caller names.
// If the tenure has changed, the storage may have lost earlier writes.

import { STATUS } from '../../wire/status.ts';
import type { CopyIo } from './copy-ports.ts';
import type { Tenant } from './tenants.ts';

/** `done` is called once. */
export function flushAll(io: CopyIo, members: readonly Tenant[], done: (isFlushed: boolean) => void): void {
  let unanswered = members.length;
  let isFlushed = true;
  for (const { identity, tenure } of members) {
    io.flushAt(identity, (status) => {
      if (status !== STATUS.OK || io.tenureOf(identity) !== tenure) isFlushed = false;
      if (--unanswered === 0) done(isFlushed);
    });
  }
}
