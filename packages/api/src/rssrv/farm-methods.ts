// The methods of rssrv about shared pools. The rules for changing a table are in docs/CONTROL.md. Invariant: rssrv has a handler for each
// method (admin/farm-handlers.ts).

import { SERVER_CHANGE_MS } from '@rsio/common/control/limits';
import { filledText, flag, list, number, object, orNull, text } from '@rsio/base/lib/shape';
import { SHARED_POOL } from '../views/views.ts';
import { serverMethod } from './server-method.ts';

const name = { shape: filledText(), what: 'the name of a pool' };

export const FARM_METHODS = {
  'farm-show': serverMethod({
    help: 'The pools on shared disks: who owns them, and what they wait for',
    right: 'admin',
    reads: true,
    params: {},
    result: object({ server: text('Name of this server'), pools: list(SHARED_POOL) }),
    command: { byHand: 'farm', because: 'rsadm has its texts' },
  }),
  'pool-move': serverMethod({
    help: 'Moves a shared pool to another owner, under I/O. The answer comes when that server serves the pool',
    right: 'admin',
    repeats: 'harmless',
    params: { name, to: { shape: filledText(), what: 'the name of a server' } },
    result: object({ server: text(), tookMs: number() }),
    waitMs: SERVER_CHANGE_MS,
    command: { byHand: 'pool move', because: 'rsadm has its texts' },
  }),
  'pool-grow': serverMethod({
    help: 'Makes the file system of a shared pool as large as its disk, which has grown, under I/O. Only the server that serves the pool can',
    right: 'admin',
    repeats: 'harmless',
    params: { name },
    result: object({ beforeBytes: orNull(number(), 'Size of the file system before'), sizeBytes: orNull(number(), 'Its size now') }),
    waitMs: SERVER_CHANGE_MS,
    command: { byHand: 'pool grow', because: 'rsadm has its texts' },
  }),
  'pool-release': serverMethod({
    help: 'Gives a shared pool up, so that no server has it until a command moves it. Only for pools with take-over-after = never',
    right: null,
    repeats: 'harmless',
    params: { name },
    result: object({}),
    waitMs: SERVER_CHANGE_MS,
    command: { byHand: 'pool release', because: 'rsadm has its texts' },
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
    command: { calledBy: 'pool add' },
  }),
} as const;
