// Shows how far the work of a command is that ends with the command, such as a backup: on a terminal, and by rsiod to pages and metrics.
// Invariants: what cannot be told to rsiod never disturbs the work; nothing is told after `withWork` has settled.

import type { ControlMethods } from '@rsio/api/rsiod/methods';
import { amounts, progressLine } from '@rsio/api/views/progress';
import type { Timer } from '@rsio/base/lib/clock';
import { escapeControls } from '@rsio/base/lib/printable';
import { RateMeter } from '@rsio/base/structures/rate-meter';
import type { CommandContext } from './context.ts';
import { WORK_NOTE_MS } from '../limits.ts';

type Context = Pick<CommandContext, 'call' | 'clock' | 'waiting' | 'newId'>;
type Said = Pick<ControlMethods['progress-note']['params'], 'kind' | 'name' | 'about'>;

/** Counts what is done. */
export class CommandWork {
  doneBytes = 0;
  totalBytes = 0;

  /** Says that there are `bytes` more to do. */
  more(bytes: number): void {
    this.totalBytes += bytes;
  }

  /** Says that `bytes` more are done. */
  add(bytes: number): void {
    this.doneBytes += bytes;
  }

  /** Says that there are `bytes` more to do, of which a program tells how many percent it has done. */
  share(bytes: number): (percent: number) => void {
    this.more(bytes);
    let told = 0;
    return (percent) => {
      const now = Math.max(told, Math.min(bytes, Math.floor((bytes * percent) / 100)));
      this.add(now - told);
      told = now;
    };
  }
}

/** Does `work`, and shows how far it is. */
export async function withWork<T>(context: Context, said: Said, work: (counts: CommandWork) => Promise<T>): Promise<T> {
  const { clock, waiting, call } = context;
  const [counts, meter, id] = [new CommandWork(), new RateMeter(), `${said.kind} ${context.newId()}`];
  let timer: Timer | null = null;
  let isTold = false;
  let telling: Promise<unknown> = Promise.resolve();
  const tell = (ended: boolean): void => {
    const { doneBytes, totalBytes } = counts;
    isTold = true;
    telling = call('progress-note', { ...said, id, doneBytes, totalBytes: totalBytes === 0 ? null : totalBytes, ended }).catch(
      () => undefined,
    );
  };
  const tick = (): void => {
    const { doneBytes, totalBytes } = counts;
    const nowMs = clock.monotonicMs();
    meter.add(nowMs, doneBytes);
    const figures = amounts(doneBytes, totalBytes, meter.bytesPerSecond(nowMs, doneBytes));
    waiting.progress?.(escapeControls(progressLine({ ...said, ...figures, id, state: 'running', waitsFor: null, goesOn: false })));
    tell(false);
    timer = clock.after(WORK_NOTE_MS, tick);
  };
  timer = clock.after(WORK_NOTE_MS, tick);
  try {
    return await work(counts);
  } finally {
    timer.cancel();
    waiting.progress?.('');
    if (isTold) {
      await telling;
      tell(true);
      await telling;
    }
  }
}
