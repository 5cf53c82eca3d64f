// The methods of rssrv about snapshots and images of volumes. The rules for changing a table are in docs/CONTROL.md. Invariant: rssrv has a
// handler for each method (admin/volume-handlers.ts), and each method that changes something takes the id of the request.

import { SERVER_CHANGE_MS } from '../limits.ts';
import { flagParam, method, type Param } from '../method-table.ts';
import { count, list, object, orNull, text } from '../../lib/shape.ts';
import {
  bytesPerSecond,
  mirrorId as mirror,
  momentNumber,
  newSnapshots,
  offsetBytes,
  onlyId,
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

const isMoment: Param<boolean> = { ...flagParam, what: 'true if the snapshot is a moment of the replication of the mirror' };
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
    'Removes a snapshot for good. With onlyId, the snapshot is removed only if it has this id',
    { ...snapshot, onlyId, request },
    object({ volume: VOLUME }),
    SERVER_CHANGE_MS,
    'manage',
  ),
  'replica-snapshot': method(
    'Makes a snapshot of a replica for the holder of its mirror, which has no change in flight. Before replica-snapshot-prove, it can only be removed',
    { ...snapshot, id: snapshotId, mirror, term: momentNumber, number: momentNumber, isMoment, request },
    object({ snapshot: SNAPSHOT }),
    SERVER_CHANGE_MS,
    'manage',
  ),
  'replica-snapshot-prove': method(
    'Marks a snapshot of a replica as a snapshot of the mirror. The holder asks for this if it still had the mirror after the snapshot was made',
    { ...snapshot, id: snapshotId, mirror, term: momentNumber, request },
    object({ snapshot: SNAPSHOT }),
    SERVER_CHANGE_MS,
    'manage',
  ),
  'volume-clone': method(
    'Creates a volume with the content of a snapshot, in the same pool',
    { ...snapshot, newName: volumeName, newUniverse: universe, request },
    object({ volume: VOLUME }),
    SERVER_CHANGE_MS,
    'manage',
  ),
  'volume-rollback': method(
    'Gives a volume the content of a snapshot; no client may hold the volume',
    { ...snapshot, request },
    object({ volume: VOLUME, kept: orNull(SNAPSHOT, 'The content before; null: it was removed since') }),
    SERVER_CHANGE_MS,
    'manage',
  ),
  'volume-diff': method(
    'Ranges of a volume that have changed between a snapshot and a later snapshot, or between it and now; in parts',
    { ...snapshot, until: snapshotOrNull, offsetBytes },
    object({
      sizeBytes: count('Size of the volume at the later moment'),
      endBytes: count('End of this part; the next part begins there'),
      ranges: list(
        object({ offsetBytes: count(), lengthBytes: count() }),
        'Ranges that have changed, or may have changed, in ascending order',
      ),
      snapshotId: text('Parts belong together only if their snapshotId and untilId are the same'),
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
    'Brings images up to date, all to the same moment; no client may hold them',
    { images: volumeNames, limitBytes: bytesPerSecond, request },
    object({
      volumes: list(VOLUME, 'The images that are refreshed, in the order of the request'),
      jobs: list(JOB, 'Jobs that refresh them from other pools'),
    }),
    SERVER_CHANGE_MS,
    'manage',
  ),
  'volume-image-restore': method(
    'Gives a volume the content of its image in a universe; no client may hold the volume',
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
