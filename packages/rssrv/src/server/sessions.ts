// The sessions of the server, by client. Admissions begins and ends them; all other objects read them. Invariant: a session is in this list
// from the turn in which its worker gets `begin` until nothing of the session runs.

import type { Holder } from '@rsio/protocol/wire/messages';
import { ByNode } from './by-node.ts';
import type { ServedSession } from './served-session.ts';

export class Sessions extends ByNode<ServedSession> {
  /** The OPENs in progress, each with its volume or snapshot. `sinceMs`: the present wall-clock time. */
  opening(sinceMs: number): (Holder & { readonly id: string })[] {
    return this.all.flatMap(({ uses, client: { node, address } }) => [...uses.openingIds].map((id) => ({ id, node, address, sinceMs })));
  }

  /** Revokes a volume's grants up to `epoch` in every session. The clients keep their holds and reopen the volume. */
  revoke(volumeId: string, epoch: number): void {
    for (const { uses, workerSession } of this.all) if (uses.isGranted(volumeId)) void workerSession.revoke(volumeId, epoch);
  }
}
