// Implements `farm balance`. Invariant: it prints proposals, and changes nothing.

import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { list, number, object, text } from '@rsio/base/lib/shape';
import { alignColumns, toText } from '@rsio/common/cli/table';
import { balancingMoves, type PoolMove, serverLoads } from '@rsio/api/manage/farm-balance';
import { NO_SHARED_POOL } from '@rsio/api/rssrv/farm-methods';
import type { SharedPoolView } from '@rsio/api/views/views';
import { defineCommand } from '../cli/context.ts';

export const FARM_BALANCE = defineCommand({
  call: { by: 'words', words: 'farm balance' },
  synopsis: 'farm balance',
  summary: 'proposes moves of pools between their owners, by load',
  details: `Prints the load of the servers now and after the proposed moves, and the
commands that make these moves. It moves nothing by itself. LOAD counts READs
and WRITEs per second over the last minute, and one more for each 64 KiB per
second. The command knows only pools that this server may own, and only servers
that are running. Pools with take-over-after = never stay, because another
program, such as Pacemaker, may move them.`,
  options: { json: JSON_OPTION },
  json: object({
    servers: list(object({ server: text(), load: number(), loadAfter: number('After the moves') })),
    moves: list(object({ pool: text(), from: text(), to: text(), command: text('The command that makes the move') })),
  }),
  run: async (context, { json }) => {
    const { pools } = await context.call('farm-show', {});
    const balance = balanceOf(pools);
    if (json) return printJson(context, balance);
    if (pools.length === 0) context.note(NO_SHARED_POOL);
    else context.out(balanceText(balance));
    for (const { name, load } of pools) if (load === null) context.note(`The load of pool ${name} is not known: it stays`);
    if (pools.length > 0 && balance.moves.length === 0) context.note('No move would relieve a server much');
    return undefined;
  },
});

interface Balance {
  readonly servers: readonly { readonly server: string; readonly load: number; readonly loadAfter: number }[];
  readonly moves: readonly (PoolMove & { readonly command: string })[];
}

/** Returns the loads of the servers before and after the proposed moves. */
function balanceOf(pools: readonly SharedPoolView[]): Balance {
  const moves = balancingMoves(pools);
  const after = serverLoads(pools, moves);
  const servers = [...serverLoads(pools, [])].map(([server, load]) => ({ server, load, loadAfter: after.get(server) ?? 0 }));
  return { servers, moves: moves.map((move) => ({ ...move, command: `rsadm pool move ${move.pool} --to ${move.to}` })) };
}

/** Returns the output of `farm balance`. */
function balanceText({ servers, moves }: Balance): string {
  const rows = servers.map(({ server, load, loadAfter }) => [server, String(load), String(loadAfter)]);
  return toText([...alignColumns(['SERVER', '>LOAD', '>AFTER'], rows), ...moves.map(({ command }) => command)]);
}
