// The files that describe the content of a pool: pool.json names the pool, and volume.json describes one volume. The file removed.json
// records the removal of a volume, and part.json describes one file of a volume of several files. Pure: other modules read and write the
// files. Invariants: `parse...` accepts every text that `print...` writes, with the same meaning. A file whose format is too new for this
// rssrv is refused, and never replaced.

import {
  BANDWIDTH_MAX_BYTES,
  BANDWIDTH_MIN_BYTES,
  BURST_MAX_MS,
  BURST_MIN_MS,
  IOPS_MAX,
  IOPS_MIN,
} from '@rsio/common/config/schema/limits';
import { REPLICATION_EVERY_MAX_MS, REPLICATION_EVERY_MIN_MS, REPLICATION_KEEP_MAX } from '@rsio/common/control/limits';
import { atMost, flag, integer, list, object, type Of, optional, orNull, textThat, whole } from '@rsio/base/lib/shape';
import { VOLUME_NOTE } from '@rsio/api/rssrv/volume-methods';
import { isScheduleText, scheduleOfOlder } from '../schedules/schedule.ts';
import { stripePartBytes } from '../../storage/files/layout-map.ts';
import {
  blockSize,
  damagedFile,
  fileSize,
  isSize,
  LAYOUT,
  mirrorId,
  nameOrNull,
  namesOrNull,
  nameText,
  parseContent,
  PART,
  poolId,
  printContent,
  readable,
  requestOrNull,
  stamp,
  time,
  universe,
  uuid,
  volumeId,
} from './description-shapes.ts';
import { PARTS_MAX, SNAPSHOT_GROUP_MAX } from '../limits.ts';

/** Replicated volumes and followers have format 6, because an older rssrv would serve a follower as an ordinary volume. */
const REPLICATION_VERSION = 6;
/**
 * Volumes of one file have format 1, so that an older rssrv can serve them. Volumes of several files, and their parts, have format 2.
 * Volumes in the last step of a move have format 3, because an older rssrv would serve them in both pools. Parts of snapshots also
 * have format 3, because an older rssrv would delete new parts of snapshots. Images have format 4, because an older rssrv would drop
 * the relation of an image to its volume. Replicas of mirrors have format 5, because an older rssrv would change them without their
 * intent map.
 */
const REPLICA_VERSION = 5;
const IMAGE_VERSION = 4;
const MOVED_VERSION = 3;
const SNAPSHOT_PART_VERSION = 3;
const FORMAT_VERSION = 2;
const SIMPLE_VERSION = 1;

/**
 * The content of POOL/pool.json. The file is written once and never replaced, because the lock of the pool is on this file. Pools with a
 * ledger have format 2, because an older rssrv would ignore the ledger and treat held volumes as free.
 */
const IDENTITY = object({ id: poolId, createdMs: time });
const LEDGER_VERSION = 2;
export type PoolIdentity = Of<typeof IDENTITY>;
/** `hasLedger`: false for a pool that only earlier releases have used, which kept its holders in the state directory of the server. */
export type ReadIdentity = PoolIdentity & { readonly hasLedger: boolean };

export type Part = Of<typeof PART>;
export type Layout = Of<typeof LAYOUT>;

/** The content of POOL/parts/ID/part.json, beside each file of a volume except the first. */
const PART_RECORD = object({
  ...PART.form.fields,
  /** Id of the pool that contains the manifest of the volume. */
  homeId: uuid,
  volumeId,
  /** If the file belongs to a snapshot of the volume: id of the snapshot. Absent if the file belongs to the volume itself. */
  snapshotId: optional(uuid),
});
export type PartRecord = Of<typeof PART_RECORD>;

/**
 * A prepared refresh of one image of a group. Another image of the group decides whether the refresh is committed. Therefore either all
 * images of the group get the content of one moment, or no image does.
 */
const PREPARED_REFRESH = object({
  /** Id of the refresh. */
  id: uuid,
  /**
   * Id of the image that decides. The prepared refresh counts as committed as soon as the deciding image has committed the refresh
   * with the same `id`.
   */
  homeId: uuid,
  /** Stamp of the new data file, `data.new` beside `data`. */
  stamp,
  sizeBytes: fileSize,
  momentMs: time,
  request: requestOrNull,
});
export type PreparedRefresh = Of<typeof PREPARED_REFRESH>;

/**
 * The base of an image: the content of its last refresh. The pool of the volume and the pool of the image both keep the base, so that
 * the next refresh can find the differences.
 */
const IMAGE_BASE = object({
  /** Id of the snapshot of the volume whose content the base has. */
  snapshot: uuid,
  /** Stamp of the file `base` beside the data of the image. */
  stamp,
});

