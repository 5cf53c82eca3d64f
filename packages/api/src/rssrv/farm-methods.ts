// The methods of rssrv about shared pools. The rules for changing a table are in docs/CONTROL.md. Invariant: rssrv has a handler for each
// method (admin/farm-handlers.ts).

import { SERVER_CHANGE_MS } from '@rsio/common/control/limits';
import { count, filledText, flag, list, number, object, type Of, orNull, text, word } from '@rsio/common/lib/shape';
import { serverMethod } from './server-method.ts';

const name = { shape: filledText(), what: 'the name of a pool' };

export const SHARED_POOL = object({
  name: text(),
  disk: text('As in rssrvcfg, such as rbd:rsio/fast'),
  fence: text('As in rssrvcfg'),
  state: word(
    ['unknown', 'claimed', 'making', 'free', 'taking', 'interrupted', 'serving'],
    'By the record of the pool; unknown: the record was not read yet; interrupted: its owner should serve it, but was not heard, or is ending',
  ),
  owner: orNull(text(), 'Name of the server that owns the pool, or is taking it; null: none'),
  isHere: flag('True if this server serves the pool'),
  standing: word(['watching', 'taking', 'owned', 'leaving', 'ending'], 'What this server does about the pool'),
  generation: count('Grows with each owner'),
  sinceMs: orNull(number(), 'Time of the last change of the record, by the clock of the server that made it'),
  heartbeatMs: orNull(number(), 'Time for which the owner was not heard; null: no owner'),
  next: orNull(text(), 'Name of the server that takes the pool if the owner ends; null: none is there, or only a command moves the pool'),
  takeOverMs: orNull(
    number(),
    'Time for which the owner must be silent before another server takes the pool; null: only a command moves it',
  ),
  load: orNull(count('Of the server that serves the pool: READs and WRITEs per second, and one for each 64 KiB/s; null: unknown')),
  why: text('What this server waits for, or why it does not serve the pool'),
  owners: list(object({ server: text(), isThere: flag('True if the server watches the pool') }), 'In order of preference'),
  unfenced: list(object({ server: text(), generation: count() }), 'Earlier owners whose end is not proven yet'),
});
export type SharedPoolView = Of<typeof SHARED_POOL>;

export const FARM_METHODS = {
  'farm-show': serverMethod({
    help: 'The pools on shared disks: who owns them, and what they wait for',
    right: 'admin',
    reads: true,
    params: {},
    result: object({ server: text('Name of this server'), pools: list(SHARED_POOL) }),
  }),
  'pool-move': serverMethod({
    help: 'Moves a shared pool to another owner, under I/O. The answer comes when that server serves the pool',
    right: 'admin',
    repeats: 'harmless',
    params: { name, to: { shape: filledText(), what: 'the name of a server' } },
    result: object({ server: text(), tookMs: number() }),
    waitMs: SERVER_CHANGE_MS,
  }),
  'pool-grow': serverMethod({
    help: 'Makes the file system of a shared pool as large as its disk, which has grown, under I/O. Only the server that serves the pool can',
    right: 'admin',
    repeats: 'harmless',
    params: { name },
    result: object({ beforeBytes: orNull(number(), 'Size of the file system before'), sizeBytes: orNull(number(), 'Its size now') }),
    waitMs: SERVER_CHANGE_MS,
  }),
  'pool-release': serverMethod({
    help: 'Gives a shared pool up, so that no server has it until a command moves it. Only for pools with take-over-after = never',
    right: null,
    repeats: 'harmless',
    params: { name },
    result: object({}),
    waitMs: SERVER_CHANGE_MS,
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
  }),
} as const;
