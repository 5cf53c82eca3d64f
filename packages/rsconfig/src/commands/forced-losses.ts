// Reports what programs lose when a volume that they use is detached by force. After `-d --force`, the losses are taken from the daemon's
// events. For `stop --force`, the command first asks the daemon to stop without force. If the daemon refuses, the refusal names the users
// of the devices. Invariant: only losses that occurred after the command started are reported.

import { EVENTS_KEPT } from '@rsio/common/control/limits';
import { CUT_STATE } from '@rsio/api/rsiod/methods';
import { toRsError } from '@rsio/base/lib/errors';
import type { CommandContext } from '../cli/context.ts';

/** Runs `work`, which may detach volumes by force, and then reports the losses. */
export async function reportLosses<T>(context: CommandContext, force: boolean, work: () => Promise<T>): Promise<T> {
  const startedMs = context.clock.wallMs();
  const result = await work();
  if (!force) return result;
  // The result is returned even if the daemon can no longer list its events.
  const { events } = await context.call('events', { count: EVENTS_KEPT }).catch(() => ({ events: [] }));
  for (const { object, to, reason, atMs } of events)
    if (to === CUT_STATE && atMs >= startedMs) context.note(`Warning: ${object}: ${reason}`);
  return result;
}

/** Stops the daemon. If devices are in use, the function first reports their users and then stops the daemon by force. */
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