/** The mark of an image, which is a copy of another volume at one moment. Refreshes bring the copy up to date. */
const IMAGE = object({
  /** The volume that this image copies: the id of the volume, and its name and universe at the last refresh. */
  ofId: volumeId,
  ofName: nameText,
  ofUniverse: universe,
  /** The moment of the content that the last refresh has copied. */
  momentMs: time,
  /** Id of the last refresh. Images that share a moment have the same id. */
  refresh: uuid,
  next: optional(PREPARED_REFRESH),
  /**
   * Only if the image is not in the pool of its volume: the base from which the next refresh finds the changes. If absent, the next refresh
   * copies the whole content.
   */
  base: optional(IMAGE_BASE),
});
export type ImageRelation = Of<typeof IMAGE>;

/** The mark of a replica of a mirror. The intent map of the replica is beside the manifest (mirrors/map-file.ts). */
const REPLICA_MARK = object({
  /** Id of the mirror. */
  mirror: mirrorId,
  /** Data identity. The volume gets a new data identity whenever it is made a replica. */
  identity: mirrorId,
});

/** The last moment that the server with the followers has confirmed. */
const CONFIRMED = object({ group: uuid, momentMs: time });

/** The order of a replication. `to`: name of the client that copies. `pool`: pool of the followers; null if the client chooses it. */
const REPLICATION_ORDER = object({
  to: nameText,
  pool: nameOrNull,
  everyMs: whole(REPLICATION_EVERY_MIN_MS, REPLICATION_EVERY_MAX_MS),
  keep: whole(1, REPLICATION_KEEP_MAX),
  limitBytes: orNull(whole(1, null)),
  createdMs: time,
  confirmed: orNull(CONFIRMED),
  /** Name of the peer that may take the volumes over (T9); absent: no server may. An older rssrv drops this consent. */
  reversible: optional(nameText),
});
export type ManifestOrder = Of<typeof REPLICATION_ORDER>;

/**
 * The roles of two servers are being exchanged: no client can open the volume, and the other server gets a last moment. All members have
 * this mark.
 */
const HAND_OVER = object({
  /** The id that the other server has chosen for this hand-over: that of the replication in the other direction. */
  replication: uuid,
  /** Name of the server that gets the volumes, and name of this server as its client. */
  server: nameText,
  node: nameText,
  /** Group of the last moment, which was made after all members were closed; null until it is made, and in members other than the home. */
  group: orNull(uuid),
});
export type HandOverMark = Of<typeof HAND_OVER>;

/**
 * The mark of a volume that is replicated to another server. The replication exists while the manifest of its home, which is the first
 * member, has the order.
 */
const REPLICATION_MARK = object({
  id: uuid,
  /** Ids of the volumes that share their moments, the home first. */
  members: atMost(SNAPSHOT_GROUP_MAX, list(uuid)),
  order: orNull(REPLICATION_ORDER),
  handOver: optional(HAND_OVER),
});

/** The order of a person at the server with the followers to take the roles over. All followers of the replication have the same one. */
const WISH = object({
  /** Random id of the hand-over, and of the replication in the other direction. */
  replication: uuid,
  /** Name of the old source as a client of this server. */
  node: nameText,
  /** True if the old source may take the volumes back. */
  reversible: flag(),
});
export type WishMark = Of<typeof WISH>;

/** The mark of a follower, which gets the moments of a volume of another server. The moments are its snapshots. */
const FOLLOWER_MARK = object({
  /** Id of the replication. */
  replication: uuid,
  /** Name of the server with the source. */
  peer: nameText,
  /** The source: its id, and its name and universe at the last moment. */
  sourceId: uuid,
  sourceName: nameText,
  sourceUniverse: universe,
  /** Ids of the sources that share their moments. */
  members: atMost(SNAPSHOT_GROUP_MAX, list(uuid)),
  /** Group of the moment with which a volume that was the source began to follow; absent for a volume that has followed from the start. */
  base: optional(uuid),
  /**
   * Place of the newest snapshot (its createdMs, which grows from snapshot to snapshot) when a volume that was the source began to follow:
   * only later snapshots, and the base, are moments. Absent for a volume that has followed from the start.
   */
  after: optional(time),
  /** Absent unless a hand-over is wanted. An older rssrv drops the wish. */
  wanted: optional(WISH),
  /** The moment with which the follower became an ordinary volume; null while it follows. */
  promoted: orNull(object({ group: uuid, momentMs: time, atMs: time })),
});
export type FollowerMark = Of<typeof FOLLOWER_MARK>;

