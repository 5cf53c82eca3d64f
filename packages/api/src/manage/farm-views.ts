// What rsadm and rsconfig print about the pools on shared disks. Invariant: a pool that no server serves is named with the reason, and the exit
// code is then 1.

import type { Output } from '@rsio/common/cli/command';
import { alignColumns, toText } from '@rsio/common/cli/table';
import type { SharedPoolView } from '../views/views.ts';
import { balancingMoves, type PoolMove, serverLoads } from './farm-balance.ts';
import { farmTable } from '../views/server-tables.ts';

export const FARM_DETAILS = `One of the owners of a shared pool serves it. If it ends or is cut off, another
takes the pool: it fences the earlier owner, which can then write nothing more,
and clients continue on the new owner. HEARTBEAT is the time since the last
heartbeat of the owner. NEXT is the server that would take the pool. If no
server serves a pool, for example because a fence is not proven, the last lines
say what the pool is waiting for, and the exit code is 1.`;

type FarmOutput = Output & { readonly note: (sentence: string) => void };

/** Prints the pools and what they wait for, or `json` if it is not null. Returns the exit code; undefined for 0. */
export function printFarm(context: FarmOutput, pools: readonly SharedPoolView[], json: object | null): 1 | undefined {
  const waiting = pools.filter(({ state }) => state !== 'serving');
  if (json !== null) context.out(`${JSON.stringify(json, null, 2)}\n`);
  else {
    if (pools.length > 0) context.out(farmTable(pools));
    for (const { name, why } of waiting) context.note(`Pool ${name}: ${why}`);
  }
  return waiting.length > 0 ? 1 : undefined;
}

export interface Balance {
  readonly servers: readonly { readonly server: string; readonly load: number; readonly loadAfter: number }[];
  readonly moves: readonly (PoolMove & { readonly command: string })[];
}

/** Returns the loads of the servers before and after the proposed moves. */
export function balanceOf(pools: readonly SharedPoolView[]): Balance {
  const moves = balancingMoves(pools);
  const after = serverLoads(pools, moves);
  const servers = [...serverLoads(pools, [])].map(([server, load]) => ({ server, load, loadAfter: after.get(server) ?? 0 }));
  return { servers, moves: moves.map((move) => ({ ...move, command: `rsadm pool move ${move.pool} --to ${move.to}` })) };
}

/** Returns the output of `farm balance`. */
export function balanceText({ servers, moves }: Balance): string {
  const rows = servers.map(({ server, load, loadAfter }) => [server, String(load), String(loadAfter)]);
  return toText([...alignColumns(['SERVER', '>LOAD', '>AFTER'], rows), ...moves.map(({ command }) => command)]);
}
