// The methods of rssrv about pools. The rules for changing a table are in docs/CONTROL.md. Invariant: rssrv has a handler for each method
// (admin/administration.ts).

import { SERVER_CHANGE_MS } from '@rsio/common/control/limits';
import { flagParam } from '@rsio/common/control/method-table';
import { count, filledText, flag, list, object } from '@rsio/base/lib/shape';
import { plural } from '@rsio/base/lib/units';
import { NO_POOL, poolsTable } from '../views/server-tables.ts';
import { poolNameType } from '../views/values.ts';
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
    command: {
      words: 'pool check',
      about: 'server',
      only: 'rsadm',
      completes: 'pool list',
      operands: [{ param: 'name', value: 'NAME', type: poolNameType }],
      summary: 'reports what a pool lacks, and files in it that belong to no volume',
      details: `The exit code is 1 if the pool cannot be used or if anything is reported. The
command changes nothing.`,
      example: 'pool check fast',
      says: ({ pool: { reason, findings, volumes } }, _, { name }) => {
        const faults = [...(reason === null ? [] : [`Pool ${name} cannot be used: ${reason}`]), ...findings];
        if (faults.length > 0) return { lines: faults, code: 1 };
        return `pool ${name}: ${plural(volumes, 'volume')}, nothing unexplained`;
      },
    },
  }),
  'pool-list': serverMethod({
    help: 'The pools of the server',
    right: 'manage',
    reads: true,
    shows: { pools: 'pool' },
    params: {},
    result: object({ pools: list(POOL) }),
    command: {
      words: 'pool list',
      about: 'server',
      only: 'rsadm',
      summary: 'lists pools with their space',
      example: 'pool list',
      details: `FULL is the day on which no space above the reserve is left, at the pace of
the last 7 or 30 days, whichever day is earlier; - means that the pool does not
grow, or that its pace is not known yet.`,
      says: ({ pools }, { nowMs }) => (pools.length === 0 ? { notes: [NO_POOL] } : { block: poolsTable(pools, nowMs) }),
    },
  }),
} as const;
