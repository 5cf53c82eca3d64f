// Implements the commands that print generated text: `completion bash` and `key new`. The completion command gets the command table through
// a function, because the table contains that command and is built later. A new key is printed but not stored. Invariant: at each position
// of a key, all characters in LETTERS are equally likely.

import { newKey } from '@rsio/common/cli/new-key';
import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { type ConfigCommand, defineCommand, usageError } from '../cli/context.ts';
import { bashCompletion } from '@rsio/common/cli/completion-script';
import { KEY_SHAPE } from '../cli/json-shapes.ts';

export function completionCommand(commands: () => readonly ConfigCommand[]): ConfigCommand {
  return defineCommand({
    call: { by: 'words', words: 'completion' },
    synopsis: 'completion bash',
    summary: 'prints the script that completes rsconfig commands in bash',
    details: `For completion in this shell, run: source <(rsconfig completion bash). For
completion in every shell, write the output to /etc/bash_completion.d/rsconfig.`,
    options: {},
    operands: { min: 1, max: 1 },
    completes: 'echo bash',
    run: async (context, _, [shell]) => {
      if (shell !== 'bash') throw usageError(`No completion for ${shell}: there is one for bash`);
      context.out(bashCompletion('rsconfig', '/etc/rscltcfg', commands()));
      return 0;
    },
  });
}

export const KEY_NEW = defineCommand({
  call: { by: 'words', words: 'key new' },
  synopsis: 'key new',
  summary: 'prints a new random key',
  details: `The key consists of lower-case letters and digits that are easy to tell apart.
The key can serve as nodekey, namespacekey or serverkey.`,
  options: { json: JSON_OPTION },
  json: KEY_SHAPE,
  operands: { min: 0, max: 0 },
  run: async (context, { json }) => {
    const key = newKey();
    if (json) return printJson(context, { key });
    context.out(`${key}\n`);
    return 0;
  },
});
