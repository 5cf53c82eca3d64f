// The shapes of pools, volumes, removed volumes, clients and jobs in answers of rssrv. Invariant: a field never disappears or changes its
// meaning within a version of the interface.

import { CLIENT_ROLES } from '@rsio/common/config/schema/types';
import { HOLDER } from '@rsio/common/control/method-table';
import { count, flag, list, number, object, type Of, optional, orNull, text, whole, word } from '@rsio/base/lib/shape';

const REFLINK = 'The file system clones files, which snapshots, clones, images and moves need';

const PACE = object({
  bytesPerDay: whole(null, null, 'Growth of the space in use in a day; negative: it shrinks'),
  fullInMs: orNull(
    count('Time after which the free space above the reserve is used at this pace; null: more than ten years, or it does not grow'),
  ),
});

export const POOL = object({
  name: text(),
  path: text('Empty if the asker may not know it'),
  state: word(['ready', 'unavailable', 'elsewhere'], 'elsewhere: another server serves this shared pool'),
  reason: orNull(text('Why it cannot be used here; null if it can')),
  totalBytes: orNull(count('Size of its file system')),
  freeBytes: orNull(count('Free space of its file system, including the reserve')),
  usableBytes: orNull(count('Free space above the reserve')),
  reserve: number('Share of the file system, from 0 to 1, that is kept free'),
  promisedBytes: count('Sum of the sizes of its volumes, also of removed ones'),
  limitBytes: orNull(count('Most that its volumes may promise; null: no limit')),
  overcommit: optional(
    word(
      ['allow', 'warn', 'refuse'],
      'What happens to a change after which its volumes together would be larger than its space; missing: the server is of an earlier release',
    ),
  ),
  isShort: flag('Less than the reserve is free, so that writes that need new space wait'),
  fullPercent: orNull(count('Warning level that the share in use has reached: 80, 90 or 95 percent; null: none')),
  pace: optional(
    object(
      {
        week: orNull(PACE, 'Of the last 7 days; null: not known yet, or the pool is not served here'),
        month: orNull(PACE, 'Of the last 30 days; null: as above'),
      },
      'Missing: the server is of an earlier release',
    ),
  ),
  volumes: count(),
  removed: count('Removed volumes that can still be restored'),
  findings: list(text(), 'Sentences about what the pool lacks, and about files in it that belong to no volume'),
  reflink: orNull(flag(REFLINK), 'null: unknown'),
});

const LAYOUT = object({
  chunkBytes: orNull(count('Size of the chunks that go to the files in turn; null: the files follow one another')),
  parts: list(
    object({
      pool: orNull(text('null: the pool is not open')),
      path: orNull(text('null: the file cannot be used')),
      sizeBytes: count(),
    }),
  ),
});

const SCHEDULE = object({
  text: text('Such as hourly keep 24, daily keep 7'),
  lastMs: orNull(number('When the newest of its snapshots was made; null: there is none')),
  failedMs: orNull(number('When a snapshot failed last; null: none has failed since the newest one was made')),
  failure: orNull(text('Why that snapshot failed; null: none has failed since')),
  skipped: orNull(text('Why an old snapshot could not be removed; null: none is too old')),
  /** Missing before release 0.3.0. */
  rules: optional(
    list(
      object({
        label: text('First part of the names of its snapshots'),
        keep: count('Snapshots to keep'),
        kept: count('Snapshots that the volume has of it'),
        lastMs: orNull(number('When the newest of these was made; null: there is none')),
        nextMs: number('When its next period begins, with the next snapshot'),
      }),
      'Each rule has snapshots of its own',
    ),
  ),
});

const IMAGE = object({
  name: orNull(text('Volume of which it is an image; null: the asker may not know it')),
  universe: orNull(count('null: the asker may not know it')),
  state: word(
    ['present', 'removed', 'deleted', 'unknown'],
    'State of that volume; removed: it can be restored; unknown: a pool is not open',
  ),
  momentMs: number('The moment of the content that the image got last from that volume'),
  clients: orNull(list(text()), 'Clients that may attach that volume; null: all'),
});

const FOLLOWS = object({
  server: text('Server with the source'),
  name: text('Name of the source at the last moment'),
  universe: count(),
  momentMs: orNull(number('Newest moment, by the clock of that server; null: none yet')),
  promotedMs: orNull(number('When it became an ordinary volume; null: clients can open only its moments')),
});

const BRIDGED = object({
  reads: count('Such READs since rssrv was started, and since the volume is in its pool'),
  lastMs: number('When the last such READ was answered'),
});

const IO_LIMITS = object({
  iops: orNull(count('Requests per second; null: no limit')),
  bytesPerSecond: orNull(count('null: no limit')),
  burstMs: count('For how long unused allowance is kept'),
});

