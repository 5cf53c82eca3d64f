// Implements `reload`, `restart` and `stop`, and the option --wait, with which `reload` and `restart` wait until all paths are up.
// Invariants: `restart` returns only when a new process answers: one that is not the process that was asked to restart or, if no process
// could be asked, one that started after this command. The new process therefore uses every configuration change made before `restart` was
// called. The command `stop` returns once no process answers. Paths that do not come up in time are listed on stderr.

import { CONTROL_METHODS, type StatusView } from '@rsio/api/rsiod/methods';
import { DAEMON_START_TIMEOUT_MS } from '@rsio/base/daemon/limits';
import { pidFileHolder } from '@rsio/base/daemon/pid-file';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { JSON_OPTION, printJson, WAIT_OPTION } from '@rsio/common/cli/command';
import { type CommandContext, defineCommand } from '../cli/context.ts';
import { reloadDaemon } from '../cli/config-edit.ts';
import { DAEMON_STOP_WAIT_MS } from '../limits.ts';
import { type Poll, unfinishedMessage, waitUntil } from '../cli/waiting.ts';
import { stopByForce } from './forced-losses.ts';

export const RELOAD = defineCommand({
  call: { by: 'words', words: 'reload' },
  synopsis: 'reload [--wait[=T]]',
  summary: 'makes a running rsiod reload rscltcfg',
  details: `Prints one line for each change. If rscltcfg has a fault, or if a change needs a
restart, rsiod refuses the whole file and keeps its current configuration. With
--wait, the command also waits until every path is up. The exit code is 1 if a
path is not up in time.`,
  options: { wait: WAIT_OPTION, json: JSON_OPTION },
  json: CONTROL_METHODS.reload.result,
  operands: { min: 0, max: 0 },
  run: async (context, { wait, json }) => {
    if (json) printJson(context, await context.call('reload', {}));
    else await reloadDaemon(context);
    return wait === null || (await pathsUp(context, wait)) ? 0 : 1;
  },
});

/** Returns true if every path comes up within `limitMs`. */
export async function pathsUp(context: CommandContext, limitMs: number): Promise<boolean> {
  const poll = async (): Promise<Poll<null>> => ({ value: null, waitsFor: pathsMissing(await context.call('status', {})) });
  const { how, last } = await waitUntil(context, limitMs, poll);
  if (how === 'done') return true;
  context.note(unfinishedMessage(how, limitMs, 'rsiod keeps trying'));
  for (const missing of last?.waitsFor ?? []) context.note(missing);
  return false;
}

export function pathsMissing({ interfaces }: Pick<StatusView, 'interfaces'>): string[] {
  return interfaces.flatMap(({ name, reps }) =>
    reps.flatMap(({ address, port, state }) => (state === 'up' ? [] : [`path ${name} -> ${address}/${port} is ${state}`])),
  );
}

export const RESTART = defineCommand({
  call: { by: 'words', words: 'restart' },
  synopsis: 'restart [--wait[=T]]',
  summary: 'restarts rsiod while programs keep using its devices',
  details: `Programs that use the devices wait for a moment and see no error. If a device in
use would end with the process, rsiod refuses to restart, and the error names
its users: the kernel is older than Linux 6.9, or the keeper has refused the
device. Clients of the NBD socket must reconnect. The command returns when the
new rsiod process answers. If a restart is already in progress, the command
waits for it to finish. With --wait, the command also waits until every path is
up. The exit code is 1 if a path is not up in time.`,
  options: { wait: WAIT_OPTION },
  operands: { min: 0, max: 0 },
  run: async (context, { wait }) => {
    // The monotonic clock is 0 when a process starts, so the difference between the two clocks is the start time of the command.
    const commandMs = context.clock.wallMs() - context.clock.monotonicMs();
    let askedPid: number | null = null;
    let hasGap = false;
    const poll = async (): Promise<Poll<number>> => {
      try {
        const { pid, startedMs } = await context.call('daemon', {});
        const isOther = askedPid !== null && pid !== askedPid;
        if (isOther || (hasGap && startedMs >= commandMs)) return { value: pid, waitsFor: [] };
        if (askedPid === null) await context.call('restart', {});
        askedPid = pid;
        return { value: pid, waitsFor: [`process ${pid} to end`] };
      } catch (thrown) {
        const { code, message } = toRsError(thrown);
        // These errors mean that the old process has exited and the new one is not ready yet. In that gap no process answers, but the
        // keeper still holds the pid file.
        hasGap ||= code === 'E_RESET' || (code === 'E_NOT_RUNNING' && pidFileHolder(context.paths.pidFile) !== null);
        if (askedPid === null && !hasGap) throw thrown;
        return { value: 0, waitsFor: [`rsiod to answer (${message})`] };
      }
    };
    const { how, last } = await waitUntil(context, DAEMON_START_TIMEOUT_MS, poll);
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

export const STOP = defineCommand({
  call: { by: 'words', words: 'stop' },
  synopsis: 'stop [--force]',
  summary: 'stops a running rsiod',
  details: `rsiod flushes the volumes and releases them on their servers. When rsiod starts
again, it attaches these volumes again. As long as a file system or a process
uses a device, rsiod refuses to stop, and the error names the file systems and
processes. After SIGTERM, the log of rsiod names these file systems and
processes.`,
  options: {
    force: {
      kind: 'flag',
      help: 'stop even if devices are in use; data that a file system\nhas not yet written is lost, and a warning says so',
    },
  },
  operands: { min: 0, max: 0 },
  run: async (context, { force }) => {
    if (force) await stopByForce(context);
    else await context.call('stop', { force });
    const poll = async (): Promise<Poll<null>> => {
      try {
        const { pid } = await context.call('daemon', {});
        return { value: null, waitsFor: [`process ${pid} to end`] };
      } catch (thrown) {
        if (toRsError(thrown).code === 'E_NOT_RUNNING') return { value: null, waitsFor: [] };
        return { value: null, waitsFor: ['rsiod to end'] };
      }
    };
    const { how } = await waitUntil(context, DAEMON_STOP_WAIT_MS, poll);
    if (how !== 'done') throw new RsError('E_TIMEOUT', 'rsiod does not end: see its log (rsclogcat)');
    context.out('rsiod has ended\n');
    return 0;
  },
});
