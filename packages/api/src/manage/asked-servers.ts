// The servers that rsiod of this machine knows, and one question to all of them. Pure, except for the port that asks. Invariant: each server
// has a result or an error; one that is not connected is not asked, and its error says why.

import type { NamespaceView, ServerView, VolumeView } from '../rsiod/methods.ts';
import type { ServerMethodName, ServerMethods } from '../rssrv/server-methods.ts';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { severalAtOnce } from '@rsio/base/structures/concurrency';

export interface Place {
  readonly namespace: string;
  readonly server: string;
  /** null: this client never reached the server. */
  readonly serverid: number | null;
  /** Name of this client on the server. */
  readonly nodename: string;
  readonly isConnected: boolean;
  /** The reason why the server is not connected, such as `server big-9 of osl is down: Connection refused`. */
  readonly trouble: string;
  readonly listed: readonly VolumeView[];
}

export interface Asked<R> {
  readonly place: Place;
  readonly result: R | null;
  /** The error of the call; null if the call has a result. */
  readonly error: RsError | null;
}

/** Calls a method at a server. */
export type CallAt = <M extends ServerMethodName>(
  place: Place,
  method: M,
  params: ServerMethods[M]['params'],
) => Promise<ServerMethods[M]['result']>;

/** These errors say that rsiod itself has gone, so that no further server can be asked. */
export const DAEMON_GONE: readonly string[] = ['E_RESET', 'E_NOT_RUNNING'];

/** The servers in the order of the configuration. */
export function serverPlaces(namespaces: readonly NamespaceView[]): Place[] {
  const listed = namespaces.flatMap((one) => one.servers.map((its) => placeOf(one, its)));
  // A server can have several sections in the configuration. A section whose server was not reached may belong to a server that was
  // reached through another section, so it does not count as a second server.
  const isSame = (one: Place, other: Place): boolean => one.namespace === other.namespace && one.server === other.server;
  return listed.filter((one) => one.isConnected || !listed.some((other) => other.isConnected && isSame(one, other)));
}

function placeOf({ name: namespace, nodename }: NamespaceView, { name: server, serverid, state, paths, volumes }: ServerView): Place {
  const why = paths.find(({ lastError }) => lastError !== null)?.lastError ?? 'it has not answered yet';
  const trouble = `server ${server} of ${namespace} is ${state}: ${why}`;
  return { namespace, server, serverid, nodename, isConnected: state === 'connected', trouble, listed: volumes };
}

/** Calls a method that changes nothing on all these servers, `atOnce` at a time. */
export async function askServers<M extends ServerMethodName>(
  places: readonly Place[],
  atOnce: number,
  callAt: CallAt,
  method: M,
  params: ServerMethods[M]['params'],
): Promise<Asked<ServerMethods[M]['result']>[]> {
  return severalAtOnce(places, atOnce, async (place) => {
    // rsiod knows whether a server that is away has said before that it has no such volume.
    if (!place.isConnected && method !== 'volume-show')
      return { place, result: null, error: new RsError('E_NO_PATH', capital(place.trouble)) };
    try {
      return { place, result: await callAt(place, method, params), error: null };
    } catch (thrown) {
      const error = toRsError(thrown);
      if (DAEMON_GONE.includes(error.code)) throw error;
      return { place, result: null, error: place.isConnected ? error : new RsError(error.code, capital(place.trouble), error.context) };
    }
  });
}

export function capital(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}
