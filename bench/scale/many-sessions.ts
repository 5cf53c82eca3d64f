// A large number of sessions of one path each, opened by the bench's own opener and held by a few load generators. The generators answer
// PINGs and, when ordered, keep requests in flight on each session. Invariant: no generator has more sessions than it can serve with PONGs
// in time while further sessions are opened.

import type { Hosts } from '@rsio/test/support/hosts/hosts';
import { LoadClient } from '../load/load-client.ts';
import { openRsio } from '../load/open-rsio.ts';
import type { OpenConnection, RsioVolume, Target } from '../load/orders.ts';
import { FILE_BYTES } from '../workload.ts';

/** Each generator has the same number of sessions, so that all generators send the same number of requests. */
const SESSIONS_EACH = 250;
/** Concurrent handshakes: fewer than the unproven connections that a server allows for one address. */
const AT_ONCE = 8;

/**
 * Opens a session for each of the first `count` nodes. All sessions open the same volume, read-only, so that all of them may have it open.
 */
export async function openSessions(
  hosts: Hosts,
  target: Target,
  volume: RsioVolume,
  count: number,
  cores: readonly number[],
): Promise<LoadClient[]> {
  const loads: LoadClient[] = [];
  for (let first = 0; first < count; first += SESSIONS_EACH) {
    const size = Math.min(SESSIONS_EACH, count - first);
    const connections = await openAll(target, volume, first, size);
    const load = await LoadClient.adopt(connections, 'rsio', cores, FILE_BYTES);
    hosts.onClean(() => load.stop());
    loads.push(load);
  }
  return loads;
}

async function openAll(target: Target, volume: RsioVolume, first: number, size: number): Promise<OpenConnection[]> {
  const opened: OpenConnection[] = [];
  let next = first;
  const openSome = async (): Promise<void> => {
    while (next < first + size) opened.push(...(await openRsio(target, volume, { client: next++, paths: 1, isReadonly: true, cores: [] })));
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, size) }, openSome));
  return opened;
}
