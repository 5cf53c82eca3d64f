// The methods of rssrv about replication to servers of other sites. The rules for changing a table are in docs/CONTROL.md. Invariant: rssrv
// has a handler for each method (replication/replication-handlers.ts). A server that copies volumes calls the methods of COPYING_METHODS at
// their source; all other methods are for administrators.

import {
  REPLICATION_EVERY_MAX_MS,
  REPLICATION_EVERY_MIN_MS,
  REPLICATION_KEEP_MAX,
  REPLICATION_MOMENTS_MAX,
  REPLICATION_REPORTS_MAX,
  REPLICATION_TEXT_MAX_CHARS,
  SERVER_CHANGE_MS,
  REPLICATION_VOLUMES_MAX,
} from '@rsio/common/control/limits';
import { UNIVERSE_MAX, VOLUME_MAX_BYTES } from '@rsio/base/lib/limits';
import { flagParam, type Param } from '@rsio/common/control/method-table';
import {
  atMost,
  count,
  filledText,
  flag,
  list,
  number,
  object,
  type Of,
  oneOf,
  optional,
  orNull,
  type Shape,
  text,
  textThat,
  whole,
  word,
} from '@rsio/base/lib/shape';
import { TIME_MAX_MS } from '@rsio/base/log/log-line';
import { isStoredName, isSnapshotName } from '@rsio/base/lib/units';
import { bytesPerSecond, poolOrNull, volumeNames } from './params.ts';
import { replicationsTable, replicationWarnings } from '../views/replication-texts.ts';
import { serverMethod } from './server-method.ts';
import { REPLICATION, VOLUME } from '../views/views.ts';

const volume = object({ name: text(), universe: count() });
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

const uuid = textThat((value) => UUID.test(value), 'a UUID');
const name = textThat(isStoredName, 'a name');
const time = whole(0, TIME_MAX_MS);
const size = whole(512, VOLUME_MAX_BYTES);
const blockSize: Shape<number> = oneOf(512, 4096);
const tally = whole(0, Number.MAX_SAFE_INTEGER);
const shortText = textThat(
  (value) => value.length <= REPLICATION_TEXT_MAX_CHARS,
  `a text of at most ${REPLICATION_TEXT_MAX_CHARS} characters`,
);

/** A moment of a source: one snapshot of each volume of a replication. The follower's server writes it to its disk, so that all is bounded. */
export const SOURCE_MOMENT = object({
  group: uuid,
  momentMs: time,
  place: orNull(
    object({ term: tally, number: tally }),
    'Term of the client that made the moment of a mirror, and number within the term: later moments have higher ones; null: of no mirror',
  ),
  snapshots: atMost(
    REPLICATION_VOLUMES_MAX,
    list(
      object({
        volumeId: uuid,
        id: uuid,
        snapshot: textThat(isSnapshotName, 'the name of a snapshot'),
        sizeBytes: size,
        blockSizeBytes: blockSize,
        origin: orNull(uuid, 'Id of the snapshot of which it is a copy'),
      }),
    ),
  ),
});
export type SourceMoment = Of<typeof SOURCE_MOMENT>;

