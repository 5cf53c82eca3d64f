// What force takes away from who uses it, told to the person who uses force: for `-d --force` the daemon's events say it afterwards, for
// `stop --force` its refusal says it beforehand. Leaves what is lost to the daemon. Invariant: nothing is told that was not asked for by force.

import { CUT_STATE } from '@rsio/common/control/methods';
import { toRsError } from '@rsio/common/lib/errors';
import { EVENTS_KEPT } from '@rsio/common/control/limits';
import type { CommandContext } from '../../cli/command-context.ts';

/** Runs what detaches by force, and then says what was lost by it. */
export async function tellingLosses<T>(context: CommandContext, force: boolean, work: () => Promise<T>): Promise<T> {
  const beganMs = context.clock.wallMs();
  const result = await work();
  if (!force) return result;
  // What was done counts, also when nobody can tell more of it.
  const { events } = await context.call('events', { count: EVENTS_KEPT }).catch(() => ({ events: [] }));
  for (const { object, to, reason, atMs } of events) if (to === CUT_STATE && atMs >= beganMs) context.note(`Warning: ${object}: ${reason}`);
  return result;
}

/** Ends the daemon: the kind way, and when that is refused because something is in use, by force, having said what. */
export async function stopByForce(context: CommandContext): Promise<void> {
  try {
    await context.call('stop', { force: false });
  } catch (thrown) {
    const { code, message } = toRsError(thrown);
    if (code !== 'E_IN_USE') throw thrown;
    const users = message.replace(/: end that first.*$/, '');
    context.note(`Warning: ${users}: unwritten data is lost and I/O to the device fails; unmount its file system`);
    await context.call('stop', { force: true });
  }
}
