// Implements `rsconfig pool list`, which prints the table of `rsadm pool list` for all servers. Invariant: a server that does not answer, or
// that does not show its pools to this client, is named on stderr and hides no pool of the others.

import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { alignColumns, toText } from '@rsio/common/cli/table';
import { POOL } from '@rsio/api/views/views';
import { list, object, text } from '@rsio/base/lib/shape';
import { fullDay } from '@rsio/api/views/capacity';
import { NO_POOL, standingText } from '@rsio/api/views/server-tables';
import { shownSize } from '@rsio/base/lib/units';
import { defineCommand } from '../cli/context.ts';
import { INVENTORY_WAIT_MS } from '../limits.ts';
import { PLACE_OPTIONS, PLACE_SYNOPSIS } from './server-volumes/door.ts';
import { askAll, placesOf } from './server-volumes/servers.ts';

export const POOL_LIST = defineCommand({
  call: { by: 'words', words: 'pool list' },
  synopsis: `pool list ${PLACE_SYNOPSIS}`,
  summary: 'lists the pools of all servers with their space',
  details: `FREE is the room for new data, above the reserve. FULL is the day on which none
is left, at the pace of the last 7 or 30 days, whichever day is earlier; - means
that the pool does not grow, or that its pace is not known yet. This client sees
the pools that it may use; it needs the right manage in [rights] of the server.
The exit code is 1 if no server answers.`,
  options: { ...PLACE_OPTIONS, json: JSON_OPTION },
  json: object({
    servers: list(object({ namespace: text(), server: text(), pools: list(POOL) })),
    silent: list(object({ namespace: text(), server: text(), error: text() }), 'Servers that did not show their pools'),
  }),
  run: async (context, { server, namespace, json }) => {
    const asked = await askAll(context, await placesOf(context, { server, namespace }), 'pool-list', {}, INVENTORY_WAIT_MS);
    const told = asked.flatMap(({ place, result }) => (result === null ? [] : [{ ...named(place), pools: result.pools }]));
    const silent = asked.flatMap(({ place, error }) => (error === null ? [] : [{ ...named(place), error: error.message }]));
    const code = told.length === 0 ? 1 : undefined;
    if (json) {
      printJson(context, { servers: told, silent });
      return code;
    }
    for (const { error } of silent) context.note(error);
    const isOne = new Set(asked.map(({ place }) => place.namespace)).size <= 1;
    const rows = told.flatMap((one) =>
      one.pools.map((pool) => [
        isOne ? one.server : `${one.namespace}:${one.server}`,
        pool.name,
        shownSize(pool.totalBytes),
        shownSize(pool.usableBytes),
        shownSize(pool.promisedBytes),
        fullDay(pool, context.clock.wallMs()),
        String(pool.volumes),
        pool.state === 'ready' ? pool.state : standingText(pool),
      ]),
    );
    if (rows.length > 0)
      context.out(toText(alignColumns(['SERVER', 'POOL', '>SIZE', '>FREE', '>PROMISED', '>FULL', '>VOLUMES', 'STATE'], rows)));
    else if (code === undefined) context.note(NO_POOL);
    return code;
  },
});

function named({ namespace, server }: { readonly namespace: string; readonly server: string }): { namespace: string; server: string } {
  return { namespace, server };
}
