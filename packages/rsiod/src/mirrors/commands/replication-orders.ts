// Lists the orders to replicate a mirror that its servers have, and gives them to a server that joins the mirror. Invariant: a server that
// has joined has the orders of the others, so that the copy can go on at it, or the command names what gives them.

import { SOURCE_METHODS } from '@rsio/api/rssrv/replication-methods';
import type { ReplicationView } from '@rsio/api/views/views';
import { toRsError } from '@rsio/base/lib/errors';
import { misfit } from '@rsio/base/lib/shape';
import { printDuration } from '@rsio/base/lib/units';
import { MOMENTS_LIST_MS, REPLICA_VOLUME_MS } from '../limits.ts';
import { memberAt } from './change.ts';
import type { Cleared } from './clearing.ts';
import type { MirrorServer } from './mirror-server.ts';
import type { NewServer } from './new-server.ts';

/** Returns the replications of the mirror that the servers have. A server that cannot be asked, or is older, has none. */
export async function replicationsOf(mirror: string, servers: readonly MirrorServer[]): Promise<readonly ReplicationView[]> {
  const asked = servers.map(async (server) => {
    const entry = server.volumes.find((one) => one.mirror === mirror);
    return entry === undefined || server.trouble !== null ? [] : (await listed(server)).filter((view) => isOf(view, entry));
  });
  return (await Promise.all(asked)).flat();
}

/** Gives the orders of the members to a server that has joined. Returns a sentence for each order that it may not have. */
export async function orderAt({ change, server, volume: { volume: name, universe } }: NewServer, newId: () => string): Promise<Cleared> {
  const members = change.namespace.servers.filter((one) => one !== server && memberAt(change, one.serverid) !== null);
  const orders = new Map((await replicationsOf(change.held.mirror, members)).map((one) => [one.peer, one]));
  const warnings: string[] = [];
  for (const { peer: to, pool, everyMs, keep, limitBytes } of orders.values())
    try {
      const order = { volumes: [{ name, universe }], to, pool, everyMs, keep, limitBytes, request: newId() };
      await server.callAdmin('volume-replicate', order, REPLICA_VOLUME_MS);
    } catch (thrown) {
      const limit = limitBytes === null ? '' : ` --limit ${limitBytes}`;
      const remedy = `rsconfig volume replicate ${change.label} --to ${to} --every ${printDuration(everyMs)} --keep ${keep}${limit} gives it`;
      warnings.push(`Server ${server.name} lacks the order to replicate the mirror to ${to} (${toRsError(thrown).message}): ${remedy}`);
    }
  return { warnings, left: [] };
}

function isOf({ direction, volumes }: ReplicationView, entry: { readonly name: string; readonly universe: number }): boolean {
  return direction === 'out' && volumes.some(({ name, universe }) => name === entry.name && universe === entry.universe);
}

async function listed(server: MirrorServer): Promise<readonly ReplicationView[]> {
  const { result } = SOURCE_METHODS['replication-list'];
  const answer = await server.callAdmin('replication-list', {}, MOMENTS_LIST_MS).catch(() => null);
  return misfit(result, answer) === null ? (answer as { readonly replications: readonly ReplicationView[] }).replications : [];
}
