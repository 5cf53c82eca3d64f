// Tells rsiod before servers are asked for snapshots, and after they have answered, so that it starts the triggers of this client. They
// are started before file systems are frozen and after they are thawed, because a program of the administrator may write to them.
// Invariant: each accepted begin is ended, whatever comes between.

import type { ServerCall } from '@rsio/common/control/server/call-server';
import type { ServerMethods } from '@rsio/common/control/server/server-methods';
import { toRsError } from '@rsio/common/lib/errors';
import type { CommandContext } from '../cli/context.ts';
import { SLOW_CALL_MS } from '../cli/limits.ts';

/** Calls `call`, and has rsiod start the triggers around it when it is asked for snapshots. */
export function withTriggers(context: Pick<CommandContext, 'call' | 'clock' | 'note'>, namespace: string, call: ServerCall): ServerCall {
  return async (method, params) => {
    if (method !== 'volume-snapshot') return call(method, params);
    const { snapshots } = params as ServerMethods['volume-snapshot']['params'];
    const named = snapshots.map(({ name, universe, snapshot }) => ({ namespace, name, universe, snapshot }));
    const { ticket } = await toldIfSlow(
      context,
      'before the snapshot',
      context.call('snapshot-begin', { snapshots: named, pid: process.pid }),
    );
    if (ticket === null) return call(method, params);
    const end = async (error: string | null): Promise<void> => {
      try {
        const { ended } = await toldIfSlow(context, 'after the snapshot', context.call('snapshot-end', { ticket, error }));
        if (!ended) context.note('The triggers with snapshot-after were started too early: rsiod has restarted, or it took too long');
      } catch (thrown) {
        context.note(`rsiod was not told that the snapshot has ended: ${toRsError(thrown).message}`);
      }
    };
    try {
      const answer = await call(method, params);
      await end(null);
      return answer;
    } catch (thrown) {
      await end(toRsError(thrown).message);
      throw thrown;
    }
  };
}

/** Says what the command waits for if `work` of rsiod takes long. A program of the administrator may take a minute. */
async function toldIfSlow<T>({ clock, note }: Pick<CommandContext, 'clock' | 'note'>, when: string, work: Promise<T>): Promise<T> {
  const timer = clock.after(SLOW_CALL_MS, () =>
    note(`rsiod waits for the programs that its triggers start ${when}: the log of rsiod has what they say`),
  );
  try {
    return await work;
  } finally {
    timer.cancel();
  }
}
