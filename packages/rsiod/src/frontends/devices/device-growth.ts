// Grows the devices of volumes. If a program that grows a device fails or takes too long, the growth is retried, because the server
// announces the growth of a volume only once. Invariants: a volume has at most one retry timer; a failure is logged once until the devices
// have grown.

import type { Clock, Timer } from '@rsio/base/lib/clock';
import { toRsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import type { FrontendVolume } from '../../volumes/frontend-volume.ts';
import { DEVICE_GROW_AGAIN_MS } from '../limits.ts';

export interface DeviceGrowthPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly label: (volume: FrontendVolume) => string;
  /** Grows the devices of the volume to its current size. Does nothing if the volume's devices have been removed. */
  readonly grow: (volume: FrontendVolume) => Promise<void>;
}

export class DeviceGrowth {
  private readonly ports: DeviceGrowthPorts;
  /** Retry timers of the volumes whose devices could not be grown. */
  private readonly timers = new Map<FrontendVolume, Timer>();
  private hasEnded = false;

  constructor(ports: DeviceGrowthPorts) {
    this.ports = ports;
  }

  /**
   * Tries to grow the devices, and resolves after the first attempt. If the attempt fails, timers start further attempts. Never rejects.
   */
  async grow(volume: FrontendVolume): Promise<void> {
    const { clock, log, label, grow } = this.ports;
    try {
      await grow(volume);
      if (!this.forget(volume)) return;
      log.info(`The devices of ${label(volume)} have their new size now`);
    } catch (thrown) {
      if (this.hasEnded) return;
      const isFirst = !this.forget(volume);
      this.timers.set(
        volume,
        clock.after(DEVICE_GROW_AGAIN_MS, () => void this.grow(volume)),
      );
      if (!isFirst) return;
      const again = `it is tried again every ${DEVICE_GROW_AGAIN_MS / 1000} s`;
      log.warn(`The devices of ${label(volume)} keep their old size: ${toRsError(thrown).message}; ${again}`);
    }
  }

  stop(): void {
    this.hasEnded = true;
    for (const timer of this.timers.values()) timer.cancel();
    this.timers.clear();
  }

  /** Returns false if the volume has no timer. */
  private forget(volume: FrontendVolume): boolean {
    this.timers.get(volume)?.cancel();
    return this.timers.delete(volume);
  }
}
