// The program rsadm: supplies the ports and runs the command that the command line selects. The entry point is main.ts. If rssrv refuses a
// request, the command throws, and the code that all programs share prints the error line.

import { randomUUID } from 'node:crypto';
import { hostname, networkInterfaces } from 'node:os';
import { type RunOnMachine, runOnMachine } from '@rsio/appliance/machine';
import { helpOf, overview } from '@rsio/common/cli/help-texts';
import { personAtTerminal } from '@rsio/common/cli/person';
import { processWaiting, type WaitingPorts } from '@rsio/common/cli/waiting-ports';
import { rssrvPaths } from '@rsio/common/config/root-paths';
import { callServer } from '@rsio/api/rssrv/call-server';
import type { Invocation, ProgramSpec } from '@rsio/base/daemon/arguments';
import { type Clock, systemClock } from '@rsio/base/lib/clock';
import type { Machine } from './cli/context.ts';
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

/** The parts of the process that a command may use in addition to its output. */
export interface Ports {
  readonly clock: Clock;
  /** Asks the person at the terminal, and returns the answer; null if stdin is not a terminal. */
  readonly ask: ((question: string) => Promise<string>) | null;
  readonly newId: () => string;
  readonly machine: Machine;
  readonly run: RunOnMachine;
  readonly waiting: WaitingPorts;
}

/** Returns the ports of this process. */
export function processPorts(): Ports {
  return {
    clock: systemClock,
    ask: personAtTerminal(),
    newId: randomUUID,
    run: runOnMachine,
    waiting: processWaiting(),
    get machine() {
      return { hostName: hostname(), addresses: outerAddresses() };
    },
  };
}

/** Runs rsadm, and returns the exit code. Throws E_USAGE and the errors of the command. */
export async function rsadm(
  invocation: Invocation<typeof COMMAND_LINE.options>,
  ports: Ports = processPorts(),
): Promise<number | undefined> {
  const { command, words } = COMMAND_LINE.commandOf(invocation.values, invocation.positionals);
  const { controlSocket, configFile, root } = rssrvPaths(invocation.root);
  const { out, note } = invocation;
  const { clock, ask, newId, machine, run, waiting } = ports;
  const context = {
    clock,
    ask,
    newId,
    machine,
    run,
    waiting,
    call: (method, params) => callServer(controlSocket, method, params),
    configFile,
    root,
    out,
    note: (sentence) => {
      waiting.progress?.('');
      note(sentence);
    },
  } satisfies Parameters<typeof command.run>[0];
  return command.run(context, invocation.values, words);
}

/** Returns the addresses of this machine except loopback and link-local addresses. IPv4 addresses come first. */
function outerAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return all
    .filter(({ internal, address }) => !internal && !/^(fe80:|169\.254\.)/i.test(address))
    .toSorted((one, other) => one.family.localeCompare(other.family))
    .map(({ address }) => address);
}