/** The order of a source to the server that copies. */
export const REPLICATION_ORDER = object({
  replication: uuid,
  pool: orNull(name),
  everyMs: whole(REPLICATION_EVERY_MIN_MS, REPLICATION_EVERY_MAX_MS),
  keep: whole(1, REPLICATION_KEEP_MAX),
  limitBytes: orNull(whole(1, VOLUME_MAX_BYTES)),
  confirmed: orNull(uuid, 'Group of the last moment that was confirmed'),
  members: atMost(
    REPLICATION_VOLUMES_MAX,
    list(
      object({
        id: uuid,
        name,
        universe: whole(0, UNIVERSE_MAX),
        sizeBytes: size,
        blockSizeBytes: blockSize,
        was: optional(orNull(uuid, 'Id of the volume that it followed before its promotion; null: it followed none')),
      }),
    ),
  ),
  moments: atMost(REPLICATION_MOMENTS_MAX, list(SOURCE_MOMENT, 'Complete ones, the oldest first')),
  problem: orNull(shortText, 'Why the source can make no moment now'),
  shared: orNull(
    object({ poolId: uuid, generation: whole(0, Number.MAX_SAFE_INTEGER, 'It grows with each owner') }),
    'The shared pool with the volumes; null: the pool is not shared',
  ),
  handOver: orNull(
    object({
      replication: uuid,
      group: uuid,
      node: name,
    }),
    'The source is closed, has made its last moment with the group, and waits for the server that copies, of which it is the client `node`, to take over; null: not',
  ),
  granted: optional(
    orNull(uuid, 'Id of the hand-over for which the source is closed, perhaps without a last moment yet; null: it is open'),
  ),
  isMirror: flag('The client that has the mirror attached makes the moments'),
});
export type ReplicationOrder = Of<typeof REPLICATION_ORDER>;

/** What the server that copies tells its source about a replication. */
export const REPLICATION_REPORT = object({
  replication: uuid,
  state: word(['waiting', 'copying', 'failing', 'promoted']),
  text: shortText,
  doneBytes: tally,
  totalBytes: tally,
});
export type ReplicationReport = Of<typeof REPLICATION_REPORT>;

const id: Param<string> = { shape: uuid, what: 'the id of a replication' };
const every: Param<number> = {
  shape: whole(REPLICATION_EVERY_MIN_MS, REPLICATION_EVERY_MAX_MS),
  what: `a time in ms from ${REPLICATION_EVERY_MIN_MS} to ${REPLICATION_EVERY_MAX_MS}`,
};
const keep: Param<number> = { shape: whole(1, REPLICATION_KEEP_MAX), what: `a whole number from 1 to ${REPLICATION_KEEP_MAX}` };
const nameOrNull: Param<string | null> = { shape: orNull(filledText()), what: 'a name or null', default: null };
const one = object({ replication: REPLICATION });

/** Methods of a source. */
export const SOURCE_METHODS = {
  'volume-replicate': serverMethod({
    help: 'Begins a replication of volumes to another server, which is a client of this one, or changes it',
    right: 'manage',
    repeats: 'journal',
    shows: { replication: 'replication' },
    params: {
      volumes: volumeNames,
      to: { shape: filledText(), what: 'the name of a client' },
      pool: poolOrNull,
      everyMs: every,
      keep,
      limitBytes: bytesPerSecond,
      reversible: nameOrNull,
    },
    result: one,
    waitMs: SERVER_CHANGE_MS,
    command: { byHand: 'volume replicate', because: 'it takes any number of names, and also ends a replication' },
  }),
  'volume-replicate-end': serverMethod({
    help: 'Ends the replication of volumes. The other server keeps the followers',
    right: 'manage',
    repeats: 'journal',
    shows: { replication: 'replication' },
    params: { volumes: volumeNames, force: flagParam },
    result: object({ replication: orNull(REPLICATION, 'As it was; null: only marks were left') }),
    waitMs: SERVER_CHANGE_MS,
    command: { partOf: 'volume replicate' },
  }),
  'replication-list': serverMethod({
    help: 'The replications from this server and to this server',
    right: 'manage',
    reads: true,
    shows: { replications: 'replication' },
    params: {},
    result: object({ replications: list(REPLICATION) }),
    waitMs: SERVER_CHANGE_MS,
    command: {
      words: 'volume replications',
      about: 'server',
      summary: 'lists the replications from the server and to it',
      details: `DIR is out if the server has the volumes, and in if it has the followers. PEER
is the other server. MOMENT AGE is the age of the newest moment that both
servers have: writes since that moment would be lost with the server of the
volumes. STATE promoted: volumes here were followers; the row stays as long as
they do. STATE handing-over: the volumes are closed, and the roles are being
exchanged. Five states go on only by an order: ended (the other server
replicates no more), refused (it does not hand over), diverged (it does not know
the newest moment here), split (both servers have the volumes as source), and
closed (they were closed for a hand-over that did not happen). If an order is
needed, or a replication fails or is late, the lines below the table say what to
do, and the exit code is 1.`,
      example: 'volume replications',
      says: ({ replications }) => {
        const warnings = replicationWarnings(replications);
        return {
          ...(replications.length === 0 ? {} : { block: replicationsTable(replications) }),
          notes: replications.length === 0 ? ['No replication: volume replicate NAME --to CLIENT --every TIME begins one'] : warnings,
          ...(warnings.length === 0 ? {} : { code: 1 }),
        };
      },
    },
  }),
} as const;

