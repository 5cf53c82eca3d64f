// completion bash: prints the script that completes command lines of rsconfig.
// The table comes in as a function, because it contains this command itself.

import { type Command, defineCommand, usageError } from '../cli/command.ts';
import { bashCompletion } from '../cli/completion-script.ts';

export function completionCommand(commands: () => readonly Command[]): Command {
  return defineCommand({
    call: { by: 'words', words: 'completion' },
    synopsis: 'completion bash',
    summary: 'prints the completion script for a shell',
    details: `For this session: source <(rsconfig completion bash). For all sessions: write
the output to /etc/bash_completion.d/rsconfig.`,
    options: {},
    operands: { min: 1, max: 1 },
    completes: 'echo bash',
    run: async (context, _, [shell]) => {
      if (shell !== 'bash') throw usageError(`No completion for ${shell}: there is one for bash`);
      context.out(bashCompletion(commands()));
      return 0;
    },
  });
}