const LIMITS = object({
  iops: orNull(whole(IOPS_MIN, IOPS_MAX)),
  bytesPerSecond: orNull(whole(BANDWIDTH_MIN_BYTES, BANDWIDTH_MAX_BYTES)),
  burstMs: whole(BURST_MIN_MS, BURST_MAX_MS),
});

/** The content with which a volume was created: a snapshot, or (null) the volume itself at the moment of the copy. */
const ORIGIN = object({ volumeId: uuid, snapshotId: orNull(uuid) });

/** The content of POOL/volumes/ID/volume.json. */
const MANIFEST = object({
  id: volumeId,
  name: nameText,
  universe,
  sizeBytes: integer(),
  blockSizeBytes: blockSize,
  layout: LAYOUT,
  /** True if space for the whole volume was allocated when the volume was created or grown. */
  thick: flag(),
  readonly: flag(),
  shared: flag(),
  /** Clients that may see and attach the volume; null for all clients. */
  clients: namesOrNull,
  /** Clients that may take the volume over; null for all clients that may attach it. */
  takeOver: namesOrNull,
  takeOverForce: flag(),
  /** Schedule of the volume's snapshots, in its canonical form (pools/schedules/schedule.ts); absent if the volume has no schedule. */
  schedule: optional(textThat(isScheduleText, 'a schedule of snapshots')),
  /**
   * Only in the file: the schedule, if it has rules by the calendar. The file then has as `schedule` the other rules, by which an older
   * rssrv goes on. It drops this field when it writes the manifest.
   */
  wholeSchedule: optional(textThat(isScheduleText, 'a schedule of snapshots')),
  /** Limits of the volume's I/O; absent if it has no limits. An older rssrv drops the limits when it writes the manifest. */
  limits: optional(LIMITS),
  /**
   * Client that created the volume; the volume counts towards the limit of this client. Null if an administrator created the volume on the
   * server.
   */
  owner: nameOrNull,
  /**
   * Clients that may do what the owner may do; null for all clients with the right `manage`, absent for none. An older rssrv drops them when
   * it writes the manifest.
   */
  managers: optional(namesOrNull),
  /** What an administrator has noted; absent for nothing. An older rssrv drops it when it writes the manifest. */
  note: optional(VOLUME_NOTE),
  createdMs: time,
  /** Present in a clone or copy, even if the content has changed since. An older rssrv drops it when it writes the manifest. */
  origin: optional(ORIGIN),
  /**
   * Stamps of the data files (storage-identity.ts). A held volume is not served if the stamp of a file differs from the stamp in the
   * manifest.
   */
  stamps: atMost(PARTS_MAX, list(orNull(stamp))),
  /** Stamp of the request that made the last change. If the request is repeated, it is not executed again. */
  request: requestOrNull,
  /**
   * Present only in the last step of a move: id of the new pool. Only the content of the new pool shows whether the volume is still in
   * this pool.
   */
  movedTo: optional(uuid),
  /** Id of the pool from which the volume was moved. This pool may still have files of the volume. */
  movedFrom: optional(uuid),
  /** The mark of an image; absent if the volume is not an image. */
  image: optional(IMAGE),
  /** The mark of a replica; absent if the volume is not a replica of a mirror. */
  replica: optional(REPLICA_MARK),
  /** The mark of a volume that is replicated to another server. */
  replication: optional(REPLICATION_MARK),
  /** The mark of a follower; absent if the volume never was a follower. */
  follower: optional(FOLLOWER_MARK),
});
export type Manifest = Omit<Of<typeof MANIFEST>, 'wholeSchedule'>;

/** The content of POOL/removed/ID/removed.json. */
const REMOVAL = object({
  /** When the volume was removed, by the wall clock. Shown, and later than that of each earlier removal of the same name. */
  removedMs: time,
  /** Time that servers have seen pass since the removal (removal-ages.ts); absent until it is first saved. */
  seenMs: optional(integer()),
  /** Client that removed the volume; null if an administrator removed it on the server. */
  by: nameOrNull,
  request: requestOrNull,
});
export type Removal = Of<typeof REMOVAL>;

export function printIdentity({ id, createdMs }: PoolIdentity): string {
  return printContent({ id, createdMs }, LEDGER_VERSION);
}

/** Throws E_VOLUME naming `file`. */
export function parseIdentity(file: string, text: string): ReadIdentity {
  const { version, fields } = parseContent(file, text, IDENTITY, LEDGER_VERSION);
  return { ...fields, hasLedger: version === LEDGER_VERSION };
}

/**
 * Returns the text of a pool's identity, changed in one byte so that the pool has a ledger; null if the text is no identity. A pool of an
 * earlier release has no checksum, and gets none: with other bytes or another length, a power cut could leave neither the old nor the new
 * text.
 */
