// Sends one request to rsapp, which runs the applications of this machine. control-client.ts transmits the request. Invariant: the
// parameters and the result have the types that the table gives for the method.

import { APP_METHODS, type AppMethods } from './app-methods.ts';
import { callMethod, type CallOptions } from '@rsio/common/control/control-client';

/** `socketPath`: path of the control socket of rsapp. Throws the errors of `callMethod`. */
export function callApp<M extends keyof AppMethods>(
  socketPath: string,
  method: M,
  params: AppMethods[M]['params'],
  options: CallOptions = {},
): Promise<AppMethods[M]['result']> {
  return callMethod(APP_METHODS, socketPath, method, params, options);
}
