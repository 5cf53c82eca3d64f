// The time that is recorded for the removal of a volume. Pure. Invariant: of several removed volumes with one name, the one that was removed
// last has the latest time, although the clock of the server may be set back.

import type { Catalogue, VolumeName } from './catalogue.ts';

/**
 * Returns the time to record for a removal: now, and later than that of every removed volume of this name, even after the clock was set back.
 * Otherwise `decideRestore` would bring back another volume.
 */
export function removalMs({ pools }: Catalogue, { name, universe }: VolumeName, nowMs: number): number {
  let latestMs = nowMs - 1;
  for (const { removed } of pools)
    for (const { manifest, removal } of removed.values())
      if (manifest.name === name && manifest.universe === universe) latestMs = Math.max(latestMs, removal.removedMs);
  return latestMs + 1;
}
