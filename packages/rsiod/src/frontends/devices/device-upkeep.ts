// Looks after the block devices of attached volumes while programs and administrators change them: a block device that another program has
// detached is made again, and the links follow the partitions. Invariant: the devices of one volume are looked at one look at a time.

import type { Clock, Timer } from '@rsio/common/lib/clock';
import { DEVICE_UPKEEP_MS } from '../limits.ts';

export interface DeviceUpkeepPorts<V> {
  readonly clock: Clock;
  readonly volumes: () => readonly V[];
  /** Looks after the devices of one volume. Never rejects. */
  readonly keepUp: (volume: V) => Promise<void>;
}

export class DeviceUpkeep<V> {
  private readonly ports: DeviceUpkeepPorts<V>;
  private timer: Timer | null = null;
  private hasEnded = false;

  constructor(ports: DeviceUpkeepPorts<V>) {
    this.ports = ports;
  }

  start(): void {
    this.timer = this.ports.clock.after(DEVICE_UPKEEP_MS, () => void this.look());
  }

  stop(): void {
    this.hasEnded = true;
    this.timer?.cancel();
  }

  private async look(): Promise<void> {
    for (const volume of this.ports.volumes()) if (!this.hasEnded) await this.ports.keepUp(volume);
    if (!this.hasEnded) this.start();
  }
}
