// Shapes of the fields that occur in more than one description in a pool (of a volume, a snapshot or a part), and functions that print
// and parse descriptions. Pure. Invariant: a field has the same form in all descriptions, so that every file with the field can store the
// same values.

import { CLIENTS_MAX, STORAGE_STAMP_MAX_CHARS } from '@rsio/common/config/schema/limits';
import { readSealed, sealed } from '@rsio/base/files/sealed-text';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { UNIVERSE_MAX, VOLUME_MAX_BYTES } from '@rsio/base/lib/limits';
import {
  atMost,
  checked,
  fieldsOf,
  type Fields,
  isRecord,
  list,
  misfit,
  object,
  type ObjectShape,
  type Shape,
  oneOf,
  orNull,
  textThat,
  type ValuesOf,
  variants,
  whole,
} from '@rsio/base/lib/shape';
import { isStoredName } from '@rsio/base/lib/units';
import { isUuid, type PoolId, type VolumeId } from './ids.ts';
import { MANIFEST_MAX_BYTES, PARTS_MAX, REQUEST_ID_MAX_CHARS, STRIPE_CHUNK_MAX_BYTES, STRIPE_CHUNK_MIN_BYTES } from '../limits.ts';

/** The last time that a Date can show. */
const TIME_MAX_MS = 8_640_000_000_000_000;
const SECTOR_BYTES = 512;

export function isRequestId(value: string): boolean {
  return value.length > 0 && value.length <= REQUEST_ID_MAX_CHARS && /^[\x21-\x7e]+$/.test(value);
}

/** Returns true if this is a chunk size of a stripe: a power of two within the limits. */
export function isChunk(value: number): boolean {
  return value >= STRIPE_CHUNK_MIN_BYTES && value <= STRIPE_CHUNK_MAX_BYTES && Number.isInteger(Math.log2(value));
}

/** Returns true if a volume with this block size may have `value` bytes. */
export function isSize(value: number, blockSizeBytes: number): boolean {
  return Number.isSafeInteger(value) && value >= blockSizeBytes && value <= VOLUME_MAX_BYTES && value % blockSizeBytes === 0;
}

export const uuid = textThat(isUuid, 'a UUID');
export const volumeId = uuid as Shape<VolumeId>;
export const poolId = uuid as Shape<PoolId>;
/** Id of a mirror, or of the data of a replica. */
export const mirrorId = textThat((value) => /^[0-9a-f]{32}$/.test(value), 'an id of 32 hexadecimal digits');
export const nameText = textThat(isStoredName, 'a name');
export const nameOrNull = orNull(nameText);
export const namesOrNull = orNull(atMost(CLIENTS_MAX, list(nameText)));
export const universe = whole(0, UNIVERSE_MAX);
export const time = whole(0, TIME_MAX_MS);
export const blockSize = oneOf(512, 4096);
export const stamp = textThat((value) => value.length <= STORAGE_STAMP_MAX_CHARS, 'a stamp');
export const requestOrNull = orNull(textThat(isRequestId, 'a request id'));
/** Size of a file: a whole number of sectors. */
export const fileSize = checked(whole(0, VOLUME_MAX_BYTES), (value) =>
  isSize(value, SECTOR_BYTES) ? null : 'is not a whole number of sectors',
);

/** One file of a volume of several files. */
export const PART = object({
  /** Id of the pool that contains the file. */
  poolId: uuid,
  /** Name of the folder that contains the file. The first file is in the folder of the volume, whose name is the id of the volume. */
  fileId: uuid,
  sizeBytes: fileSize,
});

const parts = checked(atMost(PARTS_MAX, list(PART)), ({ length }) => (length < 2 ? 'has fewer than two entries' : null));

/**
 * The layout of the content of a volume. `simple`: one file. `concat`: the files follow one another. `stripe`: chunks of `chunkBytes` are
 * distributed over the files in rotation, and all files have the same size. The first file is in the home of the volume, which is the pool
 * that contains the manifest.
 */
export const LAYOUT = checked(
  variants('kind', {
    simple: {},
    concat: { parts },
    stripe: { chunkBytes: checked(whole(1, null), (value) => (isChunk(value) ? null : 'is not the chunk size of a stripe')), parts },
  }),
  (layout) => {
    if (layout.kind !== 'stripe') return null;
    const isFitting = layout.parts.every(
      ({ sizeBytes }) => sizeBytes === layout.parts[0]?.sizeBytes && sizeBytes % layout.chunkBytes === 0,
    );
    return isFitting ? null : 'has files that are not equal numbers of chunks';
  },
);

export function printContent(content: object, version = 1): string {
  return sealed(`${JSON.stringify({ version, ...content }, null, 2)}\n`);
}

/** Returns the text unchanged. Throws E_USAGE if `parse` refuses the text, or if the text is too long. The error names the field. */
export function readable(text: string, parse: (file: string, text: string) => unknown): string {
  try {
    parse('', text);
  } catch (thrown) {
    throw new RsError('E_USAGE', `The volume cannot be saved, because its ${String(toRsError(thrown).context['what'])}`, {}, thrown);
  }
  if (text.length <= MANIFEST_MAX_BYTES) return text;
  throw new RsError('E_USAGE', `The volume cannot be saved: its manifest has ${text.length} bytes, allowed are ${MANIFEST_MAX_BYTES}`);
}

/**
 * Parses a description. Returns the version of the description and the fields of the shape; ignores other fields. `newest`: the newest
 * format of this kind of file. Throws E_VOLUME, naming `file` and the field.
 */
export function parseContent<F extends Fields>(
  file: string,
  text: string,
  shape: ObjectShape<F>,
  newest = 1,
): { readonly version: number; readonly fields: ValuesOf<F> } {
  const read = readSealed(text);
  if ('damage' in read) throw damagedFile(file, read.damage);
  const { value: content } = read;
  if (!isRecord(content)) throw damagedFile(file, 'it is not a JSON object');
  const { version } = content;
  if (typeof version !== 'number' || !Number.isSafeInteger(version) || version < 1)
    throw damagedFile(file, 'its version is not a number above 0');
  if (version > newest) {
    throw new RsError(
      'E_VOLUME',
      `${file} has format ${version}, and this rssrv knows formats up to ${newest}: use the newer rssrv that wrote it`,
      { file, version },
    );
  }
  const found = misfit(shape, content, 'stored');
  if (found !== null) throw damagedFile(file, found);
  return { version, fields: fieldsOf(shape, content as ValuesOf<F>) };
}

export function damagedFile(file: string, what: string, cause?: unknown): RsError {
  return new RsError('E_VOLUME', `${file} is damaged (${what}): restore it from a backup of the pool`, { file, what }, cause);
}
