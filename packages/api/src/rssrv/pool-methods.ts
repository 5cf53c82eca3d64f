// The methods of rssrv about pools. The rules for changing a table are in docs/CONTROL.md. Invariant: rssrv has a handler for each method
// (admin/administration.ts).

import { SERVER_CHANGE_MS } from '@rsio/common/control/limits';
import { flagParam } from '@rsio/common/control/method-table';
import { count, filledText, flag, list, object } from '@rsio/base/lib/shape';
import { serverMethod } from './server-method.ts';
import { POOL } from '../views/views.ts';

export const POOL_METHODS = {
  'pool-make': serverMethod({
    help: 'Makes a directory a pool, unless it is one. The caller then adds the section to rssrvcfg. With `noHolders`, nobody holds a volume of a pool without a whole ledger',
    right: null,
    repeats: 'harmless',
    params: {
      path: { shape: filledText(), what: 'an absolute path' },
      noHolders: flagParam,
    },
    result: object({ isNew: flag(), volumes: count('Volumes that the pool already has') }),
    waitMs: SERVER_CHANGE_MS,
    command: { byHand: 'pool add', because: 'it edits rssrvcfg, too' },
  }),
  'pool-check': serverMethod({
    help: 'Reads a pool again, and reports what it lacks, and files that belong to no volume',
    right: 'admin',
    repeats: 'harmless',
    params: { name: { shape: filledText(), what: 'the name of a pool' } },
    result: object({ pool: POOL }),
    waitMs: SERVER_CHANGE_MS,
    command: { byHand: 'pool check', because: 'rsadm has its texts' },
  }),
  'pool-list': serverMethod({
    help: 'The pools of the server',
    right: 'manage',
    reads: true,
    shows: { pools: 'pool' },
    params: {},
    result: object({ pools: list(POOL) }),
    command: { byHand: 'pool list', because: 'rsadm has its texts' },
  }),
} as const;
