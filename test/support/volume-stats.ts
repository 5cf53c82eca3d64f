// The counters of one attached volume as `rsconfig --json -m stats` tells them: how I/O fared as seen from the client.
// Counters begin when the volume is attached.

import type { StatsView, VolumeStats } from '@rsio/protocol/control/methods';
import type { Host } from './host.ts';

/** `volume` is its whole name, `osl:oracle@0`. Throws when it is not attached. */
export async function volumeStats(host: Host, volume: string): Promise<VolumeStats> {
  const { volumes } = JSON.parse(await host.rsconfigWell('-m', 'stats', '--json')) as StatsView;
  const stats = volumes.find((one) => one.volume === volume);
  if (stats === undefined) throw new Error(`${volume} is not among ${volumes.map((one) => one.volume).join(', ')}`);
  return stats;
}
