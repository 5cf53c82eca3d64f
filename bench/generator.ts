// The bench's end of a load process: starts it on its core, gives it orders one after the other, waits for each with a deadline.
// What an order does is the load process's.

import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { RsError } from '@rsio/protocol/lib/errors';
import type { Measured, Order, Report } from './load/orders.ts';

const LOAD_PROCESS = fileURLToPath(new URL('./load/load-process.js', import.meta.url));
/** What an order may take beyond the times it names. */
const ORDER_TIMEOUT_MS = 60_000;

export class Generator {
  private readonly child: ChildProcess;
  private settle: ((result: Measured | null | Error) => void) | null = null;

  constructor(core: number) {
    this.child = spawn('taskset', ['-c', String(core), process.execPath, LOAD_PROCESS], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.child.on('message', (message) => {
      const report = message as Report;
      this.settle?.(report.type === 'done' ? report.measured : new RsError('E_SYSTEM', `The load generator failed: ${report.message}`));
    });
    this.child.on('error', (error) => this.settle?.(error));
    this.child.on('exit', () => this.settle?.(new RsError('E_SYSTEM', 'The load generator ended by itself: see above')));
  }

  /** One order at a time. */
  async execute(order: Order): Promise<Measured | null> {
    const ownMs = order.type === 'measure' ? order.warmUpMs + order.windowMs : 0;
    const result = await new Promise<Measured | null | Error>((resolve) => {
      const late = new RsError('E_TIMEOUT', `The load generator did not end "${order.type}" in time`);
      const timer = setTimeout(() => resolve(late), ownMs + ORDER_TIMEOUT_MS);
      this.settle = (settled) => {
        clearTimeout(timer);
        resolve(settled);
      };
      this.child.send(order);
    });
    this.settle = null;
    if (result instanceof Error) throw result;
    return result;
  }

  stop(): void {
    if (this.child.connected) this.child.disconnect();
  }
}
