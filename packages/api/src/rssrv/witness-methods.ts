// The methods of rssrv about the mirrors for which it votes. The rules for changing a table are in docs/CONTROL.md. Invariant: rssrv has a
// handler for each method (mirrors/witness-handlers.ts).

import { SERVER_CHANGE_MS } from '@rsio/common/control/limits';
import { flagParam, type Param } from '@rsio/common/control/method-table';
import { count, filledText, flag, list, number, object, orNull, text } from '@rsio/base/lib/shape';
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
    command: { byHand: 'witness list', because: 'rsadm has its texts' },
  }),
  'witness-remove': serverMethod({
    help: 'Removes the record of a mirror, so that the server has no vote in it',
    right: 'admin',
    repeats: 'harmless',
    params: { mirror, force: flagParam },
    result: object({ mirror: text(), name: orNull(text(), 'null: the record could not be read') }),
    waitMs: SERVER_CHANGE_MS,
    command: { byHand: 'witness remove', because: 'rsadm has its texts' },
  }),
} as const;
