// The production code of the syncs that a server makes without a request of a client (V1), over storage with a simulated page cache.
// Processes open the volume and write. Sometimes, a process is killed and the next one starts. Invariant: once a process has had the volume
// open for writes for SYNCED_MS, all earlier writes are synced.

import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { SELF_SYNC_MS } from '@rsio/protocol/link/limits';
import { OP } from '@rsio/protocol/wire/frames';
import { STATUS } from '@rsio/protocol/wire/status';
import type { OpenVolume } from '@rsio/rssrv/session/request';
import { VolumeSyncs } from '@rsio/rssrv/session/volume-syncs';

const TICK_MS = 500;
const TICKS = 200;
/** Writes must be synced within this time. A sync begins at most one tick after it is due, and takes another tick. */
const SYNCED_MS = SELF_SYNC_MS + 3 * TICK_MS;
const [KILLS, WRITES] = [0.02, 0.05];

/** Runs the world of this seed. Returns the fault as a sentence; null: no fault. */
export function syncWorld(seed: number): string | null {
  const random = new SeededRandom(seed);
  let nowMs = 0;
  let openedMs = 0;
  /** Time of the oldest write that is only in the page cache; null: all writes are synced. */
  let dirtyMs: number | null = null;
  const flush = (done: (status: number) => void): void => {
    dirtyMs = null;
    done(STATUS.OK);
  };
  const process = (): { readonly syncs: VolumeSyncs; readonly open: OpenVolume } => {
    const inFlight = { begin: () => undefined, end: () => undefined };
    const open = { volume: { id: 'v' }, readonly: false, hasUnsynced: false, isClosing: false, inFlight, backend: { flush } };
    const syncs = new VolumeSyncs(
      () => undefined,
      () => undefined,
    );
    syncs.opened(open as unknown as OpenVolume);
    openedMs = nowMs;
    return { syncs, open: open as unknown as OpenVolume };
  };
  let { syncs, open } = process();
  for (let tick = 0; tick < TICKS; tick++) {
    if (random.chance(WRITES)) {
      dirtyMs ??= nowMs;
      // A process may be killed after its write and before the answer.
      if (random.chance(0.3)) ({ syncs, open } = process());
      else syncs.ended(open, OP.WRITE, false, STATUS.OK);
    }
    if (random.chance(KILLS)) ({ syncs, open } = process());
    nowMs += TICK_MS;
    syncs.tick(open, nowMs);
    if (dirtyMs !== null && nowMs - Math.max(dirtyMs, openedMs) > SYNCED_MS)
      return `V1: what was written at ${dirtyMs} ms is not synced at ${nowMs} ms, and the volume is open since ${openedMs} ms`;
  }
  return null;
}
