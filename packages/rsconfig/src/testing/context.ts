// A CommandContext for tests of single commands: it prints nothing and has no
// daemon. Each test supplies the parts that it needs.

import { rsiodPaths } from '@rsio/common/config/root-paths';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import type { CommandContext } from '../cli/context.ts';

/** `call` accepts any method and may return any result, because the test plays the daemon. */
interface Given extends Partial<Omit<CommandContext, 'call' | 'hold' | 'callApp'>> {
  readonly call?: (method: string, params: unknown) => Promise<unknown>;
  /** Called when the command closes the connection of a request that it has held. */
  readonly closed?: (method: string) => void;
  /** As `call`, for rsapp. */
  readonly callApp?: (method: string, params: unknown) => Promise<unknown>;
}

export function contextOf({ call, callApp, closed, ...given }: Given): CommandContext {
  const paths = rsiodPaths('/tmp/no-such-root');
  return {
    clock: new FakeClock(),
    waiting: { progress: null, onStop: () => () => undefined },
    ask: null,
    newId: () => 'id-1',
    paths,
    configFile: paths.configFile,
    input: () => Promise.resolve(''),
    out: () => undefined,
    note: () => undefined,
    report: () => undefined,
    ...given,
    hold: async (method, params) => ({ result: (await call?.(method, params)) as never, close: () => closed?.(method) }),
    call: (call ?? (() => Promise.reject(new Error('No daemon')))) as CommandContext['call'],
    callApp: (callApp ?? (() => Promise.reject(new Error('No daemon')))) as CommandContext['callApp'],
  };
}
