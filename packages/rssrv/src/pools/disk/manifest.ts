// The files by which a pool describes itself: pool.json names the pool, volume.json describes one volume, and removed.json records its
// removal; part.json describes one file of a volume of several files. Pure: other modules read and write the files. Invariants: `parse...`
// accepts every text of `print...` with the same meaning. A file of a newer format is refused, and never replaced.

import { isListOf, isRecord, isText, isWhole } from '@rsio/common/files/state-file';
import { RsError, toRsError } from '@rsio/common/lib/errors';
import {
  BANDWIDTH_MAX_BYTES,
  BANDWIDTH_MIN_BYTES,
  BURST_MAX_MS,
  BURST_MIN_MS,
  CLIENTS_MAX,
  IOPS_MAX,
  IOPS_MIN,
  STORAGE_STAMP_MAX_CHARS,
} from '@rsio/common/config/schema/limits';
import type { IoLimits } from '@rsio/common/config/schema/types';
import { UNIVERSE_MAX, VOLUME_MAX_BYTES } from '@rsio/common/lib/limits';
import { isName } from '@rsio/common/lib/units';
import { isScheduleText } from '../schedules/schedule.ts';
import { stripePartBytes } from '../../storage/files/layout-map.ts';
import { MANIFEST_MAX_BYTES, PARTS_MAX, REQUEST_ID_MAX_CHARS, STRIPE_CHUNK_MAX_BYTES, STRIPE_CHUNK_MIN_BYTES } from './limits.ts';

/**
 * Volumes of one file have format 1, so that an older rssrv can serve them. Volumes of several files, and their parts, have format 2.
 * Volumes in the last step of a move have format 3, because an older rssrv would serve them in both pools. Parts of snapshots also have
 * format 3, because an older rssrv would delete new ones. Images have format 4, because an older rssrv would drop the relation to their
 * volume. Replicas of mirrors have format 5, because an older rssrv would change them without their intent map.
 */
const REPLICA_VERSION = 5;
const IMAGE_VERSION = 4;
const MOVED_VERSION = 3;
const SNAPSHOT_PART_VERSION = 3;
const FORMAT_VERSION = 2;
const SIMPLE_VERSION = 1;
/** The last time that a Date can show. */
const TIME_MAX_MS = 8_640_000_000_000_000;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The content of POOL/pool.json. It is written once and never replaced, because the lock of the pool is on this file. */
export interface PoolIdentity {
  readonly id: string;
  readonly createdMs: number;
}

/** One file of a volume that consists of several files. */
export interface Part {
  /** Id of the pool that contains the file. */
  readonly poolId: string;
  /** Name of the folder of the file. For the first file, which is in the folder of the volume, the id of the volume. */
  readonly fileId: string;
  readonly sizeBytes: number;
}

/** The content of POOL/parts/ID/part.json, beside each file of a volume except the first. */
export interface PartRecord extends Part {
  /** Id of the pool that contains the manifest of the volume. */
  readonly homeId: string;
  readonly volumeId: string;
  /** Id of the snapshot of the volume that has the file; absent for a file of the volume itself. */
  readonly snapshotId?: string;
}

/**
 * How the content of a volume is laid out. `simple`: one file. `concat`: the files follow one another. `stripe`: chunks of `chunkBytes` go
 * to the files in turn, and all files have the same size. The first file is in the pool that contains the manifest, the home of the volume.
 */
export type Layout =
  | { readonly kind: 'simple' }
  | { readonly kind: 'concat'; readonly parts: readonly Part[] }
  | { readonly kind: 'stripe'; readonly chunkBytes: number; readonly parts: readonly Part[] };

/** A refresh that another image decides, so that either all images of a group get the content of one moment, or none. */
export interface PreparedRefresh {
  /** Id of the refresh. */
  readonly id: string;
  /** Id of the image that decides. This refresh is committed as soon as that image has the refresh. */
  readonly homeId: string;
  /** Stamp of the new data file, `data.new` beside `data`. */
  readonly stamp: string;
  readonly sizeBytes: number;
  readonly momentMs: number;
  readonly request: string | null;
}

