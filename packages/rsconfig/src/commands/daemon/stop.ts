// stop: ends a running rsiod. Leaves what may be lost by it to the daemon, which refuses while its devices are in use.
// Invariant: it says done only when nobody answers any more.

import { RsError, toRsError } from '@rsio/common/lib/errors';
import { DAEMON_STOP_WAIT_MS } from '../../cli/limits.ts';
import { defineCommand } from '../../cli/command.ts';
import { type Look, waitUntil } from '../../cli/waiting.ts';
import { stopByForce } from './cut-volumes.ts';

export const STOP = defineCommand({
  call: { by: 'words', words: 'stop' },
  synopsis: 'stop [--force]',
  summary: 'stops a running rsiod',
  details: `rsiod flushes the volumes and releases them on their servers. The next start
attaches them again. The stop is refused while a file system or a process uses
a device: the refusal names it, as the log does after SIGTERM.`,
  options: {
    force: { kind: 'flag', help: 'stop even if devices are in use; unwritten data is lost\nand reported' },
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
