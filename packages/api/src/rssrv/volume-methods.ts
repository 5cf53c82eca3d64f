// The methods of rssrv about volumes. The rules for changing a table are in docs/CONTROL.md. Invariant: rssrv has a handler for each method
// (admin/volume-handlers.ts),

import { PAUSE_MAX_MS, PAUSE_MIN_MS, PAUSE_MS, SERVER_CHANGE_MS } from '@rsio/common/control/limits';
import { flagParam, type Param } from '@rsio/common/control/method-table';
import { count, filledText, flag, list, object, text, whole } from '@rsio/common/lib/shape';
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
  settings,
  sizeBytes,
  universe,
  volumeName,
} from './params.ts';
import { serverMethod } from './server-method.ts';
import { REMOVED, SNAPSHOT, VOLUME } from './views.ts';

const changed = object({ volume: VOLUME });

export const VOLUME_METHODS = {
  'volume-list': serverMethod({
    help: 'The volumes of the server, in all pools or in one',
    right: 'use',
    reads: true,
    shows: { volumes: 'volume', removed: 'removed' },
    params: { pool: poolOrNull },
    result: object({ volumes: list(VOLUME), removed: list(REMOVED, 'Removed volumes that can be restored') }),
    waitMs: SERVER_CHANGE_MS,
  }),
  'volume-show': serverMethod({
    help: 'One volume with its snapshots',
    right: 'use',
    reads: true,
    shows: { volume: 'volume', snapshots: 'snapshot' },
    params: { name: volumeName, universe },
    result: object({ volume: VOLUME, snapshots: list(SNAPSHOT, 'The oldest first') }),
  }),
  'volume-create': serverMethod({
    help: 'Creates a volume in a pool',
    right: 'manage',
    repeats: 'journal',
    shows: { volume: 'volume' },
    params: {
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
    },
    result: changed,
    waitMs: SERVER_CHANGE_MS,
  }),
  'volume-grow': serverMethod({
    help: 'Makes a volume larger. A replica grows only if the request names its mirror, as the requests of its holder do',
    right: 'manage',
    repeats: 'journal',
    shows: { volume: 'volume' },
    params: { name: volumeName, universe, sizeBytes, pool: goesOnIn, mirror: ofMirror },
    result: changed,
    waitMs: SERVER_CHANGE_MS,
  }),
  'volume-rename': serverMethod({
    help: 'Gives a volume another name; no client may hold it',
    right: 'manage',
    repeats: 'journal',
    shows: { volume: 'volume' },
    params: { name: volumeName, universe, newName: volumeName, newUniverse: universe },
    result: changed,
    waitMs: SERVER_CHANGE_MS,
  }),
  'volume-set': serverMethod({
    help: 'Changes settings of a volume',
    right: 'manage',
    repeats: 'journal',
    shows: { volume: 'volume' },
    params: {
      name: volumeName,
      universe,
      settings,
    },
    result: changed,
    waitMs: SERVER_CHANGE_MS,
  }),
  'volume-remove': serverMethod({
    help: 'Removes a volume that no client holds; it can be restored for a day',
    right: 'manage',
    repeats: 'journal',
    shows: { removed: 'removed' },
    params: { name: volumeName, universe },
    result: object({ removed: REMOVED }),
    waitMs: SERVER_CHANGE_MS,
  }),
  'volume-restore': serverMethod({
    help: 'Brings back a removed volume',
    right: 'manage',
    repeats: 'journal',
    shows: { volume: 'volume' },
    params: { name: volumeName, universe },
    result: changed,
    waitMs: SERVER_CHANGE_MS,
  }),
  'volume-purge': serverMethod({
    help: 'Deletes removed volumes for good. A client can delete only those that it has created',
    right: 'manage',
    repeats: 'journal',
    shows: { purged: 'removed' },
    params: { name: removedName, universe, id: removedId, olderMs },
    result: object({
      purged: list(REMOVED, 'What was deleted'),
      left: count('Number of volumes that match, but were not deleted in this answer; send the request again for them'),
    }),
    waitMs: SERVER_CHANGE_MS,
  }),
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
  'volume-revoke': serverMethod({
    help: 'Takes a volume away from a client: the answer comes when none of its requests on the volume can run at this server any more, its writes are on disk, and it may not attach the volume again',
    right: 'manage',
    repeats: 'journal',
    shows: { volume: 'volume' },
    params: { name: volumeName, universe, client },
    result: object(REVOKED),
    waitMs: SERVER_CHANGE_MS,
  }),
  'volume-allow': serverMethod({
    help: 'Lets a client attach a volume',
    right: 'manage',
    repeats: 'journal',
    shows: { volume: 'volume' },
    params: { name: volumeName, universe, client },
    result: object(ALLOWED),
    waitMs: SERVER_CHANGE_MS,
  }),
} as const;

const forMs: Param<number> = {
  shape: whole(PAUSE_MIN_MS, PAUSE_MAX_MS),
  what: `a time in ms from ${PAUSE_MIN_MS} to ${PAUSE_MAX_MS}`,
  default: PAUSE_MS,
};

/** Methods that hold or refuse the I/O of a volume. Each method may be executed twice without harm. */
export const HALT_METHODS = {
  'volume-pause': serverMethod({
    help: 'Holds all I/O of a volume until volume-resume, for the given time at most',
    right: 'admin',
    repeats: 'harmless',
    params: { name: volumeName, universe, forMs },
    result: changed,
  }),
  'volume-resume': serverMethod({
    help: 'Ends a pause',
    right: 'admin',
    repeats: 'harmless',
    params: { name: volumeName, universe },
    result: changed,
  }),
  'volume-stop': serverMethod({
    help: 'Refuses all I/O of a volume until volume-start, also after a restart of the server',
    right: 'admin',
    repeats: 'harmless',
    params: { name: volumeName, universe },
    result: changed,
  }),
  'volume-start': serverMethod({
    help: 'Ends a stop',
    right: 'admin',
    repeats: 'harmless',
    params: { name: volumeName, universe },
    result: changed,
  }),
} as const;
