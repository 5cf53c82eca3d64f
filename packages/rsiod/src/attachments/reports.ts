// Where attachments report what happens to volumes. control/notifications.ts makes events and lines of the log from it; it stands above this
// folder, because it names volumes.

import type { Volume, VolumeEvent } from '../volumes/volume.ts';

export interface Reports {
  /** Adds an event. */
  add(object: string, from: string, to: string, reason: string): void;
  /** A volume's I/O stalls, resumes or is abandoned, or the volume's storage fails. */
  stalled(volume: Volume, event: VolumeEvent): void;
  /** A forced detach of the volume loses data. */
  cut(volume: Volume, sentence: string): void;
}
