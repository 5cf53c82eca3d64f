// rsconfig as a program: its frame, and the way from a command line to a command. main.ts runs it.
// What the daemon refuses as a whole is thrown and becomes the error line of the frame.

import { rsiodPaths } from '@rsio/protocol/config/root-paths';
import { callControl } from '@rsio/protocol/control/control-client';
import type { Invocation, ProgramSpec } from '@rsio/protocol/lib/arguments';
import { type Clock, systemClock } from '@rsio/protocol/lib/clock';
import { type Command, commandOf, HELP, OPTIONS } from './args.ts';
import { attach, detach } from './commands/attach.ts';
import type { CommandContext } from './commands/command-context.ts';
import { showEvents, showLocal, showQuery, showStats, showStatus } from './commands/views.ts';

export const rsconfigSpec: ProgramSpec<typeof OPTIONS> = { name: 'rsconfig', help: HELP, options: OPTIONS, positionals: true };

/** Returns the exit code. Throws E_USAGE and what callControl throws. */
export async function rsconfig(invocation: Invocation<typeof OPTIONS>, clock: Clock = systemClock): Promise<number> {
  const command = commandOf(invocation.values, invocation.positionals);
  const { controlSocket, configFile } = rsiodPaths(invocation.root);
  const { out, note, report } = invocation;
  return runCommand(
    { call: (method, params) => callControl(controlSocket, method, params), clock, configFile, out, note, report },
    command,
  );
}

async function runCommand(context: CommandContext, command: Command): Promise<number> {
  switch (command.name) {
    case 'attach':
      return attach(context, command);
    case 'detach':
      return detach(context, command);
    case 'local':
      await showLocal(context, command);
      return 0;
    case 'query':
      await showQuery(context, command);
      return 0;
    case 'status':
      await showStatus(context, command);
      return 0;
    case 'stats':
      await showStats(context, command);
      return 0;
    case 'events':
      await showEvents(context, command);
      return 0;
  }
}
