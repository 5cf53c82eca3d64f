// Defines the names under which attached volumes are exported, and finds the volume for a name that a client has sent. Pure. The name
// `namespace/volume` always works; `@U` is appended if the universe is not 0, and `@SNAPSHOT` for a snapshot. The name `volume` works for a
// volume in universe 0, if it is unique, and the empty name works if only one volume is exported.

import { exportName as nameOfExport, nameInUniverse, servedNameParts } from '@rsio/base/lib/volume-name';
import type { VolumeIdentity } from '../../../volumes/frontend-volume.ts';

const NAMES_SHOWN_MAX = 16;
const NAME_SHOWN_MAX_CHARS = 200;

/** The fields of an export that appear in its name and description. */
type Named = Omit<VolumeIdentity, 'id'>;

export type ExportLookup<E> = { readonly volume: E } | { readonly volume: null; readonly problem: string };

/** Returns the name of a volume in the answers to LIST and INFO_NAME. */
export function exportName(volume: Named): string {
  return nameOfExport(volume);
}

const NOTHING = 'nothing is exported: attach a volume with rsconfig -a; one with device = none in rscltcfg has no export';

export function exportDescription(volume: Named & { readonly readonly: boolean }): string {
  const rights = volume.readonly ? ', read-only' : '';
  const { snapshot } = servedNameParts(volume.name);
  return `${snapshot === null ? 'Volume' : 'Snapshot'} ${volume.name} of namespace ${volume.namespace}, universe ${volume.universe}${rights}`;
}

/**
 * Returns the volume to which `name` refers. If no volume or several volumes match, returns a message that states the problem and lists the
 * usable names.
 */
export function findExport<E extends Named>(volumes: readonly E[], name: string): ExportLookup<E> {
  const found = candidates(volumes, name);
  const first = found[0];
  if (first !== undefined && found.length === 1) return { volume: first };
  const shown = name.length > NAME_SHOWN_MAX_CHARS ? `${name.slice(0, NAME_SHOWN_MAX_CHARS)}...` : name;
  if (volumes.length === 0) return { volume: null, problem: `No export "${shown}", ${NOTHING}` };
  if (found.length > 1) return { volume: null, problem: `Export name "${shown}" means more than one volume: say ${nameList(found)}` };
  return { volume: null, problem: `No export "${shown}": attached are ${nameList(volumes)}` };
}

function candidates<E extends Named>(volumes: readonly E[], name: string): readonly E[] {
  if (name === '') return volumes;
  const exact = volumes.filter((volume) => exportName(volume) === name);
  if (exact.length > 0) return exact;
  return volumes.filter((volume) => {
    if (name === `${volume.namespace}/${nameInUniverse(volume)}`) return true;
    return volume.universe === 0 && (name === volume.name || name === `${volume.namespace}/${volume.name}`);
  });
}

function nameList(volumes: readonly Named[]): string {
  const names = volumes.slice(0, NAMES_SHOWN_MAX).map(exportName);
  const more = volumes.length - names.length;
  return more > 0 ? `${names.join(', ')} and ${more} more` : names.join(', ');
}
