// The commands about the server as a whole: its state on one page, a reload of its configuration, and the completion for bash.
// Invariant: these commands change nothing but what `reload` applies.

import { bashCompletion } from '@rsio/common/cli/completion-script';
import { CLIENT, POOL, SERVER_METHODS, VOLUME } from '@rsio/common/control/server-methods';
import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { DAEMON } from '@rsio/common/control/method-table';
import { list, object, text } from '@rsio/common/control/shape';
import { escapeControls } from '@rsio/common/lib/printable';
import { type AdmCommand, defineCommand, usageError } from '../cli/context.ts';
import { clientsTable, NO_CLIENT, NO_POOL, NO_VOLUME, poolsTable, volumesTable } from '@rsio/common/manage/server-tables';
import { warningsOf } from '@rsio/common/manage/server-warnings';

export const STATUS = defineCommand({
  call: { by: 'words', words: 'status' },
  synopsis: 'status',
  summary: 'shows pools, volumes, clients and warnings on one page',
  details: `The exit code is 1 if there is a warning. Each warning says what to do.`,
  options: { json: JSON_OPTION },
  json: object({ daemon: DAEMON, pools: list(POOL), volumes: list(VOLUME), clients: list(CLIENT), warnings: list(text()) }),
  run: async (context, { json }) => {
    const daemon = await context.call('daemon', {});
    const { pools } = await context.call('pool-list', {});
    const { volumes } = await context.call('volume-list', { pool: null });
    const { clients } = await context.call('client-list', {});
    const warnings = warningsOf(pools, volumes);
    const code = warnings.length === 0 ? 0 : 1;
    if (json) {
      printJson(context, { daemon, pools, volumes, clients, warnings });
      return code;
    }
    const parts = [
      `server ${escapeControls(daemon.nodename)}, release ${escapeControls(daemon.version)}, pid ${daemon.pid}\n`,
      pools.length === 0 ? `${NO_POOL}\n` : poolsTable(pools),
      volumes.length === 0 ? `${NO_VOLUME}\n` : volumesTable(volumes),
      clients.length === 0 ? `${NO_CLIENT}\n` : clientsTable(clients),
      ...(warnings.length === 0 ? [] : [warnings.map((warning) => `Warning: ${escapeControls(warning)}\n`).join('')]),
    ];
    context.out(parts.join('\n'));
    return code;
  },
});

export const RELOAD = defineCommand({
  call: { by: 'words', words: 'reload' },
  synopsis: 'reload',
  summary: 'makes rssrv read its configuration file again',
  options: { json: JSON_OPTION },
  json: SERVER_METHODS.reload.result,
  run: async (context, { json }) => {
    const answer = await context.call('reload', {});
    if (json) return printJson(context, answer);
    for (const sentence of answer.applied) context.out(`${escapeControls(sentence)}\n`);
    if (answer.applied.length === 0) context.note(`rssrv already uses this ${context.configFile}: nothing has changed`);
    return undefined;
  },
});

export function completionCommand(commands: () => readonly AdmCommand[]): AdmCommand {
  return defineCommand({
    call: { by: 'words', words: 'completion' },
    synopsis: 'completion bash',
    summary: 'prints the script that completes rsadm commands in bash',
    details: `For completion in this shell, run: source <(rsadm completion bash). For
completion in every shell, write the output to /etc/bash_completion.d/rsadm.`,
    options: {},
    operands: { min: 1, max: 1 },
    completes: 'echo bash',
    run: async (context, _, [shell]) => {
      if (shell !== 'bash') throw usageError(`No completion for ${shell}: there is one for bash`);
      context.out(bashCompletion('rsadm', '/etc/dvsc/rssrvcfg', commands()));
      return 0;
    },
  });
}
