// Removes the nodes of unused loop devices from /dev. The program losetup creates a node when no node is free, but no program removes the
// node. If a thousand nodes remain, every later run of losetup is slow. The program helpers/loop-nodes.pl removes unused nodes; without
// Perl, the nodes stay. Invariants: no node is removed while rsiod is making a device, because losetup may have chosen that node. Only
// nodes that losetup created for rsiod and that are unused are removed.

import { readdir } from 'node:fs/promises';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import { toRsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import { LOOP_NODES_AT_ONCE, LOOP_NODES_QUIET_MS, LOOP_NODES_TRIES } from '../limits.ts';
import { helperFile } from '../../sys/helper-files.ts';
import { runCommand } from '../system/device-commands.ts';
import { SharedLook } from '../system/shared-look.ts';

export interface LoopNodesPorts {
  readonly clock: Clock;
  readonly log: Pick<Log, 'warn'>;
  /** Returns the names of the loop devices that have a node, such as `loop3`. */
  readonly there: () => Promise<ReadonlySet<string>>;
  /** Tries to remove the nodes with the given numbers, and resolves with the numbers of the nodes that no longer exist. */
  readonly remove: (numbers: readonly number[]) => Promise<readonly number[]>;
}

export class LoopNodes {
  private readonly ports: LoopNodesPorts;
  private readonly looks: SharedLook<ReadonlySet<string>>;
  /** Key: number of an unused node. Value: number of remaining attempts to remove the node. */
  private readonly free = new Map<number, number>();
  private making = 0;
  private removing: Promise<void> | null = null;
  private timer: Timer | null = null;
  private isReported = false;

  constructor(ports: LoopNodesPorts) {
    this.ports = ports;
    this.looks = new SharedLook(ports.there);
  }

  static ofMachine({ clock, log }: Pick<LoopNodesPorts, 'clock' | 'log'>): LoopNodes {
    return new LoopNodes({
      clock,
      log,
      there: async () => new Set(await readdir('/sys/block').catch(() => [])),
      remove: async (numbers) => {
        const output = await runCommand(clock, 'perl', [helperFile('loop-nodes.pl'), ...numbers.map(String)]);
        return output.split('\n').filter(Boolean).map(Number);
      },
    });
  }

  /**
   * Runs `make`, which makes a loop device and returns the path, such as `/dev/loop3`. `isNew` is true if the node was created together
   * with the device.
   */
  async watch(make: () => Promise<string>): Promise<{ readonly device: string; readonly isNew: boolean }> {
    while (this.removing !== null) await this.removing;
    this.making++;
    try {
      const before = await this.looks.ask();
      const device = await make();
      this.free.delete(numberOf(device));
      return { device, isNew: !before.has(device.slice(device.lastIndexOf('/') + 1)) };
    } finally {
      this.making--;
    }
  }

  /** Called when the device has lost its backing file or is about to lose it. */
  release(device: string): void {
    this.free.set(numberOf(device), LOOP_NODES_TRIES);
    this.wait();
  }

  /** Removes unused nodes without further delay, because the process is about to exit. */
  async settle(): Promise<void> {
    await this.removing;
    if (this.making === 0) await this.removeFree();
    this.stopTimer();
  }

  private stopTimer(): void {
    this.timer?.cancel();
    this.timer = null;
  }

  private wait(): void {
    this.stopTimer();
    this.timer = this.ports.clock.after(LOOP_NODES_QUIET_MS, () => {
      this.timer = null;
      if (this.making > 0 || this.removing !== null) this.wait();
      else void this.removeFree();
    });
  }

  private async removeFree(): Promise<void> {
    const numbers = [...this.free.keys()].slice(0, LOOP_NODES_AT_ONCE);
    if (numbers.length === 0) return;
    const mine = this.removeSome(numbers).finally(() => (this.removing = null));
    this.removing = mine;
    await mine;
    if (this.free.size > 0) this.wait();
  }

  private async removeSome(numbers: readonly number[]): Promise<void> {
    const gone = new Set(await this.ports.remove(numbers).catch((thrown: unknown) => this.abandon(thrown, numbers)));
    for (const number of numbers) {
      const tries = (this.free.get(number) ?? 0) - 1;
      // The node moves to the end of the list, so that other nodes are tried first.
      this.free.delete(number);
      if (tries > 0 && !gone.has(number)) this.free.set(number, tries);
    }
  }

  /** Logs the first failure, for example that Perl is missing, and gives up on these nodes. */
  private abandon(thrown: unknown, numbers: readonly number[]): readonly number[] {
    if (!this.isReported) {
      const { message } = toRsError(thrown);
      const remedy = 'install perl and let rsiod open /dev/loop-control; unused nodes only make losetup slower';
      this.ports.log.warn(`Unused nodes of loop devices stay in /dev (${message}): ${remedy}`);
    }
    this.isReported = true;
    return numbers;
  }
}

function numberOf(device: string): number {
  return Number(/\d+$/.exec(device)?.[0]);
}
