// The program rsconfig: runs the command that the command line selects, and gives it access to the clock, stdin and the terminal. If the
// daemon refuses a request, the command throws the error, and the code that all programs share prints it.

import { randomUUID } from 'node:crypto';
import { daemonPaths, rsiodPaths } from '@rsio/common/config/root-paths';
import { helpOf, overview } from '@rsio/common/cli/help-texts';
import { personAtTerminal } from '@rsio/common/cli/person';
import { processWaiting, type WaitingPorts } from '@rsio/common/cli/waiting-ports';
import { callApp } from '@rsio/api/rsapp/call-app';
import { callControl, holdControl } from '@rsio/api/rsiod/call-rsiod';
import type { Invocation, ProgramSpec } from '@rsio/base/daemon/arguments';
import { type Clock, systemClock } from '@rsio/base/lib/clock';
import type { OptionValues } from '@rsio/common/cli/command';
import { readStdin } from './cli/key-input.ts';
import { INPUT_MAX_BYTES } from './limits.ts';
import { COMMAND_LINE, COMMAND_TABLE } from './command-table.ts';

export const rsconfigSpec: ProgramSpec<typeof COMMAND_LINE.options> = {
  name: 'rsconfig',
  help,
  options: COMMAND_LINE.options,
  bare: COMMAND_LINE.bareOptions,
  takesPositionals: true,
};

export interface Ports {
  readonly clock: Clock;
  /** Asks the person at the terminal, and returns the answer; null if stdin is not a terminal. */
  readonly ask: ((question: string) => Promise<string>) | null;
  readonly newId: () => string;
  /** Reads all of stdin. */
  readonly input: () => Promise<string>;
  readonly waiting: WaitingPorts;
}

/** Returns the ports of this process. */
export function processPorts(): Ports {
  return {
    clock: systemClock,
    ask: personAtTerminal(),
    newId: randomUUID,
    input: () => readStdin(INPUT_MAX_BYTES),
    waiting: processWaiting(),
  };
}

/** Runs rsconfig, and returns the exit code. Throws E_USAGE and the errors of the command. */
export async function rsconfig(
  invocation: Invocation<typeof COMMAND_LINE.options>,
  ports: Ports = processPorts(),
): Promise<number | undefined> {
  const { command, words } = COMMAND_LINE.commandOf(invocation.values, invocation.positionals);
  const paths = rsiodPaths(invocation.root);
  const appSocket = daemonPaths(invocation.root, 'rsapp').controlSocket;
  const { out, note, report } = invocation;
  // What is said stands above the progress line.
  const above =
    (say: (text: string) => void) =>
    (text: string): void => {
      ports.waiting.progress?.('');
      say(text);
    };
  const ended = new AbortController();
  const { signal } = ended;
  const running = command.run(
    {
      call: (method, params, timeoutMs) =>
        callControl(paths.controlSocket, method, params, timeoutMs === undefined ? { signal } : { signal, timeoutMs }),
      hold: (method, params) => holdControl(paths.controlSocket, method, params, { signal }),
      callApp: (method, params) => callApp(appSocket, method, params, { signal }),
      ...ports,
      paths,
      configFile: paths.configFile,
      out: above(out),
      note: above(note),
      report: (code, message) => above(() => report(code, message))(''),
    },
    invocation.values,
    words,
  );
  // Calls whose answers are no longer needed would keep the process alive.
  return running.finally(() => ended.abort());
}

function help(values: OptionValues, positionals: readonly string[]): string {
  const meant = COMMAND_LINE.commandsMeant(values, positionals);
  return meant.length === 0 ? overview(COMMAND_TABLE) : helpOf(COMMAND_TABLE, meant);
}
