// Calls rsiod before and after servers are asked for snapshots, so that rsiod runs the triggers of this client. The triggers run before
// file systems are frozen and after they are thawed, because a trigger's program may write to these file systems. Invariant: each accepted
// `snapshot-begin` is followed by `snapshot-end`, even after an error.

import type { ServerCall } from '@rsio/api/rssrv/call-server';
import type { ServerMethods } from '@rsio/api/rssrv/server-methods';
import { toRsError } from '@rsio/base/lib/errors';
import type { CommandContext } from '../cli/context.ts';
import { SLOW_CALL_MS } from '../limits.ts';

/** Wraps `call`: makes rsiod run the triggers around each request for snapshots. */
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

/**
 * Waits for `work`, in which rsiod runs the programs of triggers. Prints what the command is waiting for if `work` is slow, because a
 * program may take a minute.
 */
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
