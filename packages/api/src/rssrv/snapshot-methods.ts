// The methods of rssrv about snapshots and images of volumes. The rules for changing a table are in docs/CONTROL.md. Invariant: rssrv has a
// handler for each method (admin/volume-handlers.ts),

import { SERVER_CHANGE_MS } from '@rsio/common/control/limits';
import { shownSize } from '@rsio/base/lib/units';
import { flagParam, type Param } from '@rsio/common/control/method-table';
import { count, list, object, orNull, text } from '@rsio/base/lib/shape';
import {
  bytesPerSecond,
  mirrorId as mirror,
  momentNumber,
  newSnapshots,
  offsetBytes,
  onlyId,
  poolOrNull,
  snapshotId,
  snapshotName,
  snapshotOrNull,
  universe,
  volumeName,
  volumeNames,
} from './params.ts';
import { poolsText, snapshotText } from '../views/server-tables.ts';
import { serverMethod } from './server-method.ts';
import { JOB, SNAPSHOT, VOLUME } from '../views/views.ts';

const isMoment: Param<boolean> = { ...flagParam, what: 'true if the snapshot is a moment of the replication of the mirror' };
const snapshot = { name: volumeName, universe, snapshot: snapshotName } as const;

export const SNAPSHOT_METHODS = {
  'volume-snapshot': serverMethod({
    help: 'Makes snapshots of one or several volumes at one moment, also while clients write',
    right: 'manage',
    repeats: 'journal',
    shows: { snapshots: 'snapshot' },
    params: { snapshots: newSnapshots },
    result: object({ snapshots: list(SNAPSHOT) }),
    waitMs: SERVER_CHANGE_MS,
    command: { byHand: 'volume snapshot', because: 'it takes any number of names' },
  }),
  'volume-snapshot-remove': serverMethod({
    help: 'Removes a snapshot for good. With onlyId, the snapshot is removed only if it has this id',
    right: 'manage',
    repeats: 'journal',
    shows: { volume: 'volume' },
    params: { ...snapshot, onlyId },
    result: object({ volume: VOLUME }),
    waitMs: SERVER_CHANGE_MS,
    command: { partOf: 'volume remove' },
  }),
  'replica-snapshot': serverMethod({
    help: 'Makes a snapshot of a replica for the holder of its mirror, which has no change in flight. Before replica-snapshot-prove, it can only be removed',
    right: 'manage',
    repeats: 'journal',
    shows: { snapshot: 'snapshot' },
    params: { ...snapshot, id: snapshotId, mirror, term: momentNumber, number: momentNumber, isMoment },
    result: object({ snapshot: SNAPSHOT }),
    waitMs: SERVER_CHANGE_MS,
    command: { calledBy: 'rsiod, for a snapshot of a mirror' },
  }),
  'replica-snapshot-prove': serverMethod({
    help: 'Marks a snapshot of a replica as a snapshot of the mirror. The holder asks for this if it still had the mirror after the snapshot was made',
    right: 'manage',
    repeats: 'journal',
    shows: { snapshot: 'snapshot' },
    params: { ...snapshot, id: snapshotId, mirror, term: momentNumber },
    result: object({ snapshot: SNAPSHOT }),
    waitMs: SERVER_CHANGE_MS,
    command: { calledBy: 'rsiod, for a snapshot of a mirror' },
  }),
  'volume-clone': serverMethod({
    help: 'Creates a volume with the content of a snapshot, in the same pool',
    right: 'manage',
    repeats: 'journal',
    shows: { volume: 'volume' },
    params: { ...snapshot, newName: volumeName, newUniverse: universe },
    result: object({ volume: VOLUME }),
    waitMs: SERVER_CHANGE_MS,
    command: {
      words: 'volume clone',
      about: 'snapshot',
      operands: [{ value: 'NEW', volume: ({ name, universe: newUniverse }) => ({ newName: name, newUniverse }) }],
      summary: 'creates a volume with the content of a snapshot',
      details: `The new volume is in the pool of the snapshot, and the same clients may attach
it. The new volume takes space only for blocks that are written later, in either
volume. The new volume does not depend on the snapshot, which can be removed.`,
      example: 'volume clone oracle@monday test',
      says: ({ volume }, { label, ofServer, typed }) => ({
        lines: [`${label(volume)} created in pool ${poolsText(volume)}${ofServer}, ${shownSize(volume.sizeBytes)}, as ${typed}`],
        notes: volume.state === 'unavailable' ? [`${label(volume)} is not served: ${volume.reason ?? '-'}`] : [],
        warnings: volume.overcommit === undefined ? [] : [volume.overcommit],
      }),
    },
  }),
  'volume-rollback': serverMethod({
    help: 'Gives a volume the content of a snapshot; no client may hold the volume',
    right: 'manage',
    repeats: 'journal',
    shows: { volume: 'volume', kept: 'snapshot' },
    params: { ...snapshot },
    result: object({ volume: VOLUME, kept: orNull(SNAPSHOT, 'The content before; null: it was removed since') }),
    waitMs: SERVER_CHANGE_MS,
    command: {
      words: 'volume rollback',
      about: 'snapshot',
      purpose: 'remove',
      summary: 'gives a volume the content of a snapshot',
      details: `No client may hold the volume. The current content becomes a snapshot whose name
begins with before-rollback, so that nothing is lost. The volume keeps its size:
if it has grown since the snapshot, the added part becomes zeros.`,
      example: 'volume rollback oracle@monday',
      says: ({ volume, kept }, { label, snapshot: name }) =>
        `${label(volume)} has the content of snapshot ${name}${kept === null ? '' : `; its content before is ${snapshotText(kept, label)}`}`,
    },
  }),
  'volume-diff': serverMethod({
    help: 'Ranges of a volume that have changed between a snapshot and a later snapshot, or between it and now; in parts',
    right: 'use',
    reads: true,
    shows: {},
    params: { ...snapshot, until: snapshotOrNull, offsetBytes },
    result: object({
      sizeBytes: count('Size of the volume at the later moment'),
      endBytes: count('End of this part; the next part begins there'),
      ranges: list(
        object({ offsetBytes: count(), lengthBytes: count() }),
        'Ranges that have changed, or may have changed, in ascending order',
      ),
      snapshotId: text('Parts belong together only if their snapshotId and untilId are the same'),
      untilId: orNull(text(), 'null: now'),
    }),
    waitMs: SERVER_CHANGE_MS,
    command: { byHand: 'volume diff', because: 'it joins the parts of the answer' },
  }),
} as const;