export function identityWithLedger(text: string): string | null {
  try {
    return parseIdentity('', text).hasLedger ? text : text.replace(/("version"\s*:\s*)1\b/, `$1${LEDGER_VERSION}`);
  } catch {
    return null;
  }
}

/** Throws E_USAGE, naming the field, if `parseManifest` would refuse the file, so that no request can make a volume unreadable. */
export function printManifest(manifest: Manifest): string {
  const { schedule } = manifest;
  const older = schedule === undefined ? null : scheduleOfOlder(schedule);
  const stored = older === (schedule ?? null) ? manifest : { ...manifest, schedule: older ?? undefined, wholeSchedule: schedule };
  return readable(printContent(stored, versionOf(manifest)), parseManifest);
}

function versionOf({ layout, movedTo, movedFrom, image, replica, replication, follower }: Manifest): number {
  if (replication !== undefined || follower !== undefined) return REPLICATION_VERSION;
  if (replica !== undefined) return REPLICA_VERSION;
  if (image !== undefined) return IMAGE_VERSION;
  if (movedTo !== undefined || movedFrom !== undefined) return MOVED_VERSION;
  return layout.kind === 'simple' ? SIMPLE_VERSION : FORMAT_VERSION;
}

/** Throws E_VOLUME naming `file` and the field. */
export function parseManifest(file: string, text: string): Manifest {
  const { version, fields: stored } = parseContent(file, text, MANIFEST, REPLICATION_VERSION);
  const { wholeSchedule, ...others } = stored;
  const fields = wholeSchedule === undefined ? others : { ...others, schedule: wholeSchedule };
  const { sizeBytes, blockSizeBytes, layout, stamps } = fields;
  if (!isSize(sizeBytes, blockSizeBytes)) throw damagedFile(file, 'sizeBytes is not a whole number of blocks');
  const mismatch = layoutMismatch(fields, version);
  if (mismatch !== null) throw damagedFile(file, mismatch);
  if (stamps.length !== partCount(layout)) throw damagedFile(file, 'it does not have one stamp for each file');
  return fields;
}

/** Throws E_USAGE, naming the field, if `parseRemoval` would refuse the file. */
export function printRemoval(removal: Removal): string {
  return readable(printContent(removal), parseRemoval);
}

/** Throws E_VOLUME naming `file`. */
export function parseRemoval(file: string, text: string): Removal {
  return parseContent(file, text, REMOVAL).fields;
}

export function partCount(layout: Layout): number {
  return layout.kind === 'simple' ? 1 : layout.parts.length;
}

/** Returns all files of a volume except the first. For a volume of one file, the list is empty. */
export function otherParts({ layout }: Pick<Manifest, 'layout'>): readonly Part[] {
  return layout.kind === 'simple' ? [] : layout.parts.slice(1);
}

export function partSizes({ layout, sizeBytes }: Pick<Manifest, 'layout' | 'sizeBytes'>): readonly number[] {
  return layout.kind === 'simple' ? [sizeBytes] : layout.parts.map((part) => part.sizeBytes);
}

/** Returns the error in the list of files of a volume or snapshot, or null. */
export function layoutMismatch(
  { id, sizeBytes, layout }: Pick<Manifest, 'sizeBytes' | 'layout'> & { readonly id: string },
  version: number,
): string | null {
  if (layout.kind === 'simple') return null;
  if (version === 1) return 'format 1 has no volumes of several files';
  const { parts } = layout;
  if (parts[0]?.fileId !== id) return 'its first part is not in its folder';
  if (new Set(parts.map(({ fileId }) => fileId)).size !== parts.length) return 'two of its parts have one id';
  const total = parts.reduce((sum, part) => sum + part.sizeBytes, 0);
  const isFitting =
    layout.kind === 'concat' ? total === sizeBytes : parts[0].sizeBytes === stripePartBytes(sizeBytes, layout.chunkBytes, parts.length);
  return isFitting ? null : `its parts have ${total} bytes, which do not fit its size of ${sizeBytes} bytes`;
}

export function printPart({ poolId, fileId, sizeBytes, homeId, volumeId, snapshotId }: PartRecord): string {
  const version = snapshotId === undefined ? FORMAT_VERSION : SNAPSHOT_PART_VERSION;
  return readable(printContent({ poolId, fileId, sizeBytes, homeId, volumeId, snapshotId }, version), parsePart);
}

/** Throws E_VOLUME naming `file` and the field. */
export function parsePart(file: string, text: string): PartRecord {
  return parseContent(file, text, PART_RECORD, SNAPSHOT_PART_VERSION).fields;
}
