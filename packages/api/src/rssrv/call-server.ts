// Sends one request to a control socket of rssrv. control-client.ts transmits the request. Invariants: the parameters and the result have
// the types that the table gives for the method. The sockets for groups are tried only if this user may not open the main socket, those with
// the most rights first.

import { errnoName, RsError, toRsError } from '@rsio/base/lib/errors';
import { groupSocket, LOCAL_ROLE_WORDS, LOCAL_ROLES } from '@rsio/common/config/schema/local-roles';
import { callMethod, type CallOptions } from '@rsio/common/control/control-client';
import { SERVER_METHODS, type ServerMethodName, type ServerMethods } from './server-methods.ts';

const FROM_THE_MOST = LOCAL_ROLES.toReversed();

/** Sends a request to one rssrv, and returns its answer. */
export type ServerCall = <M extends ServerMethodName>(method: M, params: ServerMethods[M]['params']) => Promise<ServerMethods[M]['result']>;

/** Returns the answer of rssrv. `socketPath`: path of the main control socket of rssrv. Throws the errors of `callMethod`. */
export async function callServer<M extends ServerMethodName>(
  socketPath: string,
  method: M,
  params: ServerMethods[M]['params'],
  options: CallOptions = {},
): Promise<ServerMethods[M]['result']> {
  const closed: RsError[] = [];
  let stale: RsError | null = null;
  for (const path of [socketPath, ...FROM_THE_MOST.map((role) => groupSocket(socketPath, role))]) {
    try {
      return await callMethod(SERVER_METHODS, path, method, params, options);
    } catch (error) {
      if (isClosedToUser(error)) closed.push(toRsError(error));
      else if (path === socketPath || !isUnserved(error)) throw error;
      // The socket of a group that rssrv does not serve any more may be left from a crash.
      else if (toRsError(error).code === 'E_NOT_RUNNING' && !isMissing(error)) stale = toRsError(error);
    }
  }
  if (stale !== null) throw stale;
  throw new RsError(
    'E_RIGHTS',
    `No permission to open control socket ${socketPath}: ${remedyFor(socketPath, closed)}`,
    { socketPath },
    closed[0],
  );
}

/** `closed`: the errors of the sockets that this user may not open, the first of them that of the main socket. */
function remedyFor(socketPath: string, [, ...ofGroups]: readonly RsError[]): string {
  if (ofGroups.length === 0) return 'run as the user of rssrv, or let a group read with rsadm control-group set NAME';
  const others = LOCAL_ROLES.flatMap((role) => {
    const path = groupSocket(socketPath, role);
    const isThere = ofGroups.some(({ context }) => context['socketPath'] === path);
    return isThere ? [`, or, ${LOCAL_ROLE_WORDS[role].purpose}, as a member of the group of ${path}`] : [];
  });
  return `run as the user of rssrv${others.join('')}`;
}

/** True if the kernel has refused to open the socket. False for an error E_RIGHTS that rssrv itself has answered. */
function isClosedToUser(error: unknown): boolean {
  const { code, cause } = toRsError(error);
  return code === 'E_RIGHTS' && ['EACCES', 'EPERM'].includes(errnoName(cause) ?? '');
}

/** True if no rssrv listens on the socket. */
function isUnserved(error: unknown): boolean {
  return isMissing(error) || toRsError(error).code === 'E_NOT_RUNNING';
}

function isMissing(error: unknown): boolean {
  const { code, cause } = toRsError(error);
  return code === 'E_SOCKET_PATH' || errnoName(cause) === 'ENOENT';
}
