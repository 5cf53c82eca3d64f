// What the handshake needs to know about an export. An attached volume has all of these facts. For an export of another process, that
// process has sent the facts as plain JSON. Pure. Invariant: facts from another process are used only if they have the shape EXPORT_FACTS.

import { UNIVERSE_MAX } from '@rsio/base/lib/limits';
import { atMost, filledText, flag, list, object, type Of, optional, text, whole } from '@rsio/base/lib/shape';
import { OLDER_SNAPSHOTS_MAX } from '../../../volumes/limits.ts';
import { exportName } from './export-names.ts';
import { U32_MAX } from './nbd-constants.ts';

export const IDENTITY_FIELDS = { namespace: filledText(), name: filledText(), universe: whole(0, UNIVERSE_MAX), id: text() };

export const EXPORT_FACTS = object({
  ...IDENTITY_FIELDS,
  sizeBytes: whole(0, Number.MAX_SAFE_INTEGER),
  blockSizeBytes: whole(1, U32_MAX),
  readonly: flag(),
  canDiscard: flag(),
  olderSnapshots: optional(atMost(OLDER_SNAPSHOTS_MAX, list(object({ name: text(), id: text() })))),
});
export type NbdExport = Of<typeof EXPORT_FACTS>;

/** Returns the facts of a volume as plain JSON. */
export function exportFacts(volume: NbdExport): NbdExport {
  const { namespace, name, universe, id, sizeBytes, blockSizeBytes, readonly, canDiscard, olderSnapshots = [] } = volume;
  return { namespace, name, universe, id, sizeBytes, blockSizeBytes, readonly, canDiscard, olderSnapshots };
}

/** Returns a text that identifies an export by its name and its id. */
export function exportKey(one: Pick<NbdExport, keyof typeof IDENTITY_FIELDS>): string {
  return `${exportName(one)} ${one.id}`;
}
