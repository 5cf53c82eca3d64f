// rsconfig as a program: its frame, and the way from a command line to a command. main.ts runs it.
// What the daemon refuses as a whole is thrown and becomes the error line of the frame.

import { rsiodPaths } from '@rsio/common/config/root-paths';
import { callControl } from '@rsio/common/control/control-client';
import type { Invocation, ProgramSpec } from '@rsio/common/daemon/arguments';
import { INPUT_MAX_BYTES } from './cli/limits.ts';
import { type Clock, systemClock } from '@rsio/common/lib/clock';
import { BARE_OPTIONS, commandOf, commandsMeant, OPTIONS } from './args.ts';
import { processSurroundings, stderrColumns } from './commands/watch/watch-terminal.ts';
import { readStdin } from './cli/input.ts';
import type { OptionValues } from './cli/command.ts';
import { helpOf, overview } from './help.ts';
import { terminalProgress, type WaitingPorts } from './cli/waiting.ts';

export const rsconfigSpec: ProgramSpec<typeof OPTIONS> = {
  name: 'rsconfig',
  help,
  options: OPTIONS,
  bare: BARE_OPTIONS,
  positionals: true,
};

/** What of the process a command may use besides its output. */
export interface Ports {
  readonly clock: Clock;
  /** All of stdin. */
  readonly input: () => Promise<string>;
  readonly waiting: WaitingPorts;
}

function processPorts(): Ports {
  const columns = stderrColumns();
  const progress = columns === null ? null : terminalProgress((text) => process.stderr.write(text), columns);
  return {
    clock: systemClock,
    input: () => readStdin(INPUT_MAX_BYTES),
    waiting: { progress, onStop: processSurroundings().onStop },
  };
}

/** Returns the exit code. Throws E_USAGE and what the command throws. */
export async function rsconfig(invocation: Invocation<typeof OPTIONS>, ports: Ports = processPorts()): Promise<number | undefined> {
  const { command, words } = commandOf(invocation.values, invocation.positionals);
  const paths = rsiodPaths(invocation.root);
  const { out, note, report } = invocation;
  return command.run(
    {
      call: (method, params, timeoutMs) => callControl(paths.controlSocket, method, params, timeoutMs === undefined ? {} : { timeoutMs }),
      ...ports,
      paths,
      configFile: paths.configFile,
      out,
      note,
      report,
    },
    invocation.values,
    words,
  );
}

/** Of the commands that the rest of the command line means, of all when it means none. */
function help(values: OptionValues, positionals: readonly string[]): string {
  const meant = commandsMeant(values, positionals);
  return meant.length === 0 ? overview() : helpOf(meant);
}