const HALT = object({
  kind: word(['paused', 'stopped'], 'paused: I/O waits; stopped: I/O is refused'),
  sinceMs: number(),
  untilMs: orNull(number('When it ends by itself; null: never')),
  by: orNull(text('Client that has paused or stopped the volume; null: an administrator on the server')),
});

const ORIGIN = object(
  {
    volumeId: text('Id of the volume that was cloned or copied'),
    snapshotId: orNull(text('Id of its snapshot'), 'null: the volume at the moment of the copy'),
  },
  'With what a clone or copy was created',
);

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
  layout: orNull(LAYOUT, 'Files of a volume that has several; null: one file'),
  clients: orNull(list(text()), 'Clients that may attach it; null: all'),
  takeOver: orNull(list(text()), 'Clients that may take it over; null: all that may attach it'),
  takeOverForce: flag('A forced take-over may lose acknowledged writes'),
  owner: orNull(text('Client that created it; null: an administrator')),
  managers: optional(orNull(list(text()), 'Clients that may change it like its owner; null: all with the right manage; missing: none')),
  isOwn: optional(flag('Only for a client that asks: the client is the owner or a manager, and the lists of clients are whole')),
  note: optional(text('What an administrator has noted; missing: nothing')),
  createdMs: orNull(number()),
  origin: optional(orNull(ORIGIN, 'null: created empty, or by an earlier release; missing: the server is of an earlier release')),
  holders: list(HOLDER, 'Clients that hold it'),
  waitsForSpace: flag('Writes wait for space, because its pool is full or has less than its reserve free'),
  fullPool: orNull(text('Full pool, if the volume has several pools; null: not known, or one pool')),
  limits: orNull(IO_LIMITS, 'Limits of its I/O; null: none'),
  halt: orNull(HALT, 'Pause or stop of its I/O; null: none'),
  bridged: orNull(BRIDGED, 'READs that failed and got their data from an image; null: none in the last 24 hours'),
  snapshots: count(),
  schedule: orNull(SCHEDULE, 'Schedule by which the server makes and removes snapshots; null: none'),
  image: orNull(IMAGE, 'Volume of which it is an image; null: it is no image'),
  mirror: orNull(text('Id of the mirror of which it is a replica; null: it is no replica')),
  follows: orNull(FOLLOWS, 'Source whose moments it gets; null: it never followed one'),
  reflink: orNull(flag(REFLINK), 'null: unknown, or the volume is in no pool'),
  overcommit: optional(
    text('The volumes of its pool may need more space than there is, as a sentence; missing: no, unknown, or not asked for'),
  ),
});

export const SNAPSHOT = object({
  name: text('Name of the volume'),
  universe: count(),
  snapshot: text('Name of the snapshot'),
  id: text(),
  sizeBytes: count('Size of the volume at that moment'),
  usedBytes: orNull(count('Space of its content, including blocks that the volume and other snapshots share; null if unknown')),
  createdMs: number('It grows from snapshot to snapshot, whatever the clock showed'),
  shownMs: optional(number('Time that the clock showed; missing: createdMs')),
  by: orNull(text('Client that made it; null: an administrator')),
  group: text('Id that all snapshots of one moment have in common'),
  readers: orNull(count('Clients that have it attached'), 'null: unknown'),
  moment: orNull(
    object({
      mirror: text('Id of the mirror'),
      term: count(),
      number: count('A later moment has a higher term, or a higher number in the same term'),
      isProven: flag('false: the mirror did not confirm it, and it can only be removed'),
    }),
    'The moment of the mirror, if the volume was a replica; null: it was no replica',
  ),
});

export const REMOVED = object({
  name: text(),
  universe: count(),
  id: text(),
  sizeBytes: count(),
  pool: text(),
  owner: orNull(text()),
  removedMs: number(),
  by: orNull(text('Client that removed it; null: an administrator')),
  ageMs: optional(number('Time that the server has seen pass since the removal; missing: the server is of an earlier release')),
  untilMs: number('When it is deleted for good, if the server runs until then'),
  clients: orNull(list(text()), 'Clients that may attach it once it is restored; null: all'),
});

export const CLIENT = object({
  name: text(),
  role: word(CLIENT_ROLES),
  pools: orNull(list(text()), 'Pools that it may use; null: all'),
  limitBytes: orNull(count()),
  limits: orNull(IO_LIMITS, 'Limits of its I/O, over all volumes; null: none'),
  ownedBytes: count(
    'Bytes that count towards its limit: the sizes of the volumes that it created, also of removed ones, and the space that the files of its snapshots took',
  ),
  state: word(['connected', 'silent', 'absent'], 'silent: it has a session without a path'),
  address: orNull(text()),
  sinceMs: orNull(number('When its session began')),
  keys: count('Keys that prove it: 2 while its key is changed'),
  sessionKey: orNull(word(['old', 'new'], 'Which of two keys its session uses; null: it has no session, or one key')),
  fencedMs: orNull(number('When it was fenced; null: it is not fenced')),
  volumes: list(text(), 'Volumes that it holds'),
});