/** The content of the image's last refresh, which both pools keep, so that the next refresh can find the differences. */
export interface ImageBase {
  /** Id of the snapshot of the volume. */
  readonly snapshot: string;
  /** Stamp of the file `base` beside the data of the image. */
  readonly stamp: string;
}

/** Makes a volume an image: a copy of another volume at one moment, which refreshes bring up to date. */
export interface ImageRelation {
  /** Id of the volume that this image copies, and its name and universe at the last refresh. */
  readonly ofId: string;
  readonly ofName: string;
  readonly ofUniverse: number;
  /** The moment of the content that the last refresh has copied. */
  readonly momentMs: number;
  /** Id of the last refresh. Images that share a moment have the same id. */
  readonly refresh: string;
  readonly next?: PreparedRefresh;
  /** Only in another pool than that of the volume: the base from which the next refresh finds changes. If absent, it copies all. */
  readonly base?: ImageBase;
}

/** Makes a volume a replica of a mirror. Its intent map is beside it (mirrors/map-file.ts). */
export interface ReplicaMark {
  /** Id of the mirror. */
  readonly mirror: string;
  /** Data identity. The volume gets a new one whenever it is made a replica. */
  readonly identity: string;
}

/** The content of POOL/volumes/ID/volume.json. */
export interface Manifest {
  readonly id: string;
  readonly name: string;
  readonly universe: number;
  readonly sizeBytes: number;
  readonly blockSizeBytes: 512 | 4096;
  readonly layout: Layout;
  /** True if space for the whole volume was allocated when it was created or grown. */
  readonly thick: boolean;
  readonly readonly: boolean;
  readonly shared: boolean;
  /** Clients that may see and attach the volume; null for all clients. */
  readonly clients: readonly string[] | null;
  /** Clients that may take the volume over; null for all clients that may attach it. */
  readonly takeOver: readonly string[] | null;
  readonly takeOverForce: boolean;
  /** Schedule of its snapshots in its canonical form (pools/schedules/schedule.ts); absent if it has none. */
  readonly schedule?: string;
  /** Limits of its I/O; absent if it has none. An older rssrv forgets them. */
  readonly limits?: IoLimits;
  /** Client that created the volume, and whose limit the volume counts towards; null if an administrator created it on the server. */
  readonly owner: string | null;
  readonly createdMs: number;
  /** Stamps of the data files (storage-identity.ts). A held volume is not served if its files have other stamps. */
  readonly stamps: readonly (string | null)[];
  /** Id of the request that made the last change. If the request is repeated, it is not executed again. */
  readonly request: string | null;
  /** Id of the target pool in the last step of a move. Only that pool shows whether the volume is still in this pool. */
  readonly movedTo?: string;
  /** Id of the pool that may still have the volume from before its move. */
  readonly movedFrom?: string;
  /** Absent if the volume is no image. */
  readonly image?: ImageRelation;
  /** Absent if the volume is no replica of a mirror. */
  readonly replica?: ReplicaMark;
}

/** The content of POOL/removed/ID/removed.json. */
export interface Removal {
  readonly removedMs: number;
  /** Client that removed the volume; null if an administrator removed it on the server. */
  readonly by: string | null;
  readonly request: string | null;
}

export function printIdentity({ id, createdMs }: PoolIdentity): string {
  return printContent({ id, createdMs });
}

/** Throws E_VOLUME naming `file`. */
export function parseIdentity(file: string, text: string): PoolIdentity {
  const { id, createdMs } = parseContent(file, text);
  if (!isUuid(id)) throw damagedFile(file, 'id is not a UUID');
  if (!isTime(createdMs)) throw damagedFile(file, 'createdMs is not a time');
  return { id, createdMs };
}

/** Throws E_USAGE, naming the field, if `parseManifest` would refuse the file, so that no request can make a volume unreadable. */
export function printManifest(manifest: Manifest): string {
  return readable(printContent(manifest, versionOf(manifest)), parseManifest);
}

