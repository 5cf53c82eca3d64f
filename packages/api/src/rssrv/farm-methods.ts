// The methods of rssrv about shared pools. The rules for changing a table are in docs/CONTROL.md. Invariant: rssrv has a handler for each
// method (admin/farm-handlers.ts).

import { SERVER_CHANGE_MS } from '@rsio/common/control/limits';
import { filledText, flag, list, number, object, orNull, text } from '@rsio/base/lib/shape';
import { shownSize } from '@rsio/base/lib/units';
import type { Said } from '../views/command-text.ts';
import { farmTable } from '../views/server-tables.ts';
import { SHARED_POOL, type SharedPoolView } from '../views/views.ts';
import { serverMethod } from './server-method.ts';

const name = { shape: filledText(), what: 'the name of a pool' };

const ABOUT_POOL = { about: 'server', only: 'rsadm', completes: 'pool list', operands: [{ param: 'name', value: 'NAME' }] } as const;

export const NO_SHARED_POOL = 'No shared pool: rsadm pool add NAME PATH --disk DISK ... makes one';

/** The help of `farm`, which rsconfig has in its own way. */
export const FARM = {
  summary: 'lists the pools on shared disks, with their owners',
  details: `One of the owners of a shared pool serves it. If it ends or is cut off, another
takes the pool: it fences the earlier owner, which can then write nothing more,
and clients continue on the new owner. HEARTBEAT is the time since the last
heartbeat of the owner. NEXT is the server that would take the pool. If no
server serves a pool, for example because a fence is not proven, the last lines
say what the pool is waiting for, and the exit code is 1.`,
} as const;

/** What `farm` prints: a pool that no server serves is named with the reason, and the exit code is then 1. */
export function farmText(pools: readonly SharedPoolView[]): Said {
  const waiting = pools.filter(({ state }) => state !== 'serving');
  return {
    ...(pools.length === 0 ? {} : { block: farmTable(pools) }),
    notes: waiting.map(({ name: pool, why }) => `Pool ${pool}: ${why}`),
    ...(waiting.length === 0 ? {} : { code: 1 }),
  };
}

export const FARM_METHODS = {
  'farm-show': serverMethod({
    help: 'The pools on shared disks: who owns them, and what they wait for',
    right: 'admin',
    reads: true,
    params: {},
    result: object({ server: text('Name of this server'), pools: list(SHARED_POOL) }),
    command: {
      words: 'farm',
      about: 'server',
      only: 'rsadm',
      summary: FARM.summary,
      details: FARM.details,
      example: 'farm',
      says: ({ pools }) => (pools.length === 0 ? { notes: [NO_SHARED_POOL] } : farmText(pools)),
    },
  }),
  'pool-move': serverMethod({
    help: 'Moves a shared pool to another owner, under I/O. The answer comes when that server serves the pool',
    right: 'admin',
    repeats: 'harmless',
    params: { name, to: { shape: filledText(), what: 'the name of a server' } },
    result: object({ server: text(), tookMs: number() }),
    waitMs: SERVER_CHANGE_MS,
    command: {
      words: 'pool move',
      ...ABOUT_POOL,
      options: { to: { param: 'to', value: 'SERVER', help: 'server to which the pool moves', needs: 'server' } },
      summary: 'moves a shared pool to another of its owners',
      details: `You can give the command on any owner, even during I/O: programs wait for some
seconds, and get no error. The command is refused while a job uses the pool.`,
      example: 'pool move fast --to big-8',
      says: ({ server, tookMs }, _, { name: pool }) => `${pool} is served by ${server}, after ${(tookMs / 1000).toFixed(1)} s`,
    },
  }),
  'pool-grow': serverMethod({
    help: 'Makes the file system of a shared pool as large as its disk, which has grown, under I/O. Only the server that serves the pool can',
    right: 'admin',
    repeats: 'harmless',
    params: { name },
    result: object({ beforeBytes: orNull(number(), 'Size of the file system before'), sizeBytes: orNull(number(), 'Its size now') }),
    waitMs: SERVER_CHANGE_MS,
    command: {
      words: 'pool grow',
      ...ABOUT_POOL,
      summary: 'makes a shared pool as large as its disk, which has grown',
      details: `Grow the disk first, for example with rbd resize. Then give this command on the
server that serves the pool, even during I/O. A disk that is larger than the
pool does no harm.`,
      example: 'pool grow fast',
      says: ({ beforeBytes, sizeBytes }, _, { name: pool }) =>
        beforeBytes === sizeBytes
          ? { notes: [`Pool ${pool} has ${shownSize(sizeBytes)} as before: grow its disk first`] }
          : `${pool} has ${shownSize(sizeBytes)} now; before: ${shownSize(beforeBytes)}`,
    },
  }),
  'pool-release': serverMethod({
    help: 'Gives a shared pool up, so that no server has it until a command moves it. Only for pools with take-over-after = never',
    right: null,
    repeats: 'harmless',
    params: { name },
    result: object({}),
    waitMs: SERVER_CHANGE_MS,
    command: {
      words: 'pool release',
      ...ABOUT_POOL,
      summary: 'gives up a shared pool, so that no server owns it',
      details: `The pool needs take-over-after = never on all its owners. The pool has no
owner until rsadm pool move gives it one, and I/O of its volumes waits. The
resource agent ocf:rsio:pool for Pacemaker uses the command. The command is
refused while a job uses the pool.`,
      example: 'pool release fast',
      says: (__, _, { name: pool }) => `No server has ${pool}; rsadm pool move ${pool} --to SERVER brings it back`,
    },
  }),
  'farm-make': serverMethod({
    help: 'Makes a pool on a shared disk, unless the disk has one. The caller then adds the section to rssrvcfg, on each owner',
    right: null,
    repeats: 'harmless',
    params: {
      name,
      path: { shape: filledText(), what: 'an absolute path' },
      disk: { shape: filledText(), what: 'rbd:POOL/IMAGE, or the path of a device' },
      fence: { shape: filledText(), what: 'rbd, reservation, command:PROGRAM or none' },
      owners: { shape: filledText(), what: 'names of servers' },
    },
    result: object({ isNew: flag() }),
    waitMs: SERVER_CHANGE_MS,
    command: { partOf: 'pool add' },
  }),
} as const;
