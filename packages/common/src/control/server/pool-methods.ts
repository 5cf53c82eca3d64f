// The methods of rssrv about pools. The rules for changing a table are in docs/CONTROL.md. Invariant: rssrv has a handler for each method
// (admin/administration.ts).

import { CONTROL_ANSWER_MS, SERVER_CHANGE_MS } from '../limits.ts';
import { flagParam, method } from '../method-table.ts';
import { count, filledText, flag, list, object } from '../../lib/shape.ts';
import { POOL } from './views.ts';

export const POOL_METHODS = {
  'pool-make': method(
    'Makes a directory a pool, unless it is one. The caller then adds the section to rssrvcfg. With `noHolders`, nobody holds a volume of a pool without a whole ledger',
    {
      path: { shape: filledText(), what: 'an absolute path' },
      noHolders: flagParam,
    },
    object({ isNew: flag(), volumes: count('Volumes that the pool already has') }),
    SERVER_CHANGE_MS,
  ),
  'pool-check': method(
    'Reads a pool again, and reports what it lacks, and files that belong to no volume',
    { name: { shape: filledText(), what: 'the name of a pool' } },
    object({ pool: POOL }),
    SERVER_CHANGE_MS,
    'admin',
  ),
  'pool-list': method('The pools of the server', {}, object({ pools: list(POOL) }), CONTROL_ANSWER_MS, 'manage'),
} as const;
