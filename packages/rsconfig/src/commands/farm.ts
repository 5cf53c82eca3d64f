// Implements `rsconfig farm`, which prints the table of `rsadm farm` from the answers of all servers. Invariant: of several answers about
// one pool, one counts (newest-pools.ts in packages/api).

import { JSON_OPTION } from '@rsio/common/cli/command';
import { SHARED_POOL } from '@rsio/api/views/views';
import { list, object, text } from '@rsio/base/lib/shape';
import { newestPools, type PoolTold } from '@rsio/api/manage/newest-pools';
import { printSaid } from '@rsio/api/manage/derived';
import { FARM as TEXTS, farmText } from '@rsio/api/rssrv/farm-methods';
import { defineCommand } from '../cli/context.ts';
import { INVENTORY_WAIT_MS } from '../limits.ts';
import { PLACE_OPTIONS, PLACE_SYNOPSIS } from './server-volumes/door.ts';
import { askAll, placesOf } from './server-volumes/servers.ts';

export const FARM = defineCommand({
  call: { by: 'words', words: 'farm' },
  synopsis: `farm ${PLACE_SYNOPSIS}`,
  summary: TEXTS.summary,
  details: `${TEXTS.details}

The client needs the right admin in [rights] on one of the owners. If no server
answers, the exit code is 1, too.`,
  options: { ...PLACE_OPTIONS, json: JSON_OPTION },
  json: object({
    pools: list(object({ namespace: text(), server: text('The server that reported the pool'), pool: SHARED_POOL })),
    silent: list(object({ namespace: text(), server: text(), error: text() }), 'Servers that did not answer'),
  }),
  run: async (context, { server, namespace, json }) => {
    const asked = await askAll(context, await placesOf(context, { server, namespace }), 'farm-show', {}, INVENTORY_WAIT_MS);
    const told = asked.flatMap(({ place, result }) => (result?.pools ?? []).map((pool): PoolTold => ({ ...placeOf(place), pool })));
    const silent = asked.flatMap(({ place, error }) => (error === null ? [] : [{ ...placeOf(place), error: error.message }]));
    const pools = newestPools(told);
    const isOne = new Set(pools.map((one) => one.namespace)).size <= 1;
    const shown = pools.map((one) => (isOne ? one.pool : { ...one.pool, name: `${one.namespace}:${one.pool.name}` }));
    const code = printSaid(context, farmText(shown), json ? { pools, silent } : null);
    if (json) return silent.length === asked.length ? 1 : code;
    for (const { error } of silent) context.note(error);
    if (pools.length === 0 && silent.length === 0) context.note('No server has a shared pool');
    return silent.length === asked.length ? 1 : code;
  },
});

function placeOf({ namespace, server }: Omit<PoolTold, 'pool'>): Omit<PoolTold, 'pool'> {
  return { namespace, server };
}
