// Parses and prints names of volumes and snapshots: NAME, NAME@SNAPSHOT, NAME[@UNIVERSE][@SNAPSHOT]. Pure. Invariant: the word after an @
// is either a universe or a snapshot, because the name of a snapshot is not all digits.

import { UNIVERSE_MAX } from './limits.ts';
import { isSnapshotName, isStoredName } from './units.ts';

/** A parsed name. A part that is missing is null. */
export interface WrittenName {
  readonly namespace: string | null;
  readonly volume: string;
  readonly universe: number | null;
  readonly snapshot: string | null;
}

const WRITTEN = /^(?:([^:@]+):)?([^:@]+)(?:@(\d))?(?:@([^:@]+))?$/;

/**
 * Returns the parts of `[NAMESPACE:]NAME[@UNIVERSE][@SNAPSHOT]`, or null if the text has another form. Each part is a name that the protocol
 * can carry.
 */
export function parseVolumeName(text: string): WrittenName | null {
  const [, namespace = null, volume, digit, snapshot = null] = WRITTEN.exec(text) ?? [];
  const universe = digit === undefined ? null : Number(digit);
  if (volume === undefined || (universe !== null && universe > UNIVERSE_MAX)) return null;
  if (!isStoredName(volume) || (namespace !== null && !isStoredName(namespace))) return null;
  if (snapshot !== null && !isSnapshotName(snapshot)) return null;
  return { namespace, volume, universe, snapshot };
}

/** Returns the name of a snapshot within the universe of its volume, for servers and clients: `oracle@monday`. */
export function snapshotName(volume: string, snapshot: string): string {
  return `${volume}@${snapshot}`;
}

/** Splits the name of a volume or of a snapshot. `snapshot` is null for a volume. */
export function servedNameParts(name: string): { readonly volume: string; readonly snapshot: string | null } {
  const at = name.indexOf('@');
  return at < 0 ? { volume: name, snapshot: null } : { volume: name.slice(0, at), snapshot: name.slice(at + 1) };
}

export function isSnapshot(name: string): boolean {
  return name.includes('@');
}

/** Returns the name with its universe, such as `oracle@0`, or `oracle@0@monday` for a snapshot. */
export function nameInUniverse({ name, universe }: { readonly name: string; readonly universe: number }): string {
  const { volume, snapshot } = servedNameParts(name);
  return `${volume}@${universe}${snapshot === null ? '' : `@${snapshot}`}`;
}

/** Returns the name of the NBD export, such as `osl/oracle`, `osl/oracle@1`, `osl/oracle@monday` or `osl/oracle@1@monday`. */
export function exportName(named: { readonly namespace: string; readonly name: string; readonly universe: number }): string {
  return `${named.namespace}/${named.universe === 0 ? named.name : nameInUniverse(named)}`;
}

/** Returns the name with namespace and universe, such as `osl:oracle@0`, or `osl:oracle@0@monday` for a snapshot. */
export function volumeLabel(named: { readonly namespace: string; readonly name: string; readonly universe: number }): string {
  return `${named.namespace}:${nameInUniverse(named)}`;
}
