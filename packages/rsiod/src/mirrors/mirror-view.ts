// Converts an attached mirror to the view that the control methods return. Pure. What every volume shows is in control/views.ts, and the
// words for the states of replicas in replica-changes.ts.

import type { AttachedMirrorView } from '@rsio/common/control/methods';
import { MIRROR_REGION_BYTES } from '@rsio/protocol/wire/limits';
import type { ResyncProgress } from '@rsio/protocol/mirror/copy/copy-ports';
import type { MirrorView } from '@rsio/protocol/mirror/membership/interface';
import { stateOf } from './replica-changes.ts';

/** `serverName`: name of the server with a serverid. */
export function attachedMirrorView(
  label: string,
  view: MirrorView | null,
  progress: readonly ResyncProgress[],
  serverName: (serverid: number) => string,
): AttachedMirrorView {
  const replicas = (view?.replicas ?? []).map((replica) => {
    const state = stateOf(replica);
    const copy = state === 'in sync' ? undefined : progress.find(({ identity }) => identity === replica.identity);
    return {
      server: serverName(replica.server),
      state,
      isOpen: replica.session === 'open',
      leftBytes: copy === undefined ? null : copy.regionsLeft * MIRROR_REGION_BYTES,
      bytesPerSecond: copy?.bytesPerSecond ?? null,
      etaMs: copy?.etaMs ?? null,
    };
  });
  return { volume: label, term: view?.term ?? 0, waitsFor: view?.waitsFor ?? null, replicas };
}
