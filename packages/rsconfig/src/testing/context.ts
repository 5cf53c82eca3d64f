// A CommandContext for tests of single commands: it prints nothing and has no
// daemon. Each test supplies the parts that it needs.

import { rsiodPaths } from '@rsio/common/config/root-paths';
import { FakeClock } from '@rsio/common/testing/fake-clock';
import type { CommandContext } from '../cli/context.ts';

/** `call` accepts any method and may return any result, because the test plays the daemon. */
interface Given extends Partial<Omit<CommandContext, 'call' | 'callApp'>> {
  readonly call?: (method: string, params: unknown) => Promise<unknown>;
  /** As `call`, for rsapp. */
  readonly callApp?: (method: string, params: unknown) => Promise<unknown>;
}

export function contextOf({ call, callApp, ...given }: Given): CommandContext {
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
    call: (call ?? (() => Promise.reject(new Error('No daemon')))) as CommandContext['call'],
    callApp: (callApp ?? (() => Promise.reject(new Error('No daemon')))) as CommandContext['callApp'],
  };
}