export const INTERFACE = object({
  name: text(),
  address: text(),
  port: count(),
  state: word(['listening', 'waiting', 'off'], 'off: rssrv is not running'),
  reason: orNull(text('Why it does not listen')),
});

export type PoolView = Of<typeof POOL>;
export type ManagedVolumeView = Of<typeof VOLUME>;
export type SnapshotView = Of<typeof SNAPSHOT>;
export type RemovedVolumeView = Of<typeof REMOVED>;
export type ClientView = Of<typeof CLIENT>;
export type InterfaceView = Of<typeof INTERFACE>;

/** What the jobs of a server do. image: a new image in another pool; image-restore: a volume gets the content of its image. */
export const JOB_WORKS = ['move', 'copy', 'import', 'image', 'refresh', 'image-restore'] as const;
/** What commands of this machine do, which tell rsiod about it. */
export const COMMAND_WORKS = ['backup', 'restore', 'backup-verify'] as const;
export const WORKS = [...JOB_WORKS, 'replication', 'resync', 'verify', ...COMMAND_WORKS] as const;

export const PROGRESS = object({
  kind: word(WORKS),
  id: text('Stays the same while the work lasts, such as `job 7`'),
  name: text('Volume or mirror on which it works'),
  about: text('Where from and where to, such as `from hdd to ssd`; may be empty'),
  state: word(['running', 'waiting', 'ending'], 'ending: it was cancelled, and undoes what it has done'),
  waitsFor: orNull(text('null: nothing')),
  doneBytes: count(),
  totalBytes: orNull(count('null: not known yet')),
  bytesPerSecond: count('Over the last seconds'),
  leftMs: orNull(number('Time until the end at this rate; null: not known')),
  goesOn: flag('It goes on when the command that began it has ended'),
});
export type Progress = Of<typeof PROGRESS>;
export type Work = (typeof WORKS)[number];

export const JOB = object({
  id: text(),
  kind: word(['move', 'copy', 'import']),
  /** Missing before release 0.3.0. */
  work: optional(word(JOB_WORKS, 'What it does: as `kind`, with the words for images')),
  name: text('Name of the volume when the job began'),
  universe: count(),
  from: text('Pool in which the volume was, or the path or NBD URI that is imported'),
  snapshot: orNull(text('Snapshot that it copies; null: the volume')),
  target: word(['pool', 'file', 'nbd'], 'What `to` is'),
  to: text('Pool to which it moves or is copied, path of the file, or NBD URI'),
  newName: orNull(text('Name of the volume that a copy or an import makes')),
  afterRestart: word(['goes on', 'starts over'], 'What the job does after a restart of the server'),
  state: word(['waiting', 'running', 'cancelling', 'done', 'failed', 'cancelled']),
  reason: orNull(text('Why it waits or has failed')),
  doneBytes: count('Bytes copied'),
  totalBytes: count('Bytes copied plus bytes known to be left; grows when clients write during a move'),
  bytesPerSecond: count(),
  limitBytes: orNull(count('Most bytes in a second')),
  rounds: count('Number of rounds in which a move has copied what differs'),
  by: orNull(text('Client that asked for it; null: an administrator')),
  createdMs: number(),
  endedMs: orNull(number()),
  overcommit: optional(
    text('After the job, the volumes of the pool may need more space than there is, as a sentence; missing: no, unknown, or not asked for'),
  ),
});
export type JobView = Of<typeof JOB>;

/** A replication as a source (`out`) or as the server that copies (`in`) shows it. */
export const REPLICATION = object({
  id: text(),
  direction: word(['out', 'in'], 'out: this server has the source'),
  peer: text('The other server; out: its name as a client'),
  pool: orNull(text('Pool of the followers; null: any')),
  volumes: list(object({ name: text(), universe: count() }), 'All get the same moment'),
  everyMs: number(),
  keep: count('Moments that both servers keep'),
  limitBytes: orNull(count('Most bytes in a second; null: no limit')),
  state: word(
    ['waiting', 'copying', 'failing', 'absent', 'ended', 'promoted', 'handing-over', 'refused', 'closed', 'diverged', 'split'],
    'failing: it is tried again; absent: the other server is not connected; ended: by its source; handing-over: the roles are being exchanged; ' +
      'the last four go on only by an order, which `text` names',
  ),
  text: text(),
  momentMs: orNull(number('Moment of the followers, by the clock of the source')),
  ageMs: orNull(number()),
  doneBytes: count(),
  totalBytes: count('Bytes of the moment in progress that are copied or compared, as far as known'),
  /** Missing before release 0.3.0. */
  bytesPerSecond: optional(count('Over the last seconds')),
  nextMs: orNull(number('When the next moment is due')),
});
export type ReplicationView = Of<typeof REPLICATION>;

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
