// Sends one request to a control socket of rssrv. control-client.ts transmits the request. Invariants: the parameters and the result have
// the types that the table gives for the method. The socket for readers is tried only if this user may not open the main socket.

import { errnoName, RsError, toRsError } from '@rsio/base/lib/errors';
import { callMethod, type CallOptions } from '@rsio/common/control/control-client';
import { SERVER_METHODS, type ServerMethodName, type ServerMethods } from './server-methods.ts';

/** The socket for readers has the path of the main socket, followed by this suffix (RssrvPaths.readSocket). */
const READERS = '-read';

/** Sends a request to one rssrv, and returns its answer. */
export type ServerCall = <M extends ServerMethodName>(method: M, params: ServerMethods[M]['params']) => Promise<ServerMethods[M]['result']>;

/** Returns the answer of rssrv. `socketPath`: path of the main control socket of rssrv. Throws the errors of `callMethod`. */
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

/** True if the kernel has refused to open the socket. False for an error E_RIGHTS that rssrv itself has answered. */
function isClosedToUser(error: unknown): boolean {
  const { code, cause } = toRsError(error);
  return code === 'E_RIGHTS' && ['EACCES', 'EPERM'].includes(errnoName(cause) ?? '');
}
