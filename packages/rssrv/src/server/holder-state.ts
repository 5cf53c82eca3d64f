// Makes the objects that record which clients hold which volumes, and which clients are fenced: the files in the state directory, and the
// ledgers of the pools. Invariant: the holds and fences of a pool are saved in the ledger of this pool, and in no other ledger.

import type { RssrvPaths } from '@rsio/common/config/root-paths';
import type { Clock } from '@rsio/common/lib/clock';
import type { Log } from '@rsio/common/log/log';
import type { Administration } from '../admin/administration.ts';
import { Fences } from '../volumes/fences.ts';
import { Holds } from '../volumes/holds/holds.ts';
import { Ledgers } from '../volumes/holds/ledgers.ts';
import type { Admissions } from './admissions.ts';
import type { RunRecords } from './run-records.ts';

export interface HolderState {
  readonly holds: Holds;
  readonly fences: Fences;
  readonly ledgers: Ledgers;
}

/** Each part is a function, because the parts are made later; `records` returns null until the server starts. */
export interface HolderStateParts {
  readonly records: () => RunRecords | null;
  readonly administration: () => Administration;
  readonly admissions: () => Admissions;
}

export function newHolderState(
  { paths, clock, log }: { readonly paths: RssrvPaths; readonly clock: Clock; readonly log: Log },
  { records, administration, admissions }: HolderStateParts,
): HolderState {
  const holds = new Holds(paths.holdersFile, () => clock.wallMs(), log, {
    save: (poolId) => ledgers.save(poolId),
    isDirty: (poolId) => ledgers.isDirty(poolId),
    doubt: (poolId) => ledgers.doubt(poolId),
  });
  const fences = new Fences(clock, paths.fencesFile, holds, () => ledgers.saveFences());
  const ledgers: Ledgers = new Ledgers({
    ...{ log, holds, fences },
    owner: () => records()?.runId ?? '',
    begin: async (ids) => records()?.poolCame(ids),
    countOf: (id) => records()?.countOf(id) ?? 0,
    adoptCounts: (counts) => records()?.adoptCounts(counts),
    areRemembered: (path, volumes) => administration().areRemembered(path, volumes),
    onLedger: (poolId, work) => administration().onLedger(poolId, work),
    came: (fenced) => {
      admissions().holdersCame();
      for (const node of fenced) admissions().endSession(node, 'E_FENCED', `Node ${node} was fenced at the last server of a pool`);
    },
  });
  return { holds, fences, ledgers };
}