/** Methods that a server with followers calls at their source. They are not for other programs, and may change with each release. */
export const COPYING_METHODS = {
  'replication-poll': serverMethod({
    help: 'For a server that copies: reports its state, and gets its orders',
    right: 'copy',
    repeats: 'harmless',
    unrecorded: 'a peer calls it all the time',
    shows: {},
    params: { reports: { shape: atMost(REPLICATION_REPORTS_MAX, list(REPLICATION_REPORT)), what: 'a list of reports', default: [] } },
    result: object({
      nowMs: whole(0, TIME_MAX_MS, 'Time of the clock of the source'),
      orders: atMost(REPLICATION_REPORTS_MAX, list(REPLICATION_ORDER)),
    }),
    waitMs: SERVER_CHANGE_MS,
    command: { calledBy: 'rssrv of another server' },
  }),
  'replication-moment': serverMethod({
    help: 'For a server that copies: makes the next moment',
    right: 'copy',
    repeats: 'journal',
    unrecorded: 'a peer calls it all the time',
    shows: {},
    params: { replication: id },
    result: object({ nowMs: time, moment: SOURCE_MOMENT }),
    waitMs: SERVER_CHANGE_MS,
    command: { calledBy: 'rssrv of another server' },
  }),
  'replication-confirm': serverMethod({
    help: 'For a server that copies: it has the moment, so that the source may remove earlier ones',
    right: 'copy',
    repeats: 'journal',
    unrecorded: 'a peer calls it all the time',
    shows: {},
    params: { replication: id, group: { shape: uuid, what: 'the group of a moment' } },
    result: object({ removed: whole(0, Number.MAX_SAFE_INTEGER, 'Snapshots that were removed') }),
    waitMs: SERVER_CHANGE_MS,
    command: { calledBy: 'rssrv of another server' },
  }),
  'replication-hand-over': serverMethod({
    help: 'Of an earlier release, which exchanged the roles in another way: it is refused',
    right: 'copy',
    repeats: 'journal',
    shows: {},
    params: {
      replication: id,
      server: { shape: filledText(), what: 'the name of the server that asks' },
      reverse: { shape: filledText(), what: 'the id of the replication in the other direction' },
      checkOnly: flagParam,
    },
    result: object({ node: text() }),
    waitMs: SERVER_CHANGE_MS,
    command: { calledBy: 'rssrv of another server' },
  }),
  'replication-grant': serverMethod({
    help: 'For a server that copies: its administrator wants to exchange the roles. If the source allows it, it closes, and makes a last moment',
    right: 'copy',
    repeats: 'journal',
    shows: {},
    params: { replication: id, wanted: { shape: uuid, what: 'the id of the hand-over' }, checkOnly: flagParam },
    result: object({ node: name }),
    waitMs: SERVER_CHANGE_MS,
    command: { calledBy: 'rssrv of another server' },
  }),
  'replication-release': serverMethod({
    help: 'For a server that copies: it will never take over with this hand-over, so that the source may open again',
    right: 'copy',
    repeats: 'journal',
    shows: {},
    params: { replication: id, granted: { shape: uuid, what: 'the id of the hand-over' } },
    result: object({}),
    waitMs: SERVER_CHANGE_MS,
    command: { calledBy: 'rssrv of another server' },
  }),
} as const;

