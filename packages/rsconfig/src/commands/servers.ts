// Implements `rsconfig servers`: one view of all servers, and whether each may be restarted now. Each server judges for itself whether it
// is ready (rsadm ready-to-restart), and does not know which others are away; about mirrors, the answers of all servers count, too.
// Invariant: a server that does not answer, or does not tell this client, is never shown as ready, and neither is one of a mirror whose
// state no server tells.

import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { alignColumns, toText } from '@rsio/common/cli/table';
import { restartLacks } from '@rsio/api/manage/losses';
import { withToldMirrors } from '@rsio/api/manage/told-mirrors';
import type { MirrorSummary } from '@rsio/api/views/mirror-views';
import { READINESS, type Readiness } from '@rsio/api/rssrv/observing-methods';
import { RsError } from '@rsio/base/lib/errors';
import { flag, list, number, object, orNull, text } from '@rsio/base/lib/shape';
import { volumeLabel } from '@rsio/base/lib/volume-name';
import { formatTime } from '@rsio/base/log/log-line';
import { type CommandContext, defineCommand } from '../cli/context.ts';
import { INVENTORY_WAIT_MS } from '../limits.ts';
import { PLACE_OPTIONS, PLACE_SYNOPSIS } from './server-volumes/door.ts';
import type { Place } from '@rsio/api/manage/asked-servers';
import { askAll, placesOf } from './server-volumes/servers.ts';

interface Row {
  readonly namespace: string;
  readonly server: string;
  readonly version: string | null;
  readonly startedMs: number | null;
  readonly readiness: Readiness | null;
  readonly error: string | null;
  /** What stands against a restart by the answers of all servers. The reasons that the server itself has told are not among them. */
  readonly lacks: readonly string[];
}

export const SERVERS = defineCommand({
  call: { by: 'words', words: 'servers' },
  synopsis: `servers ${PLACE_SYNOPSIS}`,
  summary: 'lists all servers, and whether each may be restarted',
  details: `READY is yes if rsadm ready-to-restart on the server says so, and if no mirror
in use would stop without it because another server is away. A mirror counts
also if this client is not among its clients; if no server tells its state, its
servers are not ready. The lines below the table say what stands against a
restart. The client needs the right admin or view in [rights] on each server.
The exit code is 0 only if every server answers and is ready, so that any one of
them may be restarted.`,
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
        isReady: flag('The server says that it is ready, and lacks is empty'),
        lacks: list(text(), 'What else stands against a restart, by the answers of all servers'),
      }),
    ),
  }),
  run: async (context, { server, namespace, json }) => {
    const places = await placesOf(context, { server, namespace });
    const [asked, mirrors] = await Promise.all([
      askAll(context, places, 'readiness', {}, INVENTORY_WAIT_MS),
      mirrorsOf(context, places, namespace),
    ]);
    const refusing = asked.filter(({ place, result }) => result === null && place.isConnected).map(({ place }) => place);
    const daemons = await askAll(context, refusing, 'daemon', {}, INVENTORY_WAIT_MS);
    const rows = asked.map(({ place, result, error }): Row => {
      const daemon = result ?? daemons.find((one) => one.place === place)?.result ?? null;
      const { version = null, startedMs = null } = daemon ?? {};
      const lacks = result === null ? [] : lacksAt(place, result, mirrors);
      return {
        namespace: place.namespace,
        server: place.server,
        version,
        startedMs,
        readiness: result,
        error: error?.message ?? null,
        lacks,
      };
    });
    const code = rows.every(isReady) ? 0 : 1;
    if (json) return printJson(context, { servers: rows.map((row) => ({ ...row, isReady: isReady(row) })) }) ?? code;
    context.out(serversTable(rows));
    for (const { server: name, readiness, error, lacks } of rows) {
      for (const reason of [...(readiness?.reasons ?? []).map((one) => one.text), ...lacks]) context.note(`${name}: ${reason}`);
      for (const warning of readiness?.warnings ?? []) context.note(`${name}: ${warning}`);
      if (error !== null) context.note(`${name}: ${error}`);
    }
    return code;
  },
});

function isReady({ readiness, lacks }: Row): boolean {
  return readiness?.isReady === true && lacks.length === 0;
}

interface KnownMirrors {
  readonly mirrors: readonly MirrorSummary[];
  /** Why a server does not tell its volumes or its records, so that mirrors may be missing. */
  readonly gaps: readonly { readonly place: Place; readonly error: RsError }[];
}

/**
 * The mirrors by the answers of all servers, also of those that the command does not show. Returns the error if rsiod does not list the
 * mirrors in time. Throws other errors.
 */
async function mirrorsOf(context: CommandContext, shown: readonly Place[], namespace: string | null): Promise<KnownMirrors | RsError> {
  try {
    const places = await placesOf(context, { server: null, namespace });
    const own = places.filter((place) => shown.some((one) => one.namespace === place.namespace));
    const [{ mirrors }, volumes, records] = await Promise.all([
      context.call('mirrors', { namespace }, INVENTORY_WAIT_MS),
      askAll(context, own, 'volume-list', { pool: null }, INVENTORY_WAIT_MS),
      askAll(context, own, 'witness-list', {}, INVENTORY_WAIT_MS),
    ]);
    const gaps = [...volumes, ...records].flatMap(({ place, error }) => (error === null ? [] : [{ place, error }]));
    return { mirrors: withToldMirrors(mirrors, volumes, records), gaps };
  } catch (thrown) {
    if (thrown instanceof RsError && thrown.code === 'E_TIMEOUT') return thrown;
    throw thrown;
  }
}

/** Empty if the server itself has told of a mirror: it says what to wait for, and one reason is enough. */
function lacksAt({ namespace, server }: Place, { reasons }: Readiness, known: KnownMirrors | RsError): string[] {
  if (reasons.some(({ kind }) => kind === 'mirror')) return [];
  const unknown = (why: RsError): string => `Whether a mirror would stop without it is not known: ${why.message}`;
  if (known instanceof RsError) return [unknown(known)];
  const gap = known.gaps.find(({ place }) => place.namespace === namespace && place.server === server);
  if (gap !== undefined) return [unknown(gap.error)];
  const own = known.mirrors.filter((one) => one.namespace === namespace);
  return restartLacks(own, server).map(({ mirror, lack }) => {
    const label = volumeLabel(mirror);
    if (lack === 'unknown')
      return `Whether mirror ${label} would stop is not known: no voter tells its state (rsconfig servers at a client of the mirror, or rsadm witness list)`;
    const missing = lack === 'replica' ? 'no other replica with every write can be reached' : 'too few other voters answer';
    return `Mirror ${label} would stop, because ${missing}: wait until its servers are back (rsconfig mirror list)`;
  });
}

function serversTable(rows: readonly Row[]): string {
  const columns = ['SERVER', 'RELEASE', 'UP SINCE', 'POOLS', '>CLIENTS', '>MIRRORS', 'READY'];
  const cells = rows.map((row) => {
    const { namespace, server, version, startedMs, readiness } = row;
    return [
      `${namespace}/${server}`,
      version ?? '-',
      startedMs === null ? '-' : formatTime(startedMs),
      readiness === null ? '-' : `${readiness.pools.ready} of ${readiness.pools.total}`,
      readiness === null ? '-' : String(readiness.sessions),
      readiness === null ? '-' : String(readiness.mirrors),
      readiness === null ? '-' : isReady(row) ? 'yes' : 'no',
    ];
  });
  return toText(alignColumns(columns, cells));
}
