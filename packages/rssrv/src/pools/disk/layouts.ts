// Computes the layout of a new or growing volume of several files. Pure: catalogue.ts checks rights and room. Invariants: the sizes of the
// files of a `concat` add up to the size of the volume. No file of a new `concat` exceeds the room of its pool. No file of a new volume is
// empty.

import { stripePartBytes } from '../../storage/files/layout-map.ts';
import { RsError } from '@rsio/base/lib/errors';
import { SECTOR_BYTES, VOLUME_MAX_BYTES } from '@rsio/base/lib/limits';
import { printSize } from '@rsio/base/lib/units';
import { PARTS_MAX, STRIPE_CHUNK_MAX_BYTES, STRIPE_CHUNK_MIN_BYTES } from '../limits.ts';
import { isChunk } from './description-shapes.ts';
import type { Layout, Manifest, Part } from './manifest.ts';

const MIB = 1024 * 1024;

export type SeveralFiles = Exclude<Layout, { kind: 'simple' }>;
type Size = Pick<Manifest, 'sizeBytes' | 'blockSizeBytes'>;

/** The room in a pool for a file of a volume. */
export interface Room {
  readonly poolId: string;
  /** Bytes that the pool can still promise; Infinity if the pool has no limit. */
  readonly maxBytes: number;
  /** Free bytes above the reserve of the pool. For a thin volume, a pool may promise more than this. */
  readonly freeBytes: number;
}

/**
 * Returns the sizes of the files of a new `concat`. The files have equal sizes. If a pool has no room for its share, its file is smaller,
 * and the files in the other pools are larger. A pool promises more than its free space only if the free space of all pools is used.
 * Returns null if the pools have no room, or if the size is too small to be divided.
 */
function concatSizes(sizeBytes: number, blockSizeBytes: number, rooms: readonly Room[]): number[] | null {
  const unitBytes = sizeBytes >= rooms.length * MIB ? MIB : blockSizeBytes;
  const units = Math.floor(sizeBytes / unitBytes);
  const inUnits = (bytes: number): number => Math.floor(bytes / unitBytes);
  const free = shares(
    units,
    rooms.map(({ freeBytes, maxBytes }) => inUnits(Math.min(freeBytes, maxBytes))),
  );
  const more = shares(
    units - sumOf(free),
    rooms.map(({ maxBytes }, index) => inUnits(maxBytes) - free[index]!),
  );
  const all = free.map((share, index) => share + more[index]!);
  if (sumOf(all) < units || all.includes(0)) return null;
  const sizes = all.map((share) => share * unitBytes);
  // The sizes above are whole units. A remainder of less than a unit is added to a file whose pool has room for it.
  const restBytes = sizeBytes - units * unitBytes;
  const place = rooms.findLastIndex(({ maxBytes }, index) => sizes[index]! + restBytes <= maxBytes);
  if (place === -1) return null;
  sizes[place]! += restBytes;
  return sizes;
}

/** Divides `total` into equal shares, none larger than its cap. If the caps are too small, the sum is less than `total`. */
function shares(total: number, caps: readonly number[]): number[] {
  const given = caps.map(() => 0);
  let left = total;
  for (;;) {
    const open = caps.flatMap((cap, index) => (given[index]! < cap ? [index] : []));
    if (left === 0 || open.length === 0) return given;
    const share = Math.max(1, Math.floor(left / open.length));
    for (const index of open) {
      const more = Math.min(share, caps[index]! - given[index]!, left);
      given[index]! += more;
      left -= more;
    }
  }
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, one) => sum + one, 0);
}

/**
 * Returns the layout of a new stripe. `id`: id of the volume, which is also the id of its first file. `newId` makes the ids of the
 * other files. Throws E_USAGE if the size of the chunks is not allowed.
 */
export function newStripe(rooms: readonly Room[], { sizeBytes }: Size, chunkBytes: number, id: string, newId: () => string): Layout {
  if (!isChunk(chunkBytes)) {
    const allowed = `a power of two from ${printSize(STRIPE_CHUNK_MIN_BYTES)} to ${printSize(STRIPE_CHUNK_MAX_BYTES)}`;
    throw new RsError('E_USAGE', `Wrong stripe ${String(chunkBytes)}: allowed is ${allowed}`);
  }
  const partBytes = stripePartBytes(sizeBytes, chunkBytes, rooms.length);
  return { kind: 'stripe', chunkBytes, parts: placed(rooms, () => partBytes, id, newId) };
}

