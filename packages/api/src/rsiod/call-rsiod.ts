// Sends one request to rsiod. control-client.ts transmits the request. Invariant: the parameters and the result have the types that the
// table gives for the method.

import { callMethod, type CallOptions, type HeldAnswer, holdMethod } from '@rsio/common/control/control-client';
import type { HandlersOf } from '@rsio/common/control/control-server';
import { CONTROL_METHODS, type ControlMethodName, type ControlMethods } from './methods.ts';

export type ControlHandlers = HandlersOf<typeof CONTROL_METHODS>;

/** Throws the errors of `callMethod`. */
export function callControl<M extends ControlMethodName>(
  socketPath: string,
  method: M,
  params: ControlMethods[M]['params'],
  options: CallOptions = {},
): Promise<ControlMethods[M]['result']> {
  return callMethod(CONTROL_METHODS, socketPath, method, params, options);
}

/** Like `callControl`, but leaves the connection open after the answer. Throws the errors of `callMethod`. */
export function holdControl<M extends ControlMethodName>(
  socketPath: string,
  method: M,
  params: ControlMethods[M]['params'],
  options: CallOptions,
): Promise<HeldAnswer<ControlMethods[M]['result']>> {
  return holdMethod(CONTROL_METHODS, socketPath, method, params, options);
}
