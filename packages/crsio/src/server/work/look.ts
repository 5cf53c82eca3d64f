// Looks at the server: reads its file and asks rssrv for everything that the pages show. Invariant: a look ends within the time-out of one
// request after the last answer, and never throws; a file that cannot be read does not keep the answers of rssrv from the pages.

import type { ServerMethodName, ServerMethods } from '@rsio/common/control/server/server-methods';
import type { MachineInterface } from '@rsio/protocol/explorer/network/interfaces';
import { type Failure, failureOf } from '../../machine/machine.ts';
import { LOOK_WAIT_MS } from '../../widgets/limits.ts';
import type { ServerPorts } from '../model/ports.ts';
import type { FileView, ServerView } from '../model/state.ts';

export interface Look {
  readonly file: FileView;
  /** Interfaces of this machine. */
  readonly machine: readonly MachineInterface[];
  readonly server: ServerView | Failure;
  readonly startedMs: number;
  readonly endedMs: number;
}

export async function look(ports: ServerPorts): Promise<Look> {
  const startedMs = ports.clock.monotonicMs();
  const file = readFile(ports);
  const server = await ask(ports).catch(failureOf);
  return { file, machine: ports.machine(), server, startedMs, endedMs: ports.clock.monotonicMs() };
}

function readFile(ports: ServerPorts): FileView {
  try {
    return { config: ports.readConfig() };
  } catch (thrown) {
    return { failure: failureOf(thrown) };
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
