// The methods of rssrv about snapshots and images of volumes. The rules for changing a table are in docs/CONTROL.md. Invariant: rssrv has a
// handler for each method (admin/volume-orders.ts), and each method that changes something takes the id of the request.

import { SERVER_CHANGE_MS } from '../limits.ts';
import { method } from '../method-table.ts';
import { count, list, object, orNull, text } from '../../lib/shape.ts';
import {
  bytesPerSecond,
  mirrorId as mirror,
  momentNumber,
  newSnapshots,
  offsetBytes,
  poolOrNull,
  request,
  snapshotId,
  snapshotName,
  snapshotOrNull,
  universe,
  volumeName,
  volumeNames,
} from './params.ts';
import { JOB, SNAPSHOT, VOLUME } from './views.ts';

const snapshot = { name: volumeName, universe, snapshot: snapshotName } as const;

export const SNAPSHOT_METHODS = {
  'volume-snapshot': method(
    'Makes snapshots of one or several volumes at one moment, also while clients write',
    { snapshots: newSnapshots, request },
    object({ snapshots: list(SNAPSHOT) }),
    SERVER_CHANGE_MS,
    'manage',
  ),
  'volume-snapshot-remove': method(
    'Removes a snapshot for good',
    { ...snapshot, request },
    object({ volume: VOLUME }),
    SERVER_CHANGE_MS,
    'manage',
  ),
  'replica-snapshot': method(
    'Makes a snapshot of a replica for the holder of its mirror, while nothing is under way. It cannot be used before it is proven',
    { ...snapshot, id: snapshotId, mirror, term: momentNumber, number: momentNumber, request },
    object({ snapshot: SNAPSHOT }),
    SERVER_CHANGE_MS,
    'manage',
  ),
  'replica-snapshot-prove': method(
    'Makes a snapshot of a replica one of its mirror, because the holder still has the mirror after it was made',
    { ...snapshot, id: snapshotId, mirror, term: momentNumber, request },
    object({ snapshot: SNAPSHOT }),
    SERVER_CHANGE_MS,
    'manage',
  ),
  'volume-clone': method(
    'Creates a volume that begins as a snapshot, in the same pool',
    { ...snapshot, newName: volumeName, newUniverse: universe, request },
    object({ volume: VOLUME }),
    SERVER_CHANGE_MS,
    'manage',
  ),
  'volume-rollback': method(
    'Gives a volume the content of a snapshot; nobody may use it',
    { ...snapshot, request },
    object({ volume: VOLUME, kept: orNull(SNAPSHOT, 'The content before; null: it was removed since') }),
    SERVER_CHANGE_MS,
    'manage',
  ),
  'volume-diff': method(
    'What has changed in a volume since a snapshot, until a later snapshot or now; in parts',
    { ...snapshot, until: snapshotOrNull, offsetBytes },
    object({
      sizeBytes: count('Of the volume at the later state'),
      endBytes: count('Up to where this part tells everything; the next part begins there'),
      ranges: list(object({ offsetBytes: count(), lengthBytes: count() }), 'Ranges that have changed, or may have, in their order'),
      snapshotId: text('The next part is of the same snapshots if the ids are the same'),
      untilId: orNull(text(), 'null: now'),
    }),
    SERVER_CHANGE_MS,
    'use',
  ),
} as const;

export const IMAGE_METHODS = {
  'volume-image': method(
    'Makes an image of a volume in another universe, also while clients write',
    { name: volumeName, universe, newUniverse: universe, pool: poolOrNull, limitBytes: bytesPerSecond, request },
    object({ volume: orNull(VOLUME, 'null: a job makes it'), job: orNull(JOB, 'Makes the image in another pool; null: it is made') }),
    SERVER_CHANGE_MS,
    'manage',
  ),
  'volume-refresh': method(
    'Brings images up to date, all to one moment; nobody may use them',
    { images: volumeNames, limitBytes: bytesPerSecond, request },
    object({
      volumes: list(VOLUME, 'The images that are refreshed, in the order of the request'),
      jobs: list(JOB, 'Jobs that refresh them from other pools'),
    }),
    SERVER_CHANGE_MS,
    'manage',
  ),
  'volume-image-restore': method(
    'Gives a volume the content of its image in a universe; nobody may use the volume',
    { name: volumeName, universe, fromUniverse: universe, limitBytes: bytesPerSecond, request },
    object({
      volume: orNull(VOLUME, 'null: a job restores it'),
      kept: orNull(SNAPSHOT, 'The content before; null: it was removed since, or a job restores the volume'),
      job: orNull(JOB, 'Restores the volume from another pool; null: it is restored'),
    }),
    SERVER_CHANGE_MS,
    'manage',
  ),
  'volume-split': method(
    'Makes an image an ordinary volume',
    { name: volumeName, universe, request },
    object({ volume: VOLUME }),
    SERVER_CHANGE_MS,
    'manage',
  ),
} as const;
