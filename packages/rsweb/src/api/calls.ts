// Passes the operations of the HTTP interface on to the daemons of this machine, and through rsiod to other servers. Invariants: a daemon
// checks an order again, with the rights of the user of rsweb or of this machine's client; the answer has the form that the table gives.

import type { CallOptions } from '@rsio/common/control/control-client';
import { misfit } from '@rsio/base/lib/shape';
import { RsError } from '@rsio/base/lib/errors';
import type { Daemon, Operation } from './operations.ts';

/** Calls a method of a daemon of this machine. */
export type DaemonCall = (method: string, params: object, options: CallOptions) => Promise<object>;
export type DaemonCalls = Readonly<Record<Daemon, DaemonCall>>;

/** The server of an operation of `servers`. */
export interface Target {
  readonly server: string;
  readonly namespace: string | null;
}

/** Executes an operation with checked parameters. `target`: null for a daemon of this machine. `waitMs`: of a server; null: that of the method. */
export async function execute(
  calls: DaemonCalls,
  { place, method, entry }: Operation,
  target: Target | null,
  params: object,
  options: CallOptions,
  waitMs: number | null = null,
): Promise<object> {
  if (place !== 'servers') return calls[place](method, params, options);
  const request = { ...target, method, params, waitMs };
  const { result } = (await calls.client('server-call', request, options)) as { readonly result: object };
  const trouble = misfit(entry.result, result);
  if (trouble === null) return result;
  throw new RsError('E_VERSION', `Server ${target?.server} answers ${method} in another form (${trouble}): use one release for both`);
}