function versionOf({ layout, movedTo, movedFrom, image, replica }: Manifest): number {
  if (replica !== undefined) return REPLICA_VERSION;
  if (image !== undefined) return IMAGE_VERSION;
  if (movedTo !== undefined || movedFrom !== undefined) return MOVED_VERSION;
  return layout.kind === 'simple' ? SIMPLE_VERSION : FORMAT_VERSION;
}

/** Throws E_VOLUME naming `file` and the field. */
export function parseManifest(file: string, text: string): Manifest {
  const fields = parseContent(file, text, REPLICA_VERSION);
  const check = <T>(name: string, isValid: (value: unknown) => value is T, what: string): T => {
    const value = fields[name];
    if (!isValid(value)) throw damagedFile(file, `${name} is not ${what}`);
    return value;
  };
  const blockSizeBytes = check('blockSizeBytes', isBlockSize, '512 or 4096');
  const manifest: Manifest = {
    id: check('id', isUuid, 'a UUID'),
    name: check('name', isNameText, 'a name'),
    universe: check('universe', isUniverse, 'a universe'),
    sizeBytes: check('sizeBytes', (value): value is number => isSize(value, blockSizeBytes), 'a whole number of blocks'),
    blockSizeBytes,
    layout: check('layout', isLayout, 'a layout'),
    thick: check('thick', isFlag, 'true or false'),
    readonly: check('readonly', isFlag, 'true or false'),
    shared: check('shared', isFlag, 'true or false'),
    clients: check('clients', isNamesOrNull, 'a list of names or null'),
    takeOver: check('takeOver', isNamesOrNull, 'a list of names or null'),
    takeOverForce: check('takeOverForce', isFlag, 'true or false'),
    ...(fields['schedule'] === undefined ? {} : { schedule: check('schedule', isSchedule, 'a schedule of snapshots') }),
    ...(fields['limits'] === undefined ? {} : { limits: check('limits', isLimits, 'limits of I/O') }),
    owner: check('owner', isNameOrNull, 'a name or null'),
    createdMs: check('createdMs', isTime, 'a time'),
    stamps: check('stamps', areStamps, 'a list of stamps'),
    request: check('request', isRequestOrNull, 'a request id or null'),
    ...(fields['movedTo'] === undefined ? {} : { movedTo: check('movedTo', isUuid, 'a UUID') }),
    ...(fields['movedFrom'] === undefined ? {} : { movedFrom: check('movedFrom', isUuid, 'a UUID') }),
    ...(fields['image'] === undefined ? {} : { image: check('image', isImage, 'the relation of an image') }),
    ...(fields['replica'] === undefined ? {} : { replica: check('replica', isReplicaMark, 'the mark of a replica') }),
  };
  const mismatch = layoutMismatch(manifest, fields['version']);
  if (mismatch !== null) throw damagedFile(file, mismatch);
  if (manifest.stamps.length !== partCount(manifest.layout)) throw damagedFile(file, 'it does not have one stamp for each file');
  return manifest;
}

/** Throws E_USAGE, naming the field, if `parseRemoval` would refuse the file. */
export function printRemoval({ removedMs, by, request }: Removal): string {
  return readable(printContent({ removedMs, by, request }), parseRemoval);
}

/** Throws E_VOLUME naming `file`. */
export function parseRemoval(file: string, text: string): Removal {
  const { removedMs, by, request } = parseContent(file, text);
  if (!isTime(removedMs)) throw damagedFile(file, 'removedMs is not a time');
  if (!isNameOrNull(by)) throw damagedFile(file, 'by is not a name or null');
  if (!isRequestOrNull(request)) throw damagedFile(file, 'request is not a request id or null');
  return { removedMs, by, request };
}

export function partCount(layout: Layout): number {
  return layout.kind === 'simple' ? 1 : layout.parts.length;
}

/** Returns all files of a volume except the first; none for a volume of one file. */
export function otherParts({ layout }: Pick<Manifest, 'layout'>): readonly Part[] {
  return layout.kind === 'simple' ? [] : layout.parts.slice(1);
}

