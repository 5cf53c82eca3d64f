// What a person at a terminal sees while rsiod attaches or detaches many volumes: how many are attached so far, on one line that is written
// again and again. Where nobody would see it nothing is asked. Invariant: what the work comes to is not changed by what it looks like.

import type { Timer } from '@rsio/common/lib/clock';
import { plural } from '@rsio/common/lib/units';
import { VOLUME_PROGRESS_MS } from '../../cli/limits.ts';
import type { CommandContext } from '../../cli/command-context.ts';

export async function withProgress<T>(
  { clock, call, waiting }: Pick<CommandContext, 'clock' | 'call' | 'waiting'>,
  doing: 'attaching' | 'detaching',
  work: Promise<T>,
): Promise<T> {
  const { progress } = waiting;
  if (progress === null) return await work;
  let isDone = false;
  let timer: Timer;
  const show = async (): Promise<void> => {
    // A daemon that cannot answer this now answers the question that matters, or its time-out is told.
    const attached = await call('local', {}).then(
      ({ attachments }) => attachments.length,
      () => null,
    );
    if (isDone) return;
    if (attached !== null) progress(`${doing}: ${plural(attached, 'volume')} attached so far`);
    timer = clock.after(VOLUME_PROGRESS_MS, () => void show());
  };
  timer = clock.after(VOLUME_PROGRESS_MS, () => void show());
  try {
    return await work;
  } finally {
    isDone = true;
    timer.cancel();
    progress('');
  }
}
