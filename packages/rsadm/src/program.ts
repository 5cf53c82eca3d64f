// The program rsadm: supplies the ports and runs the command that the command line selects. The entry point is main.ts. If rssrv refuses a
// request, the command throws, and the code that all programs share prints the error line.

import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import { helpOf, overview } from '@rsio/common/cli/help-texts';
import { rssrvPaths } from '@rsio/common/config/root-paths';
import { callServer } from '@rsio/common/control/control-client';
import type { Invocation, ProgramSpec } from '@rsio/common/daemon/arguments';
import { type Clock, systemClock } from '@rsio/common/lib/clock';
import { COMMAND_LINE, COMMAND_TABLE } from './command-table.ts';

export const rsadmSpec: ProgramSpec<typeof COMMAND_LINE.options> = {
  name: 'rsadm',
  help: (values, positionals) => {
    const meant = COMMAND_LINE.commandsMeant(values, positionals);
    return meant.length === 0 ? overview(COMMAND_TABLE) : helpOf(COMMAND_TABLE, meant);
  },
  options: COMMAND_LINE.options,
  bare: COMMAND_LINE.bareOptions,
  takesPositionals: true,
};

/** The parts of the process that a command may use, besides its output. */
export interface Ports {
  readonly clock: Clock;
  /** Asks the person at the terminal, and returns the answer; null if stdin is no terminal. */
  readonly ask: ((question: string) => Promise<string>) | null;
  readonly newId: () => string;
}

const processPorts: Ports = { clock: systemClock, ask: process.stdin.isTTY ? askPerson : null, newId: randomUUID };

/** Returns the exit code. Throws E_USAGE and the errors of the command. */
export async function rsadm(invocation: Invocation<typeof COMMAND_LINE.options>, ports: Ports = processPorts): Promise<number | undefined> {
  const { command, words } = COMMAND_LINE.commandOf(invocation.values, invocation.positionals);
  const { controlSocket, configFile } = rssrvPaths(invocation.root);
  const { out, note } = invocation;
  const context = {
    ...ports,
    call: (method, params) => callServer(controlSocket, method, params),
    configFile,
    out,
    note,
  } satisfies Parameters<typeof command.run>[0];
  return command.run(context, invocation.values, words);
}

function askPerson(question: string): Promise<string> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  return new Promise((resolve) => {
    lines.on('close', () => resolve(''));
    lines.question(question, (answer) => {
      resolve(answer);
      lines.close();
    });
  });
}