/** Methods of a server with followers. */
export const FOLLOWER_METHODS = {
  'volume-promote': serverMethod({
    help: 'Makes followers ordinary volumes with the content of their newest common moment, or of snapshots with the name `from`',
    right: 'manage',
    repeats: 'journal',
    shows: { volumes: 'volume' },
    params: { volumes: volumeNames, from: nameOrNull },
    result: object({ volumes: list(VOLUME), momentMs: number('By the clock of the source'), ageMs: number('Age of that moment') }),
    waitMs: SERVER_CHANGE_MS,
    command: { byHand: 'volume promote', because: 'it takes any number of names, and makes the clones of a drill, too' },
  }),
  'volume-reverse': serverMethod({
    help: 'Exchanges the roles of two servers without loss: the source is closed, its last moment is copied, and the followers are promoted. `cancel` gives that up',
    right: 'manage',
    repeats: 'journal',
    shows: {},
    params: { volumes: volumeNames, client: nameOrNull, reversible: nameOrNull, cancel: flagParam },
    result: object({ replication: text('Id of the replication that is being reversed') }),
    waitMs: SERVER_CHANGE_MS,
    command: { byHand: 'volume reverse', because: 'it takes any number of names' },
  }),
  'volume-demote': serverMethod({
    help: 'Makes volumes, which were the source, followers of the volumes that were promoted. Their present content is kept as a snapshot',
    right: 'manage',
    repeats: 'journal',
    shows: { volumes: 'volume' },
    params: { volumes: volumeNames, peer: { shape: filledText(), what: 'the name of a peer' }, checkOnly: flagParam },
    result: object({
      volumes: list(VOLUME),
      kept: orNull(text('Name of the snapshots with the present content; null: only checked')),
      lostBytes: count('Bytes that differ from the last moment that both servers have, and are only in those snapshots'),
      momentMs: orNull(number('That moment'), 'null: they have none in common'),
    }),
    waitMs: SERVER_CHANGE_MS,
    command: { byHand: 'volume demote', because: 'it asks for consent when it has asked what will be lost' },
  }),
  'volume-seed': serverMethod({
    help: 'Gives a follower without a moment the content of another volume, so that its first moment copies only what differs',
    right: 'manage',
    repeats: 'journal',
    shows: { volume: 'volume' },
    params: {
      volume: { shape: volume, what: 'an object with name and universe' },
      from: { shape: volume, what: 'an object with name and universe' },
    },
    result: object({ volume: VOLUME }),
    waitMs: SERVER_CHANGE_MS,
    command: {
      words: 'volume seed',
      about: 'volume',
      options: { from: { value: 'OTHER', help: 'volume with the content', needs: 'content', volume: (from) => ({ from }) } },
      summary: 'gives a follower content that was carried, for its first moment',
      details: `A first moment over a slow line takes long. Carry a disk instead: at the source,
volume copy writes a moment of the volume to a file; at the other server,
volume import makes volume OTHER of the file, in the pool of the follower NAME.
This command gives the follower the content of OTHER, at once and without a
copy. The replication then compares that content with its source by checksums,
and copies only what differs, so that OTHER may have any age and come from
anywhere. The follower must have no moment yet, and no client may have OTHER
attached. OTHER is not changed, and can be removed afterwards.`,
      example: 'volume seed oracle --from carried',
      says: (_, { label }, asked) =>
        `${label(asked.volume)} begins with the content of ${label(asked.from)}: its first moment copies only what differs`,
    },
  }),
  'volume-drill': serverMethod({
    help: 'Makes clones of followers at their newest common moment, for a drill. The followers go on',
    right: 'manage',
    repeats: 'journal',
    shows: { volumes: 'volume' },
    params: { volumes: volumeNames, suffix: { shape: filledText(), what: 'the end of the names of the clones' } },
    result: object({ volumes: list(VOLUME), momentMs: number('By the clock of the source') }),
    waitMs: SERVER_CHANGE_MS,
    command: { partOf: 'volume promote' },
  }),
} as const;