export function partSizes({ layout, sizeBytes }: Pick<Manifest, 'layout' | 'sizeBytes'>): readonly number[] {
  return layout.kind === 'simple' ? [sizeBytes] : layout.parts.map((part) => part.sizeBytes);
}

/** Returns the error in the list of files of a volume or snapshot, or null. */
export function layoutMismatch({ id, sizeBytes, layout }: Pick<Manifest, 'id' | 'sizeBytes' | 'layout'>, version: unknown): string | null {
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
  const { poolId, fileId, sizeBytes, homeId, volumeId, snapshotId } = parseContent(file, text, SNAPSHOT_PART_VERSION);
  for (const [name, id] of Object.entries({ poolId, fileId, homeId, volumeId }))
    if (!isUuid(id)) throw damagedFile(file, `${name} is not a UUID`);
  const part = { poolId, fileId, sizeBytes };
  if (!isPart(part)) throw damagedFile(file, 'sizeBytes is not a whole number of sectors');
  if (snapshotId !== undefined && !isUuid(snapshotId)) throw damagedFile(file, 'snapshotId is not a UUID');
  const owner = snapshotId === undefined ? {} : { snapshotId };
  return { ...part, homeId: homeId as string, volumeId: volumeId as string, ...owner };
}

export function isUuid(value: unknown): value is string {
  return isText(value) && UUID.test(value);
}

export function isRequestId(value: unknown): value is string {
  return isText(value) && value.length > 0 && value.length <= REQUEST_ID_MAX_CHARS && /^[\x21-\x7e]+$/.test(value);
}

export function printContent(content: object, version = SIMPLE_VERSION): string {
  return `${JSON.stringify({ version, ...content }, null, 2)}\n`;
}

/** Returns the text. Throws E_USAGE, naming the field, if `parse` refuses it, or if it is too long. */
export function readable(text: string, parse: (file: string, text: string) => unknown): string {
  try {
    parse('', text);
  } catch (thrown) {
    throw new RsError('E_USAGE', `The volume cannot be saved, because its ${String(toRsError(thrown).context['what'])}`, {}, thrown);
  }
  if (text.length <= MANIFEST_MAX_BYTES) return text;
  throw new RsError('E_USAGE', `The volume cannot be saved: its manifest has ${text.length} bytes, allowed are ${MANIFEST_MAX_BYTES}`);
}

/** Reads the fields of a file. `newest`: the newest format of this kind of file. Throws E_VOLUME naming `file`. */
export function parseContent(file: string, text: string, newest = SIMPLE_VERSION): Readonly<Record<string, unknown>> {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (thrown) {
    throw damagedFile(file, 'it is not JSON', thrown);
  }
  if (!isRecord(content)) throw damagedFile(file, 'it is not a JSON object');
  const { version } = content;
  if (!isWhole(version) || version < 1) throw damagedFile(file, 'its version is not a number above 0');
  if (version > newest) {
    throw new RsError(
      'E_VOLUME',
      `${file} has format ${version}, and this rssrv knows formats up to ${newest}: use the newer rssrv that wrote it`,
      { file, version },
    );
  }
  return content;
}

export function damagedFile(file: string, what: string, cause?: unknown): RsError {
  return new RsError('E_VOLUME', `${file} is damaged (${what}): restore it from a backup of the pool`, { file, what }, cause);
}

function isFlag(value: unknown): value is boolean {
  return typeof value === 'boolean';
}

function isLimits(value: unknown): value is IoLimits {
  if (!isRecord(value)) return false;
  const isIn = (number: unknown, min: number, max: number): boolean => isWhole(number) && number >= min && number <= max;
  const { iops, bytesPerSecond, burstMs } = value;
  return (
    (iops === null || isIn(iops, IOPS_MIN, IOPS_MAX)) &&
    (bytesPerSecond === null || isIn(bytesPerSecond, BANDWIDTH_MIN_BYTES, BANDWIDTH_MAX_BYTES)) &&
    isIn(burstMs, BURST_MIN_MS, BURST_MAX_MS)
  );
}

