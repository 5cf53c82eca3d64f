// Lists the servers that rsiod knows, and sends requests to one or all of them. The servers check the rights of this client. Invariants: a
// repeated change keeps its request id, so that the server executes it once. A request to all servers ends within its time limit even if
// one server does not answer.

import { sleep } from '@rsio/base/lib/waiting';
import { SERVER_METHODS, type ServerMethodName, type ServerMethods } from '@rsio/api/rssrv/server-methods';
import { type Asked, askServers, DAEMON_GONE, type Place, serverPlaces } from '@rsio/api/manage/asked-servers';
import { misfit } from '@rsio/base/lib/shape';
import { RsError } from '@rsio/base/lib/errors';
import { quoteText } from '@rsio/base/lib/units';
import { type CommandContext, usageError } from '../../cli/context.ts';
import { CALL_AGAIN_FOR_MS, SERVERS_ASKED_AT_ONCE_MAX, WAIT_POLL_MS } from '../../limits.ts';

export interface PlaceFilter {
  readonly namespace: string | null;
  readonly server: string | null;
}

/** The servers in the order of the configuration. Throws E_USAGE if no server has the given names. */
export async function placesOf({ call }: Pick<CommandContext, 'call'>, { namespace, server }: PlaceFilter): Promise<Place[]> {
  const { namespaces } = await call('query', { refresh: false });
  const all = serverPlaces(namespaces);
  if (all.length === 0) throw new RsError('E_NO_PATH', 'No server is configured: rsconfig join HOST adds one');
  const found = all.filter((one) => (namespace === null || one.namespace === namespace) && (server === null || one.server === server));
  if (found.length > 0) return found;
  if (namespace !== null && !namespaces.some(({ name }) => name === namespace))
    throw usageError(`There is no namespace ${quoteText(namespace)}: known are ${namespaces.map(({ name }) => name).join(', ')}`);
  const where = namespace === null ? '' : ` in namespace ${namespace}`;
  const known = all.filter((one) => namespace === null || one.namespace === namespace).map((one) => one.server);
  throw usageError(`There is no server${server === null ? '' : ` ${quoteText(server)}`}${where}: known are ${known.join(', ') || 'none'}`);
}

/** Calls a method of the server. `waitMs`: time limit for the answer; by default, the limit of the method. */
export async function callAt<M extends ServerMethodName>(
  context: Pick<CommandContext, 'call' | 'clock'>,
  { namespace, server }: Pick<Place, 'namespace' | 'server'>,
  method: M,
  params: ServerMethods[M]['params'],
  waitMs: number | null = null,
): Promise<ServerMethods[M]['result']> {
  const request = { namespace, server, method, params: { ...params }, waitMs };
  const { result } = await insistently(context, 'request' in params, () => context.call('server-call', request));
  const trouble = misfit(SERVER_METHODS[method].result, result);
  if (trouble !== null)
    throw new RsError(
      'E_VERSION',
      `Server ${server} has another release: its answer to ${method} has another form (${trouble}); update it`,
    );
  // The compiler cannot know that the result was checked against the shape of this method.
  return result as unknown as ServerMethods[M]['result'];
}

const DAEMON_STARTS: readonly string[] = [...DAEMON_GONE, 'E_NO_PATH', 'E_UNREACHABLE', 'E_SHUTTING_DOWN'];

/** Executes `work`. If `isChange` is true and rsiod exits during `work`, repeats `work` when rsiod is running again. */
export async function insistently<T>({ clock }: Pick<CommandContext, 'clock'>, isChange: boolean, work: () => Promise<T>): Promise<T> {
  let lostMs: number | null = null;
  for (;;) {
    try {
      return await work();
    } catch (thrown) {
      if (!(thrown instanceof RsError) || !isChange) throw thrown;
      if (lostMs === null && thrown.code === 'E_RESET') lostMs = clock.monotonicMs();
      if (lostMs === null || !DAEMON_STARTS.includes(thrown.code)) throw thrown;
      if (clock.monotonicMs() - lostMs > CALL_AGAIN_FOR_MS)
        throw new RsError(
          thrown.code,
          `rsiod ended during the change, which may have been made: ${thrown.message}`,
          thrown.context,
          thrown,
        );
      await sleep(clock, WAIT_POLL_MS);
    }
  }
}

/** Calls a method that changes nothing on all these servers, a few at a time. */
export async function askAll<M extends ServerMethodName>(
  context: Pick<CommandContext, 'call' | 'clock'>,
  places: readonly Place[],
  method: M,
  params: ServerMethods[M]['params'],
  waitMs: number | null,
): Promise<Asked<ServerMethods[M]['result']>[]> {
  return askServers(places, SERVERS_ASKED_AT_ONCE_MAX, (place, ...call) => callAt(context, place, ...call, waitMs), method, params);
}
