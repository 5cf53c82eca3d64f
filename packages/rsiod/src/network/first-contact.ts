// Waits for the servers after a start of rsiod. The namespaces connect to them (namespace.ts). Invariant: the wait is bounded, because servers
// may be away for long.

import { sleep } from '@rsio/base/lib/waiting';
import { FIRST_CONTACT_WAIT_MS } from '@rsio/common/control/limits';
import type { Clock } from '@rsio/base/lib/clock';
import { FIRST_CONTACT_POLL_MS } from './limits.ts';
import type { Namespace } from './namespace.ts';

/** Waits at most FIRST_CONTACT_WAIT_MS until every path has been tried and every connected server has sent its list. */
export async function firstContact(
  clock: Pick<Clock, 'after' | 'monotonicMs'>,
  namespaces: { readonly list: readonly Pick<Namespace, 'isSettled'>[] },
): Promise<void> {
  const endMs = clock.monotonicMs() + FIRST_CONTACT_WAIT_MS;
  while (clock.monotonicMs() < endMs && !namespaces.list.every((namespace) => namespace.isSettled))
    await sleep(clock, FIRST_CONTACT_POLL_MS);
}
