// Shows how far the work of a command is that ends with the command, such as a backup: on a terminal, and by rsiod to pages and metrics.
// Invariants: what cannot be told to rsiod never disturbs the work; nothing is told after `withWork` has settled.

import type { ControlMethods } from '@rsio/api/rsiod/methods';
import { amounts, progressLine } from '@rsio/api/views/progress';
import type { Timer } from '@rsio/base/lib/clock';
import { escapeControls } from '@rsio/base/lib/printable';
import { RateMeter } from '@rsio/base/structures/rate-meter';
import { within } from '@rsio/base/lib/waiting';
import type { CommandContext } from './context.ts';
import { COMMAND_WORK_TEXT_MAX_CHARS } from '@rsio/common/control/limits';
import { WORK_NOTE_MS } from '../limits.ts';

type Context = Pick<CommandContext, 'call' | 'clock' | 'waiting' | 'newId'>;
type Said = Pick<ControlMethods['progress-note']['params'], 'kind' | 'name' | 'about'>;

/** Counts what is done. */
export class CommandWork {
  doneBytes = 0;
  /** Null until something was planned. */
  totalBytes: number | null = null;

  /** Says that there are `bytes` more to do. A work whose whole is known says it before it begins. */
  plan(bytes: number): void {
    this.totalBytes = (this.totalBytes ?? 0) + bytes;
  }

  /** Says that `bytes` more are done. */
  add(bytes: number): void {
    this.doneBytes += bytes;
  }

  /** Returns a function for a program that does `bytes`, and tells how many percent of them it has done. */
  share(bytes: number): (percent: number) => void {
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
  const [counts, meter] = [new CommandWork(), new RateMeter()];
  const [name, about] = [said.name, said.about].map((text) => text.slice(0, COMMAND_WORK_TEXT_MAX_CHARS)) as [string, string];
  const shown = { kind: said.kind, id: `${said.kind} ${context.newId()}`, name, about };
  let telling: Promise<unknown> | null = null;
  let isTold = false;
  const tell = (ended: boolean): void => {
    const { doneBytes, totalBytes } = counts;
    isTold = true;
    telling = call('progress-note', { ...shown, doneBytes, totalBytes, ended })
      .catch(() => undefined)
      .finally(() => (telling = null));
  };
  const told = (): Promise<unknown> => within(clock, WORK_NOTE_MS, telling ?? Promise.resolve(), () => undefined);
  const tick = (): Timer => {
    const { doneBytes, totalBytes } = counts;
    const nowMs = clock.monotonicMs();
    meter.add(nowMs, doneBytes);
    const figures = amounts(doneBytes, totalBytes, meter.bytesPerSecond(nowMs, doneBytes));
    waiting.progress?.(escapeControls(progressLine({ ...shown, ...figures, state: 'running', waitsFor: null, goesOn: false })));
    // An rsiod that hangs is not asked again and again.
    if (telling === null) tell(false);
    return clock.after(WORK_NOTE_MS, () => (timer = tick()));
  };
  let timer = clock.after(WORK_NOTE_MS, () => (timer = tick()));
  try {
    return await work(counts);
  } finally {
    timer.cancel();
    waiting.progress?.('');
    if (isTold) {
      await told();
      if (telling === null) tell(true);
      await told();
    }
  }
}
