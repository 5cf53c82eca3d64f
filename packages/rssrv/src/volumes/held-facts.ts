// Whether a volume may come back to its holders as what it is now, after a start as after a reload: he
// has acknowledged writes in his memory, and would write them to whatever answers by its name (docs/PROTOCOL.md H5). Pure.
// Leaves what is kept to volume-facts.ts and volume-ids.ts.

import type { ServerVolumeConfig } from '@rsio/common/config/schema/types';
import type { RsError } from '@rsio/common/lib/errors';
import type { Holder } from '@rsio/protocol/wire/messages';
import { isSameStamp } from '../backends/files/storage-stamp.ts';
import type { VolumeFacts } from './volume-facts.ts';
import { heldBy } from './volume-plan.ts';
import { volumeError } from './volume-storage.ts';

/** A person has said that what is there now has the content of what was there before. */
export function isConfirmed(volume: ServerVolumeConfig, before: VolumeFacts, now: VolumeFacts): boolean {
  return !isSameStamp(before.stamp, now.stamp) && volume.sameContent === now.stamp;
}

/** Why a volume that is held may not be served as it is now; null: it may. */
export function changedUnderHolders(
  volume: ServerVolumeConfig,
  before: VolumeFacts,
  now: VolumeFacts,
  holders: readonly Holder[],
): RsError | null {
  if (holders.length === 0) return null;
  const changed = (['readonly', 'shared', 'blocksize'] as const).filter((key) => before[key] !== now[key]);
  if (changed.length > 0) {
    const was = changed.map((key) => `${key} = ${shown(before[key])}`).join(', ');
    const what = `it has another ${changed.join(', ')} than when it was last served, and ${heldBy(holders)}`;
    return volumeError(volume, what, `set ${was} again; to change it, detach the volume there first (rsconfig -d ${volume.name})`);
  }
  if (isSameStamp(before.stamp, now.stamp) || isConfirmed(volume, before, now)) return null;
  const location = volume.path ?? `type ${volume.type}`;
  const what = `${location} is not what it was last served from, but another file or device (${now.stamp}, not ${before.stamp}), and ${heldBy(holders)}`;
  const remedy = `bring that back; if this one has the same content, set same-content = ${now.stamp}; if it has another content, give the volume another id =`;
  return volumeError(volume, what, `${remedy}; then reload`);
}

function shown(value: boolean | number): string {
  return typeof value === 'number' ? String(value) : value ? 'yes' : 'no';
}
