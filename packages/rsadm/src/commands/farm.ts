// The commands about pools on shared disks. rssrv moves, grows and releases the pools. Invariant: only rssrv changes the record of a pool,
// and `farm balance` only prints proposals.

import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { SERVER_METHODS } from '@rsio/api/rssrv/server-methods';
import { list, number, object, text } from '@rsio/base/lib/shape';
import { balanceOf, balanceText, FARM_DETAILS, printFarm } from '@rsio/api/manage/farm-views';
import { shownSize } from '@rsio/base/lib/units';
import { defineCommand, usageError } from '../cli/context.ts';
import { COMPLETES_POOLS } from './pools.ts';

const NO_SHARED_POOL = 'No shared pool: rsadm pool add NAME PATH --disk DISK ... makes one';

export const POOL_MOVE = defineCommand({
  call: { by: 'words', words: 'pool move' },
  synopsis: 'pool move NAME --to SERVER',
  summary: 'moves a shared pool to another of its owners',
  details: `You can give the command on any owner, even during I/O: programs wait for some
seconds, and get no error. The command is refused while a job uses the pool.`,
  options: { to: { kind: 'text', value: 'SERVER', help: 'server to which the pool moves' }, json: JSON_OPTION },
  json: SERVER_METHODS['pool-move'].result,
  operands: { min: 1, max: 1 },
  completes: COMPLETES_POOLS,
  run: async (context, { to, json }, [name = '']) => {
    if (to === null) throw usageError('Give the server: --to SERVER');
    const moved = await context.call('pool-move', { name, to });
    if (json) return printJson(context, moved);
    context.out(`${name} is served by ${moved.server}, after ${(moved.tookMs / 1000).toFixed(1)} s\n`);
    return undefined;
  },
});

export const POOL_GROW = defineCommand({
  call: { by: 'words', words: 'pool grow' },
  synopsis: 'pool grow NAME',
  summary: 'makes a shared pool as large as its disk, which has grown',
  details: `Grow the disk first, for example with rbd resize. Then give this command on the
server that serves the pool, even during I/O. A disk that is larger than the
pool does no harm.`,
  options: { json: JSON_OPTION },
  json: SERVER_METHODS['pool-grow'].result,
  operands: { min: 1, max: 1 },
  completes: COMPLETES_POOLS,
  run: async (context, { json }, [name = '']) => {
    const grown = await context.call('pool-grow', { name });
    if (json) return printJson(context, grown);
    const { beforeBytes, sizeBytes } = grown;
    if (beforeBytes === sizeBytes) context.note(`Pool ${name} has ${shownSize(sizeBytes)} as before: grow its disk first`);
    else context.out(`${name} has ${shownSize(sizeBytes)} now; before: ${shownSize(beforeBytes)}\n`);
    return undefined;
  },
});

export const POOL_RELEASE = defineCommand({
  call: { by: 'words', words: 'pool release' },
  synopsis: 'pool release NAME',
  summary: 'gives up a shared pool, so that no server owns it',
  details: `The pool needs take-over-after = never on all its owners. The pool has no
owner until rsadm pool move gives it one, and I/O of its volumes waits. The
resource agent ocf:rsio:pool for Pacemaker uses the command. The command is
refused while a job uses the pool.`,
  options: {},
  operands: { min: 1, max: 1 },
  completes: COMPLETES_POOLS,
  run: async (context, _, [name = '']) => {
    await context.call('pool-release', { name });
    context.out(`No server has ${name}; rsadm pool move ${name} --to SERVER brings it back\n`);
    return undefined;
  },
});

export const FARM = defineCommand({
  call: { by: 'words', words: 'farm' },
  synopsis: 'farm',
  summary: 'lists the pools on shared disks, with their owners',
  details: FARM_DETAILS,
  options: { json: JSON_OPTION },
  json: SERVER_METHODS['farm-show'].result,
  run: async (context, { json }) => {
    const answer = await context.call('farm-show', {});
    if (answer.pools.length === 0 && !json) context.note(NO_SHARED_POOL);
    return printFarm(context, answer.pools, json ? answer : null);
  },
});

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
