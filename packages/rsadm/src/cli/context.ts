// Defines what an rsadm command may use: rssrv, the configuration file, the person at the terminal, and the output. Tests supply their own
// context. Invariant: an rsadm command uses rssrv, files and the terminal only through its context.

import { type Command, type CommandSpec, makeCommand, type OptionSpecs, usageError as usageErrorOf } from '@rsio/common/cli/command';
import type { WaitingPorts } from '@rsio/common/cli/waiting-ports';
import type { RunOnMachine } from '@rsio/appliance/machine';
import type { ServerMethodName, ServerMethods } from '@rsio/api/rssrv/server-methods';
import type { Clock } from '@rsio/base/lib/clock';
import type { RsError } from '@rsio/base/lib/errors';

export interface AdmContext {
  /** Calls rssrv through its control socket. */
  readonly call: <M extends ServerMethodName>(method: M, params: ServerMethods[M]['params']) => Promise<ServerMethods[M]['result']>;
  readonly clock: Clock;
  /** Asks the person at the terminal, and returns the answer; null if stdin is not a terminal. */
  readonly ask: ((question: string) => Promise<string>) | null;
  /** Returns an id for a request that changes something. */
  readonly newId: () => string;
  readonly machine: Machine;
  readonly configFile: string;
  /** Root directory that is put in front of every path; '' for the root of the machine. */
  readonly root: string;
  /** Runs programs of an appliance. */
  readonly run: RunOnMachine;
  readonly waiting: WaitingPorts;
  readonly out: (text: string) => void;
  readonly note: (sentence: string) => void;
}

/** Facts about this machine from which `init` makes the first configuration. */
export interface Machine {
  readonly hostName: string;
  /** Addresses of this machine that other machines can reach. */
  readonly addresses: readonly string[];
}

/** A command of rsadm. */
export type AdmCommand = Command<AdmContext>;

export function defineCommand<const O extends OptionSpecs>(spec: CommandSpec<O, AdmContext>): AdmCommand {
  return makeCommand('rsadm', spec);
}

/** Makes an E_USAGE error, with which rsadm exits with status 2. */
export function usageError(sentence: string): RsError {
  return usageErrorOf(sentence, 'rsadm');
}
