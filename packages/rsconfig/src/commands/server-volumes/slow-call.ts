// Prints what a slow change is waiting for, because a server that is down or allocates a large volume can delay a command for minutes.
// Invariants: the messages never change the result; nothing is printed for a change that is done within SLOW_CALL_MS.

import type { Timer } from '@rsio/base/lib/clock';
import type { CommandContext } from '../../cli/context.ts';
import { SLOW_CALL_MS, VOLUME_PROGRESS_MS } from '../../limits.ts';
import { capital } from '@rsio/api/manage/asked-servers';
import { type PlaceFilter, placesOf } from './servers.ts';

type Context = Pick<CommandContext, 'call' | 'clock' | 'waiting' | 'note'>;

/** Waits for `work`, a request to a server. If `work` is slow, the function prints what the command is waiting for. */
export async function watched<T>(context: Context, at: PlaceFilter, work: Promise<T>): Promise<T> {
  const { clock, waiting, note } = context;
  const beganMs = clock.monotonicMs();
  let [isDone, isSaid] = [false, false];
  let timer: Timer;
  const look = async (): Promise<void> => {
    // If rsiod does not answer this query, nothing is printed, because the change also fails and reports the error.
    const trouble = await placesOf(context, at).then(
      ([place]) => (place === undefined || place.isConnected ? null : place.trouble),
      () => null,
    );
    if (isDone) return;
    if (trouble !== null && !isSaid) {
      waiting.progress?.('');
      note(`${capital(trouble)}; the change waits until the server answers, and Ctrl-C ends the command`);
      isSaid = true;
    }
    const seconds = Math.floor((clock.monotonicMs() - beganMs) / 1_000);
    waiting.progress?.(`server ${at.server ?? ''} has not answered yet: ${seconds} s`);
    timer = clock.after(VOLUME_PROGRESS_MS, () => void look());
  };
  timer = clock.after(SLOW_CALL_MS, () => void look());
  try {
    return await work;
  } finally {
    isDone = true;
    timer.cancel();
    waiting.progress?.('');
  }
}
