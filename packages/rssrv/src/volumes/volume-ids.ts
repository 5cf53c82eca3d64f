// Manages the ids of volumes and the other content of volumes.json. An id is either configured, or generated when the volume is first
// served. A generated id is saved, so that the volume keeps its identity after a restart. The volume also keeps its identity if its
// section is removed and added again. Invariants: an id is saved before it is used. A volume with a generated id gets a new id when the
// volume moves to another location, unless a client holds the volume. A warning is logged when a volume with a generated id moves. A
// volumes.json that cannot be parsed is never replaced, because clients would treat volumes with new ids as new volumes.

import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { ServerVolumeConfig } from '@rsio/common/config/schema/types';
import { replaceFile } from '@rsio/base/files/durable-write';
import { readSealed, sealed } from '@rsio/base/files/sealed-text';
import { errnoName, errnoRemedy, RsError } from '@rsio/base/lib/errors';
import { escapeControls } from '@rsio/base/lib/printable';
import { flag, integer, isRecord, map, misfit, object, type Of, oneOf, optional, orNull, text } from '@rsio/base/lib/shape';

const FORMAT_VERSION = 1;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Returns the key of a volume from its name and universe, such as `oracle@0`. */
export function volumeKey(volume: { readonly name: string; readonly universe: number }): string {
  return `${volume.name}@${volume.universe}`;
}

const FACTS = object({
  readonly: flag(),
  shared: flag(),
  blocksize: oneOf(512, 4096),
  /**
   * The stamp of the file or device (storage-identity.ts); for a memory or null volume, the text `memory` or `null`. The value null means
   * that the storage cannot be distinguished from other storage.
   */
  stamp: orNull(text()),
});
export type VolumeFacts = Of<typeof FACTS>;

/** Files of earlier versions have no locations, sizes or facts. */
const MAPS = object({ places: optional(map(text())), sizes: optional(map(integer())), facts: optional(map(FACTS)) });

/** The content of volumes.json. */
export interface IdRecords {
  /** The generated ids, keyed by volumeKey. Includes the ids of volumes that are no longer configured. */
  readonly ids: ReadonlyMap<string, string>;
  /**
   * For each generated id: the location of the volume's content when the volume was last served. A volume has no entry until it is first
   * served.
   */
  readonly places: ReadonlyMap<string, string>;
  /**
   * For each id (generated or configured): the volume's size in bytes when the volume was last served. A volume has no entry if its type is
   * memory or null, or if its size is unknown.
   */
  readonly sizes: ReadonlyMap<string, number>;
  /**
   * For each id (generated or configured): facts about the volume when it was last served. A volume has no entry if its type is null, or if
   * it was last served by an earlier version of rssrv.
   */
  readonly facts: ReadonlyMap<string, VolumeFacts>;
}

/** Returns the location of a volume's content according to the configuration. */
export function locationOf({ type, path }: ServerVolumeConfig): string {
  return type === 'memory' || type === 'null' ? type : (path ?? '');
}

/**
 * Generates the missing ids, and returns all ids (lower case), keyed by volumeKey. Saves nothing. `isHeld` returns true if a client holds
 * the volume with the given id.
 */
export function settleIds(
  { ids, places }: IdRecords,
  volumes: readonly ServerVolumeConfig[],
  isHeld: (id: string) => boolean,
): { readonly ids: ReadonlyMap<string, string>; readonly warnings: readonly string[] } {
  const warnings: string[] = [];
  const settle = (volume: ServerVolumeConfig): string => {
    if (volume.id !== null) return volume.id.toLowerCase();
    const id = ids.get(volumeKey(volume));
    const location = id === undefined ? undefined : places.get(id);
    if (id === undefined) return randomUUID();
    if (location === undefined || location === locationOf(volume)) return id;
    const moved = `Volume ${volume.name} has moved from ${escapeControls(location)} to ${escapeControls(locationOf(volume))}`;
    if (isHeld(id)) {
      warnings.push(`${moved}, and its holder expects the same content: if it differs, detach the volume there`);
      return id;
    }
    warnings.push(`${moved}: it gets a new id, because its content may differ; set id = ${id} if it is the same`);
    return randomUUID();
  };
  return { ids: new Map(volumes.map((volume) => [volumeKey(volume), settle(volume)])), warnings };
}

/**
 * Adds the given ids, locations, sizes and facts to the records, and removes the locations of unused ids. The ids are keyed by volumeKey,
 * and the other maps by id. Returns null if there is nothing to add.
 */
