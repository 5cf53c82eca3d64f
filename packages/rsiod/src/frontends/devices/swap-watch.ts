// Reports swap space that is on a volume. The machine can then hang forever, because the kernel needs rsiod to swap out while rsiod may be
// waiting for memory. Swapping to a device cannot be prevented, so rsiod reports each swap space once. Invariant: the search reads only
// files that the kernel keeps in memory, because the search must not cause I/O on rsiod's own devices.

import { readFile } from 'node:fs/promises';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import { SWAP_LOOK_MS } from '../limits.ts';
import { swapsOn } from './device-use.ts';
import { ownTables } from './device-users.ts';

export interface SwapWatchPorts {
  readonly clock: Clock;
  readonly devices: () => readonly { readonly label: string; readonly device: string }[];
  readonly report: (label: string, sentence: string) => void;
}

export class SwapWatch {
  private readonly ports: SwapWatchPorts;
  private readonly reported = new Set<string>();
  private timer: Timer | null = null;
  private hasEnded = false;

  constructor(ports: SwapWatchPorts) {
    this.ports = ports;
  }

  start(): void {
    this.timer = this.ports.clock.after(SWAP_LOOK_MS, () => {
      void this.look().finally(() => {
        if (!this.hasEnded) this.start();
      });
    });
  }

  stop(): void {
    this.hasEnded = true;
    this.timer?.cancel();
  }

  private async look(): Promise<void> {
    const devices = this.ports.devices();
    const text = devices.length === 0 ? '' : await readFile('/proc/swaps', 'utf8').catch(() => '');
    // The first line of /proc/swaps is a heading.
    if (text.trimEnd().split('\n').length < 2) return this.reported.clear();
    const tables = await ownTables();
    const found = devices.flatMap(({ label, device }) => {
      const number = tables.facts.numberOf(device);
      return number === null ? [] : swapsOn(number, tables).map((swap) => ({ label, swap }));
    });
    for (const one of this.reported) if (!found.some(({ label, swap }) => one === `${label} ${swap}`)) this.reported.delete(one);
    for (const { label, swap } of found) {
      if (this.reported.has(`${label} ${swap}`)) continue;
      this.reported.add(`${label} ${swap}`);
      const why = 'to swap out, the kernel needs rsiod, which may need the memory that is being swapped out';
      this.ports.report(label, `${swap} is used as swap space, so that the machine can hang for ever, because ${why}: run swapoff ${swap}`);
    }
  }
}
