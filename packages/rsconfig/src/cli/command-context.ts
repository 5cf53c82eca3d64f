// What a command of rsconfig works with: the daemon to ask, and where to print.
// Commands know neither sockets nor the process, so that tests can give their own.

import type { RsiodPaths } from '@rsio/common/config/root-paths';
import type { ControlMethodName, ControlMethods } from '@rsio/common/control/methods';
import type { Clock } from '@rsio/common/lib/clock';
import type { WaitingPorts } from './waiting.ts';

export interface CommandContext {
  /** `timeoutMs`: for those who cannot wait as long as a measurement may take. */
  readonly call: <M extends ControlMethodName>(
    method: M,
    params: ControlMethods[M]['params'],
    timeoutMs?: number,
  ) => Promise<ControlMethods[M]['result']>;
  readonly clock: Clock;
  readonly waiting: WaitingPorts;
  /** All of stdin. */
  readonly input: () => Promise<string>;
  /** Of rsiod under the given root. */
  readonly paths: RsiodPaths;
  readonly configFile: string;
  readonly out: (text: string) => void;
  readonly note: (sentence: string) => void;
  readonly report: (code: string, message: string) => void;
}

/** For `--json`: what the daemon said, unchanged. */
export function printJson(context: CommandContext, result: unknown): undefined {
  context.out(`${JSON.stringify(result, null, 2)}\n`);
}
