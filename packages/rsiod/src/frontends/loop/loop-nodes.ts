// The nodes of loop devices in /dev: losetup makes one where none is free, and nobody takes it away again; a thousand of them make each later
// losetup slower. Those that came by a device of ours are taken away when nothing stands behind them (helpers/loop-nodes.pl; without perl they
// stay). Leaves the devices to loop-device.ts. Invariants: none is taken away while one of ours is being made, which may just have found it free;
// one that was there before, and one that is in use, stays; tries and waits are bounded.

import { readdir } from 'node:fs/promises';
import type { Clock, Timer } from '@rsio/common/lib/clock';
import { toRsError } from '@rsio/common/lib/errors';
import type { Log } from '@rsio/common/log/log';
import { LOOP_NODES_AT_ONCE, LOOP_NODES_QUIET_MS, LOOP_NODES_TRIES } from './limits.ts';
import { helperFile } from '../../sys/helper-files.ts';
import { runCommand } from '../system/device-commands.ts';
import { Shared } from '../system/shared.ts';

export interface LoopNodesPorts {
  readonly clock: Clock;
  readonly log: Pick<Log, 'warn'>;
  /** Names of the loop devices that have a node, `loop3`. */
  readonly there: () => Promise<ReadonlySet<string>>;
  /** Resolves with the numbers of the nodes that are gone. */
  readonly remove: (numbers: readonly number[]) => Promise<readonly number[]>;
}

export class LoopNodes {
  private readonly ports: LoopNodesPorts;
  private readonly looks: Shared<ReadonlySet<string>>;
  /** Number of a node -> tries that are left. */
  private readonly free = new Map<number, number>();
  private making = 0;
  private removing: Promise<void> | null = null;
  private timer: Timer | null = null;
  /** What kept it from taking nodes away was said. */
  private isReported = false;

  constructor(ports: LoopNodesPorts) {
    this.ports = ports;
    this.looks = new Shared(ports.there);
  }

  static ofMachine({ clock, log }: Pick<LoopNodesPorts, 'clock' | 'log'>): LoopNodes {
    return new LoopNodes({
      clock,
      log,
      there: async () => new Set(await readdir('/sys/block').catch(() => [])),
      remove: async (numbers) => {
        const said = await runCommand(clock, 'perl', [helperFile('loop-nodes.pl'), ...numbers.map(String)]);
        return said.split('\n').filter(Boolean).map(Number);
      },
    });
  }

  /** Runs `make`, which gives the device (`/dev/loop3`) that it made; `isNew`: its node came with it. */
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

  /** Nothing stands behind it any more, or soon. */
  release(device: string): void {
    this.free.set(numberOf(device), LOOP_NODES_TRIES);
    this.wait();
  }

  /** What is free is taken away now: the process ends. */
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
      // To the end of the list: others have their turn first.
      this.free.delete(number);
      if (tries > 0 && !gone.has(number)) this.free.set(number, tries);
    }
  }

  /** Without perl there is nothing to be done: they are not tried again, and one sentence is enough for all that come later. */
  private abandon(thrown: unknown, numbers: readonly number[]): readonly number[] {
    if (!this.isReported) {
      const { message } = toRsError(thrown);
      const remedy = 'see that perl is installed and that rsiod may open /dev/loop-control; they do no harm but that losetup is slower';
      this.ports.log.warn(`Unused nodes of loop devices stay in /dev (${message}): ${remedy}`);
    }
    this.isReported = true;
    return numbers;
  }
}

function numberOf(device: string): number {
  return Number(/\d+$/.exec(device)?.[0]);
}