export const IMAGE_METHODS = {
  'volume-image': serverMethod({
    help: 'Makes an image of a volume in another universe, also while clients write',
    right: 'manage',
    repeats: 'journal',
    shows: { volume: 'volume', job: 'job' },
    params: { name: volumeName, universe, newUniverse: universe, pool: poolOrNull, limitBytes: bytesPerSecond },
    result: object({
      volume: orNull(VOLUME, 'null: a job makes it'),
      job: orNull(JOB, 'Makes the image in another pool; null: it is made'),
    }),
    waitMs: SERVER_CHANGE_MS,
    command: { byHand: 'volume image', because: 'it waits for the job' },
  }),
  'volume-refresh': serverMethod({
    help: 'Brings images up to date, all to the same moment; no client may hold them',
    right: 'manage',
    repeats: 'journal',
    shows: { volumes: 'volume', jobs: 'job' },
    params: { images: volumeNames, limitBytes: bytesPerSecond },
    result: object({
      volumes: list(VOLUME, 'The images that are refreshed, in the order of the request'),
      jobs: list(JOB, 'Jobs that refresh them from other pools'),
    }),
    waitMs: SERVER_CHANGE_MS,
    command: { byHand: 'volume refresh', because: 'it takes any number of names, and waits for the jobs' },
  }),
  'volume-image-restore': serverMethod({
    help: 'Gives a volume the content of its image in a universe; no client may hold the volume',
    right: 'manage',
    repeats: 'journal',
    shows: { volume: 'volume', kept: 'snapshot', job: 'job' },
    params: { name: volumeName, universe, fromUniverse: universe, limitBytes: bytesPerSecond },
    result: object({
      volume: orNull(VOLUME, 'null: a job restores it'),
      kept: orNull(SNAPSHOT, 'The content before; null: it was removed since, or a job restores the volume'),
      job: orNull(JOB, 'Restores the volume from another pool; null: it is restored'),
    }),
    waitMs: SERVER_CHANGE_MS,
    command: { partOf: 'volume restore' },
  }),
  'volume-split': serverMethod({
    help: 'Makes an image an ordinary volume',
    right: 'manage',
    repeats: 'journal',
    shows: { volume: 'volume' },
    params: { name: volumeName, universe },
    result: object({ volume: VOLUME }),
    waitMs: SERVER_CHANGE_MS,
    command: {
      words: 'volume split',
      about: 'volume',
      first: 'NAME@N',
      summary: 'makes an image an ordinary volume',
      details: `The image keeps its content, and can no longer be refreshed. Clients can use the
image while the command runs. The volume of the image need not exist. The
command also makes a replica of a mirror an ordinary volume. The mirror can then
no longer use the replica, so do this only if the mirror is gone. No client may
use the replica, and only an administrator of the server may run the command.`,
      example: 'volume split oracle@1',
      says: ({ volume }, { label }) => `${label(volume)} is an ordinary volume now`,
    },
  }),
} as const;
