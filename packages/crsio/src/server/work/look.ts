// Looks at the server: reads its file and asks rssrv for everything that the pages show. Invariant: a look ends within the time-out of one
// request after the last answer, and never throws; a file that cannot be read does not keep the answers of rssrv from the pages.

import type { ServerMethodName, ServerMethods } from '@rsio/common/control/server/server-methods';
import { toRsError } from '@rsio/common/lib/errors';
import type { Failure } from '../../model/state.ts';
import { LOOK_WAIT_MS } from '../../widgets/limits.ts';
import type { FileView, Look, ServerView } from '../model/state.ts';
import type { ServerPorts } from './ports.ts';

export async function look(ports: ServerPorts): Promise<Look> {
  const startedMs = ports.clock.monotonicMs();
  const file = readFile(ports);
  const server = await ask(ports).catch(failureFrom);
  return { file, machine: ports.machine(), server, startedMs, endedMs: ports.clock.monotonicMs() };
}

export function failureFrom(thrown: unknown): Failure {
  const { code, message } = toRsError(thrown);
  return { code, message };
}

function readFile(ports: ServerPorts): FileView {
  try {
    return { config: ports.readConfig() };
  } catch (thrown) {
    return { failure: failureFrom(thrown) };
  }
}

/** One request after the other, so that a slow server has only one of them. */
async function ask(ports: ServerPorts): Promise<ServerView> {
  const call = <M extends ServerMethodName>(method: M, params: ServerMethods[M]['params']): Promise<ServerMethods[M]['result']> =>
    ports.call(method, params, LOOK_WAIT_MS);
  const daemon = await call('daemon', {});
  const { pools } = await call('pool-list', {});
  const { volumes, removed } = await call('volume-list', { pool: null });
  const { clients } = await call('client-list', {});
  const { interfaces } = await call('interface-list', {});
  return { daemon, pools, volumes, removed, clients, interfaces };
}
