// The methods of rssrv about the mirrors for which it votes. The rules for changing a table are in docs/CONTROL.md. Invariant: rssrv has a
// handler for each method (mirrors/witness-handlers.ts).

import { SERVER_CHANGE_MS } from '@rsio/common/control/limits';
import { flagParam, type Param } from '@rsio/common/control/method-table';
import { count, filledText, flag, list, number, object, type Of, optional, orNull, text } from '@rsio/base/lib/shape';
import { alignColumns, toText } from '@rsio/common/cli/table';
import { serverMethod } from './server-method.ts';

const mirror: Param<string> = { shape: filledText(), what: 'the id of a mirror' };

/** A record of a mirror. */
export const WITNESS_RECORD = object({
  mirror: text('Id of the mirror'),
  trouble: orNull(text('Why the record cannot be read, so that this server has no vote'), 'null: the record can be read'),
  record: orNull(
    object({
      name: text(),
      universe: number(),
      voter: text('Id of this server as a voter of the mirror'),
      founder: text('Client that has created the record'),
      term: orNull(object({ number: number(), node: text(), instance: number() }), 'The highest term that was claimed; null: none was'),
      stored: optional(
        orNull(
          object({ number: number(), node: text(), instance: number(), k: number() }),
          'Version of the configuration: its term, and its number in this term; null: there is none; missing: the server is of an earlier release',
        ),
      ),
      isDetached: flag('The client of the term has detached the mirror'),
      members: list(
        object({ serverid: number(), volume: text(), universe: number(), identity: text(), inSync: flag() }),
        'The replicas, by the last configuration that this server has received',
      ),
      voters: list(object({ serverid: number(), voter: text() })),
      clients: orNull(list(text()), 'Clients that may claim the mirror; null: all clients of this server'),
    }),
    'null: see trouble',
  ),
});

const NO_WITNESS =
  'Only clients that may create volumes here can make this server a voter: witness = yes in section [server] lets all clients';

function recordsTable(records: readonly Of<typeof WITNESS_RECORD>[]): string {
  const rows = records.map(({ mirror, record }) => {
    if (record === null) return [mirror, 'cannot be read', '-', '-', '-'];
    const { name, universe, term, isDetached, members } = record;
    const shown = (isInSync: boolean): string =>
      members.flatMap((one) => (one.inSync === isInSync ? [`${one.serverid}`] : [])).join(' ') || '-';
    const holder = term === null || isDetached ? '-' : term.node;
    return [mirror, `${name}@${universe}`, shown(true), shown(false), holder];
  });
  return toText(alignColumns(['ID', 'MIRROR', 'IN SYNC', 'OTHER', 'HELD BY'], rows));
}

export const WITNESS_METHODS = {
  'witness-list': serverMethod({
    help: 'The mirrors for which the server votes',
    right: 'admin',
    reads: true,
    params: {},
    result: object({
      isWitness: flag('All clients may create records here; false: only clients that may create volumes'),
      limit: count('Records that the server keeps at most'),
      records: list(WITNESS_RECORD),
    }),
    command: {
      words: 'witness list',
      about: 'server',
      only: 'rsadm',
      summary: 'lists the mirrors for which this server votes',
      details: `A mirror is a volume with replicas on several servers. Three servers vote on
which replicas are in sync, and which client has the mirror. The list names the
servers of the replicas by their serverid. Clients that may create volumes on a
server can make it a voter; with witness = yes in rssrvcfg(5), all clients can.`,
      example: 'witness list',
      says: ({ isWitness, records }) => ({
        ...(records.length === 0 ? {} : { block: recordsTable(records) }),
        notes: [
          ...(isWitness ? [] : [NO_WITNESS]),
          ...(records.length === 0 ? ['This server votes for no mirror'] : []),
          ...records.flatMap(({ trouble }) => trouble ?? []),
        ],
      }),
    },
  }),
  'witness-remove': serverMethod({
    help: 'Removes the record of a mirror, so that the server has no vote in it',
    right: 'admin',
    repeats: 'harmless',
    params: { mirror, force: flagParam },
    result: object({ mirror: text(), name: orNull(text(), 'null: the record could not be read') }),
    waitMs: SERVER_CHANGE_MS,
    command: {
      words: 'witness remove',
      about: 'server',
      only: 'rsadm',
      completes: 'witness list',
      operands: [{ param: 'mirror', value: 'ID' }],
      options: { force: { flag: 'force', help: 'remove the record even if the mirror may be attached' } },
      summary: 'removes the record of a mirror, so that this server has no vote in it',
      details: `ID is the id that rsadm witness list shows. A mirror works as long as a majority
of its voters answers. A server that lost its record has no vote until a client
makes it a voter again, as rsconfig mirror witness does. Without --force, the
command keeps the record of a mirror that a client may have attached.`,
      example: 'witness remove 8a65f3 --force',
      says: ({ mirror: id, name }) => `This server does not vote for mirror ${name ?? id} any more`,
    },
  }),
} as const;
