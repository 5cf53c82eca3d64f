// Lets few operations run at the same time in total, and fewer on one file system or disk, so that storage that hangs occupies only a part of
// the threads. Invariants: a turn that has begun ends once, by `ended`; waiting operations begin in their order, but an operation whose
// device is occupied lets others pass.

import { counted } from '@rsio/base/lib/assert';
import type { Clock } from '@rsio/base/lib/clock';

export interface TurnBounds {
  readonly total: number;
  readonly perDevice: number;
  /** Maximum number of operations that wait. */
  readonly waiting: number;
  readonly waitMs: number;
}

interface Waiting {
  readonly device: string;
  readonly begin: () => void;
}

export class DeviceTurns {
  private readonly clock: Clock;
  private readonly bounds: TurnBounds;
  /** Maps each file system or disk to the number of operations in progress on it. */
  private readonly devices = new Map<string, number>();
  private count = 0;
  private readonly waiting: Waiting[] = [];

  constructor(clock: Clock, bounds: TurnBounds) {
    this.clock = clock;
    this.bounds = bounds;
  }

  /** Resolves with true when the operation may begin; the caller then calls `ended`. Resolves with false if it may not begin in time. */
  begin(device: string): Promise<boolean> {
    if (this.isFree(device)) {
      this.take(device);
      return Promise.resolve(true);
    }
    if (this.waiting.length >= this.bounds.waiting) return Promise.resolve(false);
    return new Promise((resolve) => {
      const timer = this.clock.after(this.bounds.waitMs, () => {
        this.waiting.splice(this.waiting.indexOf(one), 1);
        resolve(false);
      });
      const one: Waiting = {
        device,
        begin: () => {
          timer.cancel();
          this.take(device);
          resolve(true);
        },
      };
      this.waiting.push(one);
    });
  }

  ended(device: string): void {
    this.count = counted(this.count - 1, 'operations on devices');
    const left = (this.devices.get(device) ?? 0) - 1;
    if (left > 0) this.devices.set(device, left);
    else this.devices.delete(device);
    const next = this.waiting.findIndex((one) => this.isFree(one.device));
    if (next >= 0) this.waiting.splice(next, 1)[0]?.begin();
  }

  private isFree(device: string): boolean {
    return this.count < this.bounds.total && (this.devices.get(device) ?? 0) < this.bounds.perDevice;
  }

  private take(device: string): void {
    this.count++;
    this.devices.set(device, (this.devices.get(device) ?? 0) + 1);
  }
}