function isSchedule(value: unknown): value is string {
  return isText(value) && isScheduleText(value);
}

export function isTime(value: unknown): value is number {
  return isWhole(value) && value >= 0 && value <= TIME_MAX_MS;
}

export function isBlockSize(value: unknown): value is 512 | 4096 {
  return value === 512 || value === 4096;
}

export function isSize(value: unknown, blockSizeBytes: number): value is number {
  return isWhole(value) && value >= blockSizeBytes && value <= VOLUME_MAX_BYTES && value % blockSizeBytes === 0;
}

function isUniverse(value: unknown): value is number {
  return isWhole(value) && value >= 0 && value <= UNIVERSE_MAX;
}

export function isNameText(value: unknown): value is string {
  return isText(value) && isName(value);
}

export function isNameOrNull(value: unknown): value is string | null {
  return value === null || isNameText(value);
}

function isNamesOrNull(value: unknown): value is readonly string[] | null {
  return value === null || (isListOf(value, isNameText) && value.length <= CLIENTS_MAX);
}

export function isRequestOrNull(value: unknown): value is string | null {
  return value === null || isRequestId(value);
}

function isImage(value: unknown): value is ImageRelation {
  if (!isRecord(value)) return false;
  const { ofId, ofName, ofUniverse, momentMs, refresh, next, base } = value;
  return (
    isUuid(ofId) &&
    isNameText(ofName) &&
    isUniverse(ofUniverse) &&
    isTime(momentMs) &&
    isUuid(refresh) &&
    (next === undefined || isPreparedRefresh(next)) &&
    (base === undefined || isImageBase(base))
  );
}

export function isMirrorId(value: unknown): value is string {
  return isText(value) && /^[0-9a-f]{32}$/.test(value);
}

function isReplicaMark(value: unknown): value is ReplicaMark {
  return isRecord(value) && isMirrorId(value['mirror']) && isMirrorId(value['identity']);
}

function isImageBase(value: unknown): value is ImageBase {
  if (!isRecord(value)) return false;
  const { snapshot, stamp } = value;
  return isUuid(snapshot) && isText(stamp) && stamp.length <= STORAGE_STAMP_MAX_CHARS;
}

function isPreparedRefresh(value: unknown): value is PreparedRefresh {
  if (!isRecord(value)) return false;
  const { id, homeId, stamp, sizeBytes, momentMs, request } = value;
  const isStamp = isText(stamp) && stamp.length <= STORAGE_STAMP_MAX_CHARS;
  return isUuid(id) && isUuid(homeId) && isStamp && isSize(sizeBytes, 512) && isTime(momentMs) && isRequestOrNull(request);
}

function areStamps(value: unknown): value is readonly (string | null)[] {
  const isStamp = (item: unknown): item is string | null => item === null || (isText(item) && item.length <= STORAGE_STAMP_MAX_CHARS);
  return isListOf(value, isStamp) && value.length <= PARTS_MAX;
}

function isPart(value: unknown): value is Part {
  return isRecord(value) && isUuid(value['poolId']) && isUuid(value['fileId']) && isSize(value['sizeBytes'], 512);
}

export function isLayout(value: unknown): value is Layout {
  if (!isRecord(value)) return false;
  const { kind, parts, chunkBytes } = value;
  if (kind === 'simple') return true;
  if (!isListOf(parts, isPart) || parts.length < 2 || parts.length > PARTS_MAX) return false;
  if (kind === 'concat') return true;
  return (
    kind === 'stripe' &&
    isChunk(chunkBytes) &&
    parts.every((part) => part.sizeBytes === parts[0]?.sizeBytes && part.sizeBytes % chunkBytes === 0)
  );
}

/** Returns true if this is a chunk size of a stripe: a power of two within the limits. */
export function isChunk(value: unknown): value is number {
  const isInRange = isWhole(value) && value >= STRIPE_CHUNK_MIN_BYTES && value <= STRIPE_CHUNK_MAX_BYTES;
  return isInRange && Number.isInteger(Math.log2(value));
}
