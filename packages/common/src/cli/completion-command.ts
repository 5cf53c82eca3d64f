// The command `completion bash`, which prints the script that completion-script.ts writes. rsconfig and rsadm both have this command. The
// command table contains this command and is built later, so the command gets the table from a function.

import { type Command, makeCommand, usageError } from './command.ts';
import { bashCompletion } from './completion-script.ts';

interface Output {
  out(text: string): void;
}

/** `configFile`: path of the configuration file, which shell commands in the field `completes` use as `$config`. */
export function completionCommand<C extends Output>(
  program: string,
  configFile: string,
  commands: () => readonly Command<C>[],
): Command<C> {
  return makeCommand(program, {
    call: { by: 'words', words: 'completion' },
    synopsis: 'completion bash',
    summary: `prints the script that completes ${program} commands in bash`,
    details: `For completion in this shell, run: source <(${program} completion bash). For
completion in every shell, write the output to /etc/bash_completion.d/${program}.`,
    options: {},
    operands: { min: 1, max: 1 },
    completes: 'echo bash',
    run: async (context: C, _, [shell]) => {
      if (shell !== 'bash') throw usageError(`No completion for ${shell}: there is one for bash`, program);
      context.out(bashCompletion(program, configFile, commands()));
      return 0;
    },
  });
}
