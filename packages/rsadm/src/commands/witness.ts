// The commands about the records of mirrors for which this server votes. The file mirrors/voters.ts of rssrv keeps the records. Invariant:
// a record that a client may need is removed only with --force.

import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { alignColumns, toText } from '@rsio/common/cli/table';
import { SERVER_METHODS, type ServerMethods } from '@rsio/api/rssrv/server-methods';
import { escapeControls } from '@rsio/base/lib/printable';
import { defineCommand } from '../cli/context.ts';

type Listed = ServerMethods['witness-list']['result']['records'][number];

const NOT_READ = 'cannot be read';

export const WITNESS_LIST = defineCommand({
  call: { by: 'words', words: 'witness list' },
  synopsis: 'witness list',
  summary: 'lists the mirrors for which this server votes',
  details: `A mirror is a volume with replicas on several servers. Three servers vote on
which replicas are in sync, and which client has the mirror. The list names the
servers of the replicas by their serverid. Clients that may create volumes on a
server can make it a voter; with witness = yes in rssrvcfg(5), all clients can.`,
  options: { json: JSON_OPTION },
  json: SERVER_METHODS['witness-list'].result,
  run: async (context, { json }) => {
    const answer = await context.call('witness-list', {});
    if (json) return printJson(context, answer);
    const { isWitness, records } = answer;
    if (!isWitness)
      context.note(
        'Only clients that may create volumes here can make this server a voter: witness = yes in section [server] lets all clients',
      );
    if (records.length === 0) context.note('This server votes for no mirror');
    else context.out(recordsTable(records));
    for (const { trouble } of records) if (trouble !== null) context.note(trouble);
    return undefined;
  },
});

export const WITNESS_REMOVE = defineCommand({
  call: { by: 'words', words: 'witness remove' },
  synopsis: 'witness remove ID [--force]',
  summary: 'removes the record of a mirror, so that this server has no vote in it',
  details: `ID is the id that rsadm witness list shows. A mirror works as long as a majority
of its voters answers. A server that lost its record has no vote until a client
makes it a voter again, as rsconfig mirror witness does. Without --force, the
command keeps the record of a mirror that a client may have attached.`,
  options: { force: { kind: 'flag', help: 'remove the record even if the mirror may be attached' }, json: JSON_OPTION },
  json: SERVER_METHODS['witness-remove'].result,
  operands: { min: 1, max: 1 },
  completes: `"\${ask[@]}" witness list | tail -n +2 | cut -d' ' -f1`,
  run: async (context, { force, json }, [mirror = '']) => {
    const removed = await context.call('witness-remove', { mirror, force });
    if (json) return printJson(context, removed);
    context.out(`This server does not vote for mirror ${escapeControls(removed.name ?? mirror)} any more\n`);
    return undefined;
  },
});

function recordsTable(records: readonly Listed[]): string {
  const rows = records.map(({ mirror, record }) => {
    if (record === null) return [mirror, NOT_READ, '-', '-', '-'];
    const { name, universe, term, isDetached, members } = record;
    const shown = (isInSync: boolean): string =>
      members.flatMap((one) => (one.inSync === isInSync ? [`${one.serverid}`] : [])).join(' ') || '-';
    const holder = term === null || isDetached ? '-' : term.node;
    return [mirror, `${name}@${universe}`, shown(true), shown(false), holder];
  });
  return toText(alignColumns(['ID', 'MIRROR', 'IN SYNC', 'OTHER', 'HELD BY'], rows));
}
