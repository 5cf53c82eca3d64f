// The commands `reload` and `completion`. The page of `status` is in status.ts.
// Invariant: these commands change nothing but what `reload` applies.

import { bashCompletion } from '@rsio/common/cli/completion-script';
import { SERVER_METHODS } from '@rsio/common/control/server/server-methods';
import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { escapeControls } from '@rsio/common/lib/printable';
import { type AdmCommand, defineCommand, usageError } from '../cli/context.ts';

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
