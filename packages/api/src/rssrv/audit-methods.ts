// The method of rssrv that shows who has ordered which change. Invariant: an entry names its order as the table of methods does, and
// contains no key.

import { object, list, number, optional, orNull, text, whole, type Of, flag } from '@rsio/base/lib/shape';
import type { Param } from '@rsio/common/control/method-table';
import { alignColumns, toText } from '@rsio/common/cli/table';
import { formatTime } from '@rsio/base/log/log-line';
import { sinceHelp } from '@rsio/common/cli/since';
import { volumeOrNull } from './params.ts';
import { serverMethod } from './server-method.ts';

/** Most entries of one answer. */
export const AUDIT_ENTRIES_MAX = 1_000;
/** Entries that a command shows. */
export const AUDIT_SHOWN = 100;
/** What an entry names in place of a method if a client has taken a volume over. */
export const TAKEN_OVER = 'take-over';
export const WHO_HELP = 'only orders of askers with this text in their names';

export const AUDIT_ENTRY = object({
  atMs: number('When the order ended; the time of the server, in ms since 1970'),
  who: text('A client, or a user of the server, with the person whom a program such as rsweb names'),
  order: text(`The name of the method; \`${TAKEN_OVER}\` if a client has taken the volume over from another one`),
  volume: orNull(text(), 'The volume that the order names, such as `oracle` or `oracle@1`'),
  volumeId: orNull(text(), 'Its id, which it keeps when it is renamed; null if there was no such volume in a pool'),
  others: optional(
    list(
      object({ volume: text(), volumeId: orNull(text()) }),
      'Further volumes that the order is about; missing: none, or an earlier release',
    ),
  ),
  asked: list(text(), 'The other parameters, such as `newName=ledger`'),
  changes: list(text(), 'What has changed, such as `sizeBytes: 1073741824 -> 2147483648`; empty if the order shows no such change'),
  outcome: text('`done`, or the stable code of the error'),
  why: orNull(text(), 'The message of the error'),
  id: orNull(text(), 'The id of the order: a repetition with this id gets the first answer'),
  left: orNull(
    whole(1, Number.MAX_SAFE_INTEGER),
    'Orders of this asker before this one that are not in the list, because it gave too many',
  ),
});

export type AuditEntry = Of<typeof AUDIT_ENTRY>;

const textOrNull = (what: string): Param<string | null> => ({ shape: orNull(text()), what, default: null });

export const AUDIT_METHODS = {
  audit: serverMethod({
    help: 'Who has ordered which change, with its outcome, the oldest first; refused orders, too',
    right: 'admin',
    reads: true,
    params: {
      since: textOrNull('a duration such as 2h or 3d, a date (GMT), or null'),
      who: textOrNull('a part of the name of the asker, or null'),
      volume: volumeOrNull,
      limit: { shape: whole(1, AUDIT_ENTRIES_MAX), what: `a number from 1 to ${AUDIT_ENTRIES_MAX}`, default: AUDIT_SHOWN },
    },
    result: object({ entries: list(AUDIT_ENTRY), isWhole: flag('false: there are older entries that match') }),
    command: {
      words: 'audit',
      about: 'server',
      only: 'rsadm',
      operands: [{ value: 'VOLUME', volume: (volume) => ({ volume }) }],
      mayEnd: true,
      options: {
        since: { param: 'since', value: 'TIME', help: sinceHelp('orders') },
        who: { param: 'who', value: 'TEXT', help: WHO_HELP },
      },
      summary: 'says who has ordered which change, and what came of it',
      details: `Each order that changes something has an entry: who gave it, what it asked for,
what changed, and its outcome. Refused orders have an entry, too, and so has a
client that takes a volume over from another one. The asker is a client, or a
user of the server. The orders about a VOLUME include those about
several volumes, and those that named it by an earlier name. The list shows the
latest ${AUDIT_SHOWN} entries. The server keeps the last ones only, with two bounds: one
for orders on the server, and one for those of clients, so that no client pushes
out an administrator's.`,
      example: 'audit oracle --since 7d',
      says: ({ entries, isWhole }) => ({
        ...(entries.length === 0 ? {} : { block: auditTable(entries) }),
        notes: auditNotes(entries, isWhole),
      }),
    },
  }),
} as const;

/** Returns what a person should know about a list of entries. `isWhole`: false if there are older ones. */
export function auditNotes(entries: readonly AuditEntry[], isWhole: boolean): string[] {
  return [
    ...(entries.length === 0 ? ['No order'] : []),
    ...(isWhole ? [] : ['There are older orders: narrow the list with --since, --who or VOLUME']),
  ];
}

/** Returns the table of entries. `server`: adds the column of the server that has each entry. */
export function auditTable(entries: readonly AuditEntry[], server: ((entry: AuditEntry) => string) | null = null): string {
  const rows = entries.map((entry) => [
    formatTime(entry.atMs),
    ...(server === null ? [] : [server(entry)]),
    entry.who,
    [entry.order, ...(entry.volume === null ? [] : [entry.volume]), ...entry.asked].join(' '),
    [
      entry.outcome === 'done' ? ['done', ...entry.changes].join('; ') : `${entry.outcome}: ${entry.why ?? ''}`,
      ...(entry.left === null ? [] : [`(${entry.left} orders before it are not in the list)`]),
    ].join(' '),
  ]);
  return toText(alignColumns(['TIME', ...(server === null ? [] : ['SERVER']), 'WHO', 'ORDER', 'OUTCOME'], rows));
}
