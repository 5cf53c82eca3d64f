// Implements `rsconfig farm`, which prints the table of `rsadm farm` from the answers of all servers. Invariant: of several answers about
// one pool, the one with the newest record counts, because a server that is cut off from the storage knows only an old record.

import { JSON_OPTION } from '@rsio/common/cli/command';
import { SHARED_POOL, type SharedPoolView } from '@rsio/api/views/views';
import { list, object, text } from '@rsio/base/lib/shape';
import { printSaid } from '@rsio/api/manage/derived';
import { FARM as TEXTS, farmText } from '@rsio/api/rssrv/farm-methods';
import { defineCommand } from '../cli/context.ts';
import { INVENTORY_WAIT_MS } from '../limits.ts';
import { PLACE_OPTIONS, PLACE_SYNOPSIS } from './server-volumes/door.ts';
import { askAll, placesOf } from './server-volumes/servers.ts';

interface Told {
  readonly namespace: string;
  readonly server: string;
  readonly pool: SharedPoolView;
}

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
    const told = asked.flatMap(({ place, result }) => (result?.pools ?? []).map((pool): Told => ({ ...placeOf(place), pool })));
    const silent = asked.flatMap(({ place, error }) => (error === null ? [] : [{ ...placeOf(place), error: error.message }]));
    const pools = newest(told);
    const isOne = new Set(pools.map((one) => one.namespace)).size <= 1;
    const shown = pools.map((one) => (isOne ? one.pool : { ...one.pool, name: `${one.namespace}:${one.pool.name}` }));
    const code = printSaid(context, farmText(shown), json ? { pools, silent } : null);
    if (json) return silent.length === asked.length ? 1 : code;
    for (const { error } of silent) context.note(error);
    if (pools.length === 0 && silent.length === 0) context.note('No server has a shared pool');
    return silent.length === asked.length ? 1 : code;
  },
});

function placeOf({ namespace, server }: Omit<Told, 'pool'>): Omit<Told, 'pool'> {
  return { namespace, server };
}

/**
 * Returns the newest answer about each pool, in the order in which the servers first name the pools. If several answers are equally
 * new, the answer of the owner counts.
 */
function newest(told: readonly Told[]): Told[] {
  const byPool = new Map<string, Told>();
  for (const one of told) {
    const key = JSON.stringify([one.namespace, one.pool.name, one.pool.disk]);
    const known = byPool.get(key);
    if (known === undefined || rankOf(one) > rankOf(known)) byPool.set(key, one);
  }
  return [...byPool.values()];
}

function rankOf({ pool: { generation, isHere } }: Told): number {
  return 2 * generation + Number(isHere);
}
