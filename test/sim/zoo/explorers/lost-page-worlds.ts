// The production code of flushes over a simulated page cache whose write-back sometimes fails. Processes write, flush and end, one after
// the other, and the cache may evict lost pages at any moment (V1). Invariant: after the answer to a failed flush, the content of a sector
// changes only by writes.

import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { STATUS } from '@rsio/protocol/wire/status';
import { FlushGate } from '@rsio/rssrv/storage/io/flush-gate';
import { SimCache } from '../../storage/sim-cache.ts';

const [STEPS, SECTORS] = [60, 8];

/** Runs the world of this seed. Returns the fault as a sentence; null: no fault. */
export function lostPageWorld(seed: number): string | null {
  const random = new SeededRandom(seed);
  const cache = new SimCache(SECTORS, random);
  const newGate = (): FlushGate => {
    const descriptor = cache.open();
    return new FlushGate(
      (end) => {
        if (random.chance(0.3)) cache.writeBackFails();
        else cache.writeBack();
        end(cache.tell(descriptor));
      },
      (end) => {
        cache.dropPages();
        end();
      },
      () => undefined,
      (call) => call(),
    );
  };
  let gate = newGate();
  /** For each sector: its content when a flush failed; null: no flush has failed since the sector was last written. */
  let shown: (Buffer | null)[] = Array.from({ length: SECTORS }, () => null);
  const content = (sector: number): Buffer => cache.content.subarray(sector * SECTOR_BYTES, (sector + 1) * SECTOR_BYTES);
  for (let step = 1; step <= STEPS; step++) {
    const sector = random.int(0, SECTORS - 1);
    if (random.chance(0.6)) {
      cache.change(sector * SECTOR_BYTES, SECTOR_BYTES, Buffer.alloc(SECTOR_BYTES, step), 0);
      shown[sector] = null;
    } else if (random.chance(0.5)) {
      cache.evict(0.5);
    } else {
      gate.flush((status) => {
        if (status === STATUS.OK) return;
        shown = shown.map((_, at) => Buffer.from(content(at)));
        // After a failed flush, the listener revokes the handle. The next handle has its own gate.
        gate = newGate();
      });
    }
    const changed = shown.findIndex((known, at) => known?.equals(content(at)) === false);
    if (changed >= 0) return `V1: sector ${changed} shows other content at step ${step} than when a failed flush was answered`;
  }
  return null;
}