export function withIds(
  records: IdRecords,
  ids: ReadonlyMap<string, string>,
  places: ReadonlyMap<string, string>,
  sizes: ReadonlyMap<string, number>,
  facts: ReadonlyMap<string, VolumeFacts>,
): IdRecords | null {
  const has = <T>(known: ReadonlyMap<string, T>, news: ReadonlyMap<string, T>): boolean =>
    [...news].every(([key, value]) => known.get(key) === value);
  const hasFacts = [...facts].every(([id, fact]) => areFactsEqual(records.facts.get(id), fact));
  if (hasFacts && has(records.ids, ids) && has(records.places, places) && has(records.sizes, sizes)) return null;
  const all = new Map([...records.ids, ...ids]);
  const made = new Set(all.values());
  return {
    ids: all,
    places: new Map([...records.places, ...places].filter(([id]) => made.has(id))),
    sizes: new Map([...records.sizes, ...sizes]),
    facts: new Map([...records.facts, ...facts]),
  };
}

/** Reads volumes.json. Throws E_SYSTEM, naming `file`, if the file cannot be read or parsed. */
export async function readIdRecords(file: string): Promise<IdRecords> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (thrown) {
    const errno = errnoName(thrown);
    if (errno === 'ENOENT') return { ids: new Map(), places: new Map(), sizes: new Map(), facts: new Map() };
    throw new RsError(
      'E_SYSTEM',
      `${file} cannot be read (${errno}): ${errnoRemedy(errno) ?? 'let rssrv read it'}`,
      { file, errno },
      thrown,
    );
  }
  return parseRecords(file, text);
}

function parseRecords(file: string, text: string): IdRecords {
  const read = readSealed(text);
  if ('damage' in read) throw damaged(file, read.damage);
  const { value: content } = read;
  if (typeof content !== 'object' || content === null || !('version' in content)) throw damaged(file, 'it has no version');
  const { version } = content;
  if (typeof version !== 'number' || !Number.isInteger(version) || version < 1) throw damaged(file, 'its version is not a number above 0');
  if (version > FORMAT_VERSION) {
    throw new RsError(
      'E_SYSTEM',
      `${file} has format ${version}, this rssrv knows up to ${FORMAT_VERSION}: run the newer rssrv that wrote it`,
      { file, version },
    );
  }
  const volumes: unknown = 'volumes' in content ? content.volumes : undefined;
  if (!isRecord(volumes)) throw damaged(file, 'it has no volumes');
  const ids = new Map<string, string>();
  for (const [key, id] of Object.entries(volumes)) {
    if (typeof id !== 'string' || !UUID.test(id)) throw damaged(file, `the id of ${escapeControls(key)} is not a UUID`);
    ids.set(key, id);
  }
  const found = misfit(MAPS, content, 'stored');
  if (found !== null) throw damaged(file, found);
  const { places = {}, sizes = {}, facts = {} } = content as Of<typeof MAPS>;
  return { ids, places: new Map(Object.entries(places)), sizes: new Map(Object.entries(sizes)), facts: new Map(Object.entries(facts)) };
}

function damaged(file: string, what: string, cause?: unknown): RsError {
  return new RsError(
    'E_SYSTEM',
    `${file}, which keeps the ids of the volumes, is damaged (${what}): restore it, or give each volume its old id in rssrvcfg and remove the file`,
    { file },
    cause,
  );
}

/** Writes volumes.json. Once the promise has resolved, the file is durable. On failure, throws E_SYSTEM, naming `file`. */
export async function writeIdRecords(file: string, { ids, places, sizes, facts }: IdRecords): Promise<void> {
  const content = { version: FORMAT_VERSION, volumes: sorted(ids), places: sorted(places), sizes: sorted(sizes), facts: sorted(facts) };
  const text = sealed(`${JSON.stringify(content, null, 2)}\n`);
  // Before writing the text, check that the next start will accept it.
  parseRecords(file, text);
  try {
    await replaceFile(file, text);
  } catch (thrown) {
    const errno = errnoName(thrown);
    throw new RsError(
      'E_SYSTEM',
      `${file} cannot be written (${errno}): ${errnoRemedy(errno) ?? 'let rssrv write there'}`,
      { file, errno },
      thrown,
    );
  }
}

function sorted<T>(values: ReadonlyMap<string, T>): Record<string, T> {
  return Object.fromEntries([...values].toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

export function factsOf(volume: ServerVolumeConfig, stamp: string | null): VolumeFacts {
  return { readonly: volume.readonly, shared: volume.shared, blocksize: volume.blockSizeBytes, stamp };
}

export function areFactsEqual(one: VolumeFacts | undefined, other: VolumeFacts): boolean {
  return one !== undefined && (['readonly', 'shared', 'blocksize', 'stamp'] as const).every((field) => one[field] === other[field]);
}
