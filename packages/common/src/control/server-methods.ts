// Contains the table of rssrv's control interface: the requests that rssrv accepts on its control socket, how long each request may take,
// and the shapes of the results. rsadm sends these requests on the server. The table of rsiod is in methods.ts, and docs/CONTROL.md has the
// rules for changing the interface.

import { NAME_MAX_BYTES, UNIVERSE_MAX, VOLUME_MAX_BYTES } from '../lib/limits.ts';
import { SERVER_CHANGE_MS } from './limits.ts';
import { DAEMON, flagParam, HOLDER, method, type MethodsOf, type Param } from './method-table.ts';
import { count, filledText, flag, list, number, object, type Of, orNull, text, whole, word } from './shape.ts';

const NAMES_OR_NULL = orNull(list(filledText()));

export const POOL = object({
  name: text(),
  path: text(),
  state: word(['ready', 'unavailable']),
  reason: orNull(text('Why it cannot be used; null if it can')),
  totalBytes: orNull(count('Size of its file system')),
  freeBytes: orNull(count('Free space of its file system, with the reserve')),
  usableBytes: orNull(count('Free space above the reserve')),
  reserve: number('Share of the file system, from 0 to 1, that is kept free'),
  promisedBytes: count('Sum of the sizes of its volumes'),
  limitBytes: orNull(count('Most that its volumes may promise; null: no limit')),
  volumes: count(),
  removed: count('Removed volumes that can still be restored'),
  findings: list(text(), 'What the pool contains and its manifests do not explain'),
});

export const VOLUME = object({
  name: text(),
  universe: count(),
  id: orNull(text()),
  state: word(['served', 'unavailable']),
  reason: orNull(text('Why it is not served; null if it is')),
  sizeBytes: orNull(count()),
  usedBytes: orNull(count('Space that its content takes; null if unknown')),
  blockSizeBytes: count(),
  readonly: flag(),
  shared: flag(),
  thick: flag('Space for the whole volume was allocated'),
  pool: orNull(text('null: a section [volume] of rssrvcfg configures it')),
  path: orNull(text('File or device with its content')),
  clients: orNull(list(text()), 'Clients that may attach it; null: all'),
  takeOver: orNull(list(text()), 'Clients that may take it over; null: all that may attach it'),
  takeOverForce: flag('A forced take-over may lose acknowledged writes'),
  owner: orNull(text('Client that created it; null: an administrator')),
  createdMs: orNull(number()),
  holders: list(HOLDER, 'Clients that hold it'),
  waitsForSpace: flag('Writes wait because its pool is full'),
});

const REMOVED = object({
  name: text(),
  universe: count(),
  id: text(),
  sizeBytes: count(),
  pool: text(),
  owner: orNull(text()),
  removedMs: number(),
  by: orNull(text('Client that removed it; null: an administrator')),
  untilMs: number('When it is deleted for good'),
});

export const CLIENT = object({
  name: text(),
  role: word(['use', 'manage', 'admin']),
  pools: orNull(list(text()), 'Pools that it may use; null: all'),
  limitBytes: orNull(count()),
  ownedBytes: count('Sum of the sizes of the volumes that it created'),
  state: word(['connected', 'silent', 'absent'], 'silent: it has a session without a path'),
  address: orNull(text()),
  sinceMs: orNull(number('When its session began')),
  volumes: list(text(), 'Volumes that it holds'),
});

export type PoolView = Of<typeof POOL>;
export type ManagedVolumeView = Of<typeof VOLUME>;
export type RemovedVolumeView = Of<typeof REMOVED>;
export type ClientView = Of<typeof CLIENT>;

const poolOrNull: Param<string | null> = { shape: orNull(filledText()), what: 'the name of a pool or null', default: null };
const volumeName: Param<string> = { shape: filledText(), what: `the name of a volume, at most ${NAME_MAX_BYTES} characters` };
const universe: Param<number> = { shape: whole(0, UNIVERSE_MAX), what: `a whole number from 0 to ${UNIVERSE_MAX}`, default: 0 };
const sizeBytes: Param<number> = { shape: whole(1, VOLUME_MAX_BYTES), what: 'a size in bytes' };
/**
 * An id that the program makes for a change. If the program sends the request again with the same id, the server answers as before and does
 * not execute it twice.
 */
const request: Param<string | null> = { shape: orNull(filledText()), what: 'an id of at most 64 characters or null', default: null };
const clients: Param<readonly string[] | null> = { shape: NAMES_OR_NULL, what: 'a list of client names or null', default: null };
const blockSize: Param<number> = { shape: whole(512, 4096), what: '512 or 4096', default: 512 };

const settings: Param<readonly string[]> = { shape: list(filledText()), what: 'a list of KEY=VALUE' };

const changed = object({ volume: VOLUME });

export const SERVER_METHODS = {
  daemon: method('The daemon that answers, its version and its methods', {}, DAEMON),
  'pool-make': method(
    'Makes a directory a pool, unless it is one; its section in rssrvcfg comes afterwards',
    { path: { shape: filledText(), what: 'an absolute path' } },
    object({ isNew: flag(), volumes: count('Volumes that the pool already has') }),
    SERVER_CHANGE_MS,
  ),
  'pool-check': method(
    'Reads a pool again, and reports what it contains and its volumes do not explain',
    { name: { shape: filledText(), what: 'the name of a pool' } },
    object({ pool: POOL }),
    SERVER_CHANGE_MS,
  ),
  'pool-list': method('The pools of the server', {}, object({ pools: list(POOL) })),
  'volume-list': method(
    'The volumes of the server, in all pools or in one',
    { pool: poolOrNull },
    object({ volumes: list(VOLUME), removed: list(REMOVED, 'Removed volumes that can be restored') }),
    SERVER_CHANGE_MS,
  ),
  'volume-show': method('One volume', { name: volumeName, universe }, changed),
  'volume-create': method(
    'Creates a volume in a pool',
    {
      name: volumeName,
      universe,
      sizeBytes,
      blockSizeBytes: blockSize,
      pool: poolOrNull,
      thick: flagParam,
      readonly: flagParam,
      shared: flagParam,
      clients,
      takeOver: clients,
      takeOverForce: flagParam,
      request,
    },
    changed,
    SERVER_CHANGE_MS,
  ),
  'volume-grow': method('Makes a volume larger', { name: volumeName, universe, sizeBytes, request }, changed, SERVER_CHANGE_MS),
  'volume-rename': method(
    'Gives a volume another name; nobody may use it at that time',
    { name: volumeName, universe, newName: volumeName, newUniverse: universe, request },
    changed,
    SERVER_CHANGE_MS,
  ),
  'volume-set': method(
    'Changes settings of a volume',
    {
      name: volumeName,
      universe,
      settings,
      request,
    },
    changed,
    SERVER_CHANGE_MS,
  ),
  'volume-remove': method(
    'Removes a volume, which can be restored for some time; nobody may use it',
    { name: volumeName, universe, request },
    object({ removed: REMOVED }),
    SERVER_CHANGE_MS,
  ),
  'volume-restore': method('Brings back a removed volume', { name: volumeName, universe, request }, changed, SERVER_CHANGE_MS),
  'client-list': method('The clients of the server, what they may do, and what they use', {}, object({ clients: list(CLIENT) })),
  reload: method(
    'Reads the configuration file again; an error says why nothing was changed',
    {},
    object({ applied: list(text(), 'A sentence for each change') }),
    SERVER_CHANGE_MS,
  ),
} as const;

export type ServerMethods = MethodsOf<typeof SERVER_METHODS>;
export type ServerMethodName = keyof ServerMethods;
