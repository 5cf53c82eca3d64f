// The methods of rssrv about volumes. The rules for changing a table are in docs/CONTROL.md. Invariant: rssrv has a handler for each method
// (admin/volume-handlers.ts), and each method that changes something takes the id of the request.

import { CONTROL_ANSWER_MS, PAUSE_MAX_MS, PAUSE_MIN_MS, PAUSE_MS, SERVER_CHANGE_MS } from '../limits.ts';
import { flagParam, method, type Param } from '../method-table.ts';
import { count, filledText, flag, list, object, text, whole } from '../../lib/shape.ts';
import {
  blockSize,
  chunkBytes,
  clients,
  goesOnIn,
  newSettings,
  ofMirror,
  olderMs,
  poolOrNull,
  poolsOrNull,
  removedId,
  removedName,
  request,
  settings,
  sizeBytes,
  universe,
  volumeName,
} from './params.ts';
import { REMOVED, SNAPSHOT, VOLUME } from './views.ts';

const changed = object({ volume: VOLUME });

export const VOLUME_METHODS = {
  'volume-list': method(
    'The volumes of the server, in all pools or in one',
    { pool: poolOrNull },
    object({ volumes: list(VOLUME), removed: list(REMOVED, 'Removed volumes that can be restored') }),
    SERVER_CHANGE_MS,
    'use',
  ),
  'volume-show': method(
    'One volume with its snapshots',
    { name: volumeName, universe },
    object({ volume: VOLUME, snapshots: list(SNAPSHOT, 'The oldest first') }),
    CONTROL_ANSWER_MS,
    'use',
  ),
  'volume-create': method(
    'Creates a volume in a pool',
    {
      name: volumeName,
      universe,
      sizeBytes,
      blockSizeBytes: blockSize,
      pool: poolOrNull,
      pools: poolsOrNull,
      chunkBytes,
      thick: flagParam,
      readonly: flagParam,
      shared: flagParam,
      clients,
      takeOver: clients,
      takeOverForce: flagParam,
      settings: newSettings,
      request,
    },
    changed,
    SERVER_CHANGE_MS,
    'manage',
  ),
  'volume-grow': method(
    'Makes a volume larger. A replica grows only if the request names its mirror, as the requests of its holder do',
    { name: volumeName, universe, sizeBytes, pool: goesOnIn, mirror: ofMirror, request },
    changed,
    SERVER_CHANGE_MS,
    'manage',
  ),
  'volume-rename': method(
    'Gives a volume another name; no client may hold it',
    { name: volumeName, universe, newName: volumeName, newUniverse: universe, request },
    changed,
    SERVER_CHANGE_MS,
    'manage',
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
    'manage',
  ),
  'volume-remove': method(
    'Removes a volume that no client holds; it can be restored for a day',
    { name: volumeName, universe, request },
    object({ removed: REMOVED }),
    SERVER_CHANGE_MS,
    'manage',
  ),
  'volume-restore': method('Brings back a removed volume', { name: volumeName, universe, request }, changed, SERVER_CHANGE_MS, 'manage'),
  'volume-purge': method(
    'Deletes removed volumes for good. A client can delete only those that it has created',
    { name: removedName, universe, id: removedId, olderMs, request },
    object({
      purged: list(REMOVED, 'What was deleted'),
      left: count('Number of volumes that match, but were not deleted in this answer; send the request again for them'),
    }),
    SERVER_CHANGE_MS,
    'manage',
  ),
} as const;

const client: Param<string> = { shape: filledText(), what: 'the name of a client' };

/** Fields of the results of ACCESS_METHODS. */
export const REVOKED = {
  volume: VOLUME,
  client: text(),
  wasHeld: flag('The client had the volume or a snapshot of it, and this order has ended that'),
};
export const ALLOWED = { volume: VOLUME, client: text() };

/** Methods about the clients that may attach a volume. Each method may be executed twice without harm. */
export const ACCESS_METHODS = {
  'volume-revoke': method(
    'Takes a volume away from a client: the answer comes when none of its requests on the volume can run at this server any more, its writes are on disk, and it may not attach the volume again',
    { name: volumeName, universe, client, request },
    object(REVOKED),
    SERVER_CHANGE_MS,
    'manage',
  ),
  'volume-allow': method(
    'Lets a client attach a volume',
    { name: volumeName, universe, client, request },
    object(ALLOWED),
    SERVER_CHANGE_MS,
    'manage',
  ),
} as const;

const forMs: Param<number> = {
  shape: whole(PAUSE_MIN_MS, PAUSE_MAX_MS),
  what: `a time in ms from ${PAUSE_MIN_MS} to ${PAUSE_MAX_MS}`,
  default: PAUSE_MS,
};

/** Methods that hold or refuse the I/O of a volume. Each method may be executed twice without harm. */
export const HALT_METHODS = {
  'volume-pause': method(
    'Holds all I/O of a volume until volume-resume, for the given time at most',
    { name: volumeName, universe, forMs },
    changed,
    CONTROL_ANSWER_MS,
    'admin',
  ),
  'volume-resume': method('Ends a pause', { name: volumeName, universe }, changed, CONTROL_ANSWER_MS, 'admin'),
  'volume-stop': method(
    'Refuses all I/O of a volume until volume-start, also after a restart of the server',
    { name: volumeName, universe },
    changed,
    CONTROL_ANSWER_MS,
    'admin',
  ),
  'volume-start': method('Ends a stop', { name: volumeName, universe }, changed, CONTROL_ANSWER_MS, 'admin'),
} as const;
