// The methods of rssrv about volumes. The rules for changing a table are in docs/CONTROL.md. Invariant: rssrv has a handler for each method
// (admin/volume-orders.ts), and each method that changes something takes the id of the request.

import { CONTROL_ANSWER_MS, SERVER_CHANGE_MS } from '../limits.ts';
import { flagParam, method } from '../method-table.ts';
import { list, object } from '../shape.ts';
import {
  blockSize,
  chunkBytes,
  clients,
  goesOnIn,
  ofMirror,
  poolOrNull,
  poolsOrNull,
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
      request,
    },
    changed,
    SERVER_CHANGE_MS,
    'manage',
  ),
  'volume-grow': method(
    'Makes a volume larger. A replica grows only if its mirror is named, which the client of the mirror does',
    { name: volumeName, universe, sizeBytes, pool: goesOnIn, mirror: ofMirror, request },
    changed,
    SERVER_CHANGE_MS,
    'manage',
  ),
  'volume-rename': method(
    'Gives a volume another name; nobody may use it at that time',
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
    'Removes a volume, which can be restored for some time; nobody may use it',
    { name: volumeName, universe, request },
    object({ removed: REMOVED }),
    SERVER_CHANGE_MS,
    'manage',
  ),
  'volume-restore': method('Brings back a removed volume', { name: volumeName, universe, request }, changed, SERVER_CHANGE_MS, 'manage'),
} as const;
