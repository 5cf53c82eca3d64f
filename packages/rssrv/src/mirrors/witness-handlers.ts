// Executes the methods about the mirrors for which this server votes; voters.ts keeps the records. Invariants: only an administrator may
// remove a record. A record that may be in use is removed only with `force`. Each removal is logged with the name of its asker.

import type { HandlersOf } from '@rsio/common/control/control-server';
import type { WITNESS_METHODS } from '@rsio/api/rssrv/witness-methods';
import { RsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import type { Asker } from '../pools/asker.ts';
import { VOTER_RECORDS_MAX } from './limits.ts';
import { hasEnded, type VoterRecord } from './voter-rules.ts';
import type { Voters, VoterView } from './voters.ts';

export function witnessHandlers(
  log: Pick<Log, 'info'>,
  voters: Pick<Voters, 'views' | 'remove'>,
  isWitness: boolean,
  asker: Asker,
): HandlersOf<typeof WITNESS_METHODS> {
  const unknown = (mirror: string): RsError =>
    new RsError('E_UNKNOWN_VOLUME', `This server has no record of mirror ${mirror}: rsadm witness list shows its records`, { mirror });
  return {
    'witness-list': () => ({ isWitness, limit: VOTER_RECORDS_MAX, records: voters.views.map(recordView) }),
    'witness-remove': async ({ mirror, force }) => {
      asker.needs('admin', 'remove records of mirrors');
      const view = voters.views.find((one) => one.mirror === mirror);
      if (view === undefined) throw unknown(mirror);
      const { record } = view;
      if (record !== null && record.promise !== null && !force && !hasEnded(record))
        throw new RsError(
          'E_HELD',
          `Client ${record.promise.node} may have mirror ${record.name} attached, and needs the votes of a majority: --force removes the record`,
          { mirror },
        );
      if (!(await voters.remove(mirror))) throw unknown(mirror);
      log.info(`The record of mirror ${record?.name ?? mirror} was removed by ${asker.by}`);
      return { mirror, name: record?.name ?? null };
    },
  };
}

function recordView({ mirror, trouble, record }: VoterView) {
  return { mirror, trouble, record: record === null ? null : shown(record) };
}

function shown(record: VoterRecord) {
  const { name, universe, voter, founder, promise: term, stored } = record;
  const config = stored?.config;
  return {
    name,
    universe,
    voter,
    founder,
    term,
    stored: stored === null ? null : { ...stored.term, k: stored.config.k },
    isDetached: hasEnded(record),
    members: (config?.members ?? []).map((member) => ({ ...member, inSync: config?.inSync.includes(member.identity) === true })),
    voters: config?.voters ?? [],
    clients: config === undefined ? [founder] : config.clients,
  };
}
