// Defines what an rsconfig command may use: the daemon, the clock, stdin, the files of rsiod, and the output. Tests supply their own
// context. Invariant: an rsconfig command uses the daemon, files and the terminal only through its context.

import { type Command, type CommandSpec, makeCommand, type OptionSpecs, usageError as usageErrorOf } from '@rsio/common/cli/command';
import type { RsiodPaths } from '@rsio/common/config/root-paths';
import type { AppCall } from '@rsio/api/rsapp/app-methods';
import type { HeldAnswer } from '@rsio/common/control/control-client';
import type { ControlMethodName, ControlMethods } from '@rsio/api/rsiod/methods';
import type { Clock } from '@rsio/base/lib/clock';
import type { RsError } from '@rsio/base/lib/errors';
import type { WaitingPorts } from '@rsio/common/cli/waiting-ports';

export interface CommandContext {
  /**
   * Calls the daemon. The default time-out is long enough for a measurement of paths. A command that must not wait that long sets
   * `timeoutMs`.
   */
  readonly call: <M extends ControlMethodName>(
    method: M,
    params: ControlMethods[M]['params'],
    timeoutMs?: number,
  ) => Promise<ControlMethods[M]['result']>;
  /** Calls the daemon, and keeps the connection, by which the daemon sees the end of this process. The caller closes it. */
  readonly hold: <M extends ControlMethodName>(
    method: M,
    params: ControlMethods[M]['params'],
  ) => Promise<HeldAnswer<ControlMethods[M]['result']>>;
  /** Calls rsapp, which runs the applications. */
  readonly callApp: AppCall;
  readonly clock: Clock;
  readonly waiting: WaitingPorts;
  /** Asks the person at the terminal, and returns the answer; null if stdin is not a terminal. */
  readonly ask: ((question: string) => Promise<string>) | null;
  /** Returns an id for a request that changes something. */
  readonly newId: () => string;
  /** Reads all of stdin. */
  readonly input: () => Promise<string>;
  /** Paths of rsiod's files below the root directory from the command line. */
  readonly paths: RsiodPaths;
  readonly configFile: string;
  readonly out: (text: string) => void;
  readonly note: (sentence: string) => void;
  readonly report: (code: string, message: string) => void;
}

/** A command of rsconfig. */
export type ConfigCommand = Command<CommandContext>;

export function defineCommand<const O extends OptionSpecs>(spec: CommandSpec<O, CommandContext>): ConfigCommand {
  return makeCommand('rsconfig', spec);
}

/** Makes an E_USAGE error, with which rsconfig exits with status 2. */
export function usageError(sentence: string): RsError {
  return usageErrorOf(sentence, 'rsconfig');
}