/**
 * Returns the layout of a new `concat`, or the index of a pool without room for its file. Throws E_USAGE if the volume is too small to
 * be divided. `id`: id of the volume, which is also the id of its first file. `newId` makes the ids of the other files.
 */
export function newConcat(
  rooms: readonly Room[],
  { sizeBytes, blockSizeBytes }: Size,
  id: string,
  newId: () => string,
): Layout | { readonly scarce: number; readonly shareBytes: number } {
  const sizes = concatSizes(sizeBytes, blockSizeBytes, rooms);
  if (sizes !== null) return { kind: 'concat', parts: placed(rooms, (index) => sizes[index] ?? 0, id, newId) };
  const shareBytes = Math.floor(sizeBytes / rooms.length / blockSizeBytes) * blockSizeBytes;
  if (shareBytes === 0) throw new RsError('E_USAGE', `Wrong size ${sizeBytes}: it is too small for ${rooms.length} files`);
  const scarce = rooms.findIndex(({ maxBytes }) => maxBytes < shareBytes);
  return { scarce: Math.max(0, scarce), shareBytes };
}

function placed(rooms: readonly Room[], bytesOf: (index: number) => number, id: string, newId: () => string): Part[] {
  return rooms.map(({ poolId }, index) => ({ poolId, fileId: index === 0 ? id : newId(), sizeBytes: bytesOf(index) }));
}

/**
 * Returns the layout of the volume with a new size. In a stripe, all files grow. In a `concat`, the last file grows, or a new file is added
 * if `poolId` is not the pool of the last file. If `poolId` is null, the last file grows.
 */
export function grownLayout(
  manifest: Pick<Manifest, 'name' | 'sizeBytes'>,
  layout: SeveralFiles,
  sizeBytes: number,
  poolId: string | null,
  newId: () => string,
): SeveralFiles {
  const { parts } = layout;
  if (layout.kind === 'stripe') {
    const partBytes = stripePartBytes(sizeBytes, layout.chunkBytes, parts.length);
    return { ...layout, parts: parts.map((part) => ({ ...part, sizeBytes: partBytes })) };
  }
  const moreBytes = sizeBytes - manifest.sizeBytes;
  const last = parts.length - 1;
  if (poolId === null || poolId === parts[last]?.poolId)
    return { ...layout, parts: parts.map((part, index) => (index === last ? { ...part, sizeBytes: part.sizeBytes + moreBytes } : part)) };
  if (parts.length >= PARTS_MAX)
    throw new RsError('E_LIMIT', `Volume ${manifest.name} has ${PARTS_MAX} files, and no more are allowed: grow it where it ends`);
  return { ...layout, parts: [...parts, { poolId, fileId: newId(), sizeBytes: moreBytes }] };
}

/** Throws E_USAGE unless a volume can have this size. */
export function checkSize(sizeBytes: number, blockSizeBytes: number): void {
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < blockSizeBytes || sizeBytes > VOLUME_MAX_BYTES)
    throw new RsError('E_USAGE', `Wrong size ${sizeBytes}: allowed is ${blockSizeBytes} to ${printSize(VOLUME_MAX_BYTES)}`);
  const nextMultiple = Math.ceil(sizeBytes / blockSizeBytes) * blockSizeBytes;
  if (nextMultiple !== sizeBytes)
    throw new RsError(
      'E_USAGE',
      `Wrong size ${sizeBytes}: allowed are multiples of the block size ${blockSizeBytes}, such as ${printSize(nextMultiple)}`,
    );
  if (sizeBytes % SECTOR_BYTES !== 0) throw new RsError('E_USAGE', `Wrong size ${sizeBytes}: allowed are multiples of ${SECTOR_BYTES}`);
}

/**
 * Throws unless the name can be used. `ownId`: id of the volume that gets the name. `remedy`: what the asker can do if the name is in
 * use.
 */
