// restart: a running rsiod begins anew, with the program and the configuration file of now, under the devices that are in use. Leaves how to
// rsiod's keeper. Invariants: it says done only when a process answers in the place of the one that was asked, or one that began after the
// command did, by somebody else's restart that was just under way: both have all that was changed before the command.

import { RsError, toRsError } from '@rsio/common/lib/errors';
import { pidFileHolder } from '@rsio/common/daemon/pid-file';
import { DAEMON_START_TIMEOUT_MS } from '@rsio/common/daemon/limits';
import { defineCommand, WAIT_OPTION } from '../../cli/command.ts';
import { type Look, waitUntil } from '../../cli/waiting.ts';
import { pathsUp } from './path-waiting.ts';

export const RESTART = defineCommand({
  call: { by: 'words', words: 'restart' },
  synopsis: 'restart [--wait[=T]]',
  summary: 'restarts a running rsiod while its devices are in use',
  details: `Programs that use the devices wait a moment and see no error; clients of the NBD
socket must reconnect. The command returns when the new process answers. If a
restart is already in progress, the command waits for that one. --wait then
waits until every path is up; the exit code is 1 if a path is not up in time.`,
  options: { wait: WAIT_OPTION },
  operands: { min: 0, max: 0 },
  run: async (context, { wait }) => {
    // The monotonic clock counts from the beginning of this process.
    const commandMs = context.clock.wallMs() - context.clock.monotonicMs();
    let askedPid: number | null = null;
    let hasGap = false;
    const look = async (): Promise<Look<number>> => {
      try {
        const { pid, startedMs } = await context.call('daemon', {});
        const isOther = askedPid !== null && pid !== askedPid;
        if (isOther || (hasGap && startedMs >= commandMs)) return { value: pid, waitsFor: [] };
        if (askedPid === null) await context.call('restart', {});
        askedPid = pid;
        return { value: pid, waitsFor: [`process ${pid} to end`] };
      } catch (thrown) {
        const { code, message } = toRsError(thrown);
        // Between two processes nobody answers, and the keeper has the file.
        hasGap ||= code === 'E_RESET' || (code === 'E_NOT_RUNNING' && pidFileHolder(context.paths.pidFile) !== null);
        if (askedPid === null && !hasGap) throw thrown;
        return { value: 0, waitsFor: [`rsiod to answer (${message})`] };
      }
    };
    const { how, last } = await waitUntil(context, DAEMON_START_TIMEOUT_MS, look);
    if (how !== 'done') {
      const seconds = DAEMON_START_TIMEOUT_MS / 1000;
      throw new RsError(
        'E_TIMEOUT',
        `rsiod has not answered again within ${seconds} s: see its log (rsclogcat); I/O of the devices waits meanwhile`,
      );
    }
    context.out(`rsiod restarted as process ${last?.value ?? 0}\n`);
    return wait === null || (await pathsUp(context, wait)) ? 0 : 1;
  },
});
