// Implements `rsconfig servers`: one view of all servers, and whether each may be restarted now. Each server judges for itself whether it
// is ready (rsadm ready-to-restart). Invariant: a server that does not answer, or does not tell this client, is never shown as ready.

import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { alignColumns, toText } from '@rsio/common/cli/table';
import { READINESS, type Readiness } from '@rsio/api/rssrv/observing-methods';
import { list, number, object, orNull, text } from '@rsio/base/lib/shape';
import { formatTime } from '@rsio/base/log/log-line';
import { defineCommand } from '../cli/context.ts';
import { INVENTORY_WAIT_MS } from '../limits.ts';
import { PLACE_OPTIONS, PLACE_SYNOPSIS } from './server-volumes/door.ts';
import { askAll, placesOf } from './server-volumes/servers.ts';

interface Row {
  readonly namespace: string;
  readonly server: string;
  readonly version: string | null;
  readonly startedMs: number | null;
  readonly readiness: Readiness | null;
  readonly error: string | null;
}

export const SERVERS = defineCommand({
  call: { by: 'words', words: 'servers' },
  synopsis: `servers ${PLACE_SYNOPSIS}`,
  summary: 'lists all servers, and whether each may be restarted',
  details: `READY is yes if rsadm ready-to-restart on the server says so. The lines below
the table say what stands against a restart. The client needs the right admin in
[rights] on each server. The exit code is 0 only if every server answers and is
ready, so that any one of them may be restarted.`,
  options: { ...PLACE_OPTIONS, json: JSON_OPTION },
  json: object({
    servers: list(
      object({
        namespace: text(),
        server: text(),
        version: orNull(text(), 'null: the server does not answer'),
        startedMs: orNull(number(), 'Time of its start; null: the server does not answer'),
        readiness: orNull(READINESS, 'null: the server does not answer, or does not tell this client'),
        error: orNull(text(), 'Why the server does not answer or tell'),
      }),
    ),
  }),
  run: async (context, { server, namespace, json }) => {
    const places = await placesOf(context, { server, namespace });
    const asked = await askAll(context, places, 'readiness', {}, INVENTORY_WAIT_MS);
    const refusing = asked.filter(({ place, result }) => result === null && place.isConnected).map(({ place }) => place);
    const daemons = await askAll(context, refusing, 'daemon', {}, INVENTORY_WAIT_MS);
    const rows = asked.map(({ place, result, error }): Row => {
      const daemon = result ?? daemons.find((one) => one.place === place)?.result ?? null;
      const { version = null, startedMs = null } = daemon ?? {};
      return { namespace: place.namespace, server: place.server, version, startedMs, readiness: result, error: error?.message ?? null };
    });
    const code = rows.every(({ readiness }) => readiness?.isReady === true) ? 0 : 1;
    if (json) return printJson(context, { servers: rows }) ?? code;
    context.out(serversTable(rows));
    for (const { server: name, readiness, error } of rows) {
      for (const { text: reason } of readiness?.reasons ?? []) context.note(`${name}: ${reason}`);
      for (const warning of readiness?.warnings ?? []) context.note(`${name}: ${warning}`);
      if (error !== null) context.note(`${name}: ${error}`);
    }
    return code;
  },
});

function serversTable(rows: readonly Row[]): string {
  const columns = ['SERVER', 'RELEASE', 'UP SINCE', 'POOLS', '>CLIENTS', '>MIRRORS', 'READY'];
  const cells = rows.map(({ namespace, server, version, startedMs, readiness }) => [
    `${namespace}/${server}`,
    version ?? '-',
    startedMs === null ? '-' : formatTime(startedMs),
    readiness === null ? '-' : `${readiness.pools.ready} of ${readiness.pools.total}`,
    readiness === null ? '-' : String(readiness.sessions),
    readiness === null ? '-' : String(readiness.mirrors),
    readiness === null ? '-' : readiness.isReady ? 'yes' : 'no',
  ]);
  return toText(alignColumns(columns, cells));
}
