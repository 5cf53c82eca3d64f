// stop: ends a running rsiod. Leaves what may be lost by it to the daemon, which refuses while its devices are in use.
// Invariant: it says done only when nobody answers any more.

import { RsError, toRsError } from '@rsio/protocol/lib/errors';
import { DAEMON_STOP_WAIT_MS } from '@rsio/protocol/limits';
import { defineCommand } from '../command.ts';
import { type Look, waitUntil } from '../waiting.ts';
import { stopByForce } from './cut-volumes.ts';

export const STOP = defineCommand({
  call: { by: 'words', words: 'stop' },
  synopsis: 'stop [--force]',
  summary: 'ends a running rsiod',
  details: `Volumes are flushed and given back to their servers; the next start attaches
them again. Refused while a file system or a process uses their devices: the
refusal names it, as the log does after SIGTERM.`,
  options: {
    force: { kind: 'flag', help: 'all the same: what was not written is lost, and said' },
  },
  operands: { min: 0, max: 0 },
  run: async (context, { force }) => {
    if (force) await stopByForce(context);
    else await context.call('stop', { force });
    const look = async (): Promise<Look<null>> => {
      try {
        const { pid } = await context.call('daemon', {});
        return { value: null, waitsFor: [`process ${pid} to end`] };
      } catch (thrown) {
        if (toRsError(thrown).code === 'E_NOT_RUNNING') return { value: null, waitsFor: [] };
        return { value: null, waitsFor: ['rsiod to end'] };
      }
    };
    const { how } = await waitUntil(context, DAEMON_STOP_WAIT_MS, look);
    if (how !== 'done') throw new RsError('E_TIMEOUT', 'rsiod does not end: see its log (rsclogcat)');
    context.out('rsiod has ended\n');
    return 0;
  },
});
