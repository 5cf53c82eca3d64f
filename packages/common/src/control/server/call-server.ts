// Sends one request to a control socket of rssrv. How a request travels is in control-client.ts. Invariants: the types of parameters and
// result are those of the method in the table; the socket for readers is tried only if this user may not open the other one.

import { errnoName, RsError, toRsError } from '../../lib/errors.ts';
import { callMethod, type CallOptions } from '../control-client.ts';
import { SERVER_METHODS, type ServerMethodName, type ServerMethods } from './server-methods.ts';

/** What the path of the socket for readers has behind that of the other one (RssrvPaths.readSocket). */
const READERS = '-read';

/** Sends a request to one rssrv, and returns its answer. */
export type ServerCall = <M extends ServerMethodName>(method: M, params: ServerMethods[M]['params']) => Promise<ServerMethods[M]['result']>;

/** Returns the answer of rssrv. `socketPath`: the control socket of its user. The errors are those of `callControl`. */
export async function callServer<M extends ServerMethodName>(
  socketPath: string,
  method: M,
  params: ServerMethods[M]['params'],
  options: CallOptions = {},
): Promise<ServerMethods[M]['result']> {
  try {
    return await callMethod(SERVER_METHODS, socketPath, method, params, options);
  } catch (error) {
    if (!isClosedToUser(error)) throw error;
  }
  const readSocket = `${socketPath}${READERS}`;
  try {
    return await callMethod(SERVER_METHODS, readSocket, method, params, options);
  } catch (error) {
    const { code, cause } = toRsError(error);
    const isMissing = code === 'E_SOCKET_PATH' || errnoName(cause) === 'ENOENT';
    if (!isMissing && !isClosedToUser(error)) throw error;
    const remedy = isMissing
      ? 'run as the user of rssrv, or let a group read with rsadm control-group set NAME'
      : `run as the user of rssrv, or, to read, as a member of the group of ${readSocket}`;
    throw new RsError('E_RIGHTS', `No permission to open control socket ${socketPath}: ${remedy}`, { socketPath }, error);
  }
}

/** True if the system has refused to open the socket. An E_RIGHTS that rssrv has answered has no such cause. */
function isClosedToUser(error: unknown): boolean {
  const { code, cause } = toRsError(error);
  return code === 'E_RIGHTS' && ['EACCES', 'EPERM'].includes(errnoName(cause) ?? '');
}
