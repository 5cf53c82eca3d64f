// Encodes the VOTEs of this client, which the driver of an attached mirror (vote-calls.ts) and the commands about mirrors
// (commands/mirror-server.ts) send. Pure. Invariant: only this file encodes VOTEs.

import * as codec from '@rsio/protocol/wire/mirror-messages';
import { VOTE } from '@rsio/protocol/wire/mirror-messages';
import type { VoteRequest } from '@rsio/protocol/mirror/membership/interface';

export type VoteCall = VoteRequest | { readonly kind: 'confirm' | 'dismiss'; readonly number: number };

/** Returns the kind of VOTE for the header field `aux`, and the body. */
export function voteFrame(mirror: string, call: VoteCall): { readonly aux: number; readonly body: Buffer } {
  switch (call.kind) {
    case 'record':
      return { aux: VOTE.RECORD, body: codec.VoteRecord.encode({ mirror }) };
    case 'found':
      return { aux: VOTE.FOUND, body: codec.VoteFound.encode({ mirror, name: call.name, universe: call.universe }) };
    case 'claim':
      return { aux: VOTE.CLAIM, body: codec.VoteClaim.encode({ mirror, number: call.number, takesOver: call.takesOver }) };
    case 'config':
      return { aux: VOTE.CONFIG, body: codec.VoteConfig.encode({ mirror, number: call.number, config: call.config }) };
    case 'place': {
      const { number, volume, universe } = call;
      return { aux: VOTE.PLACE, body: codec.VotePlace.encode({ mirror, number, volume, universe }) };
    }
    case 'confirm':
      return { aux: VOTE.CONFIRM, body: codec.VoteTerm.encode({ mirror, number: call.number }) };
    case 'unplace':
      return { aux: VOTE.UNPLACE, body: codec.VoteTerm.encode({ mirror, number: call.number }) };
    case 'dismiss':
      return { aux: VOTE.DISMISS, body: codec.VoteTerm.encode({ mirror, number: call.number }) };
  }
}
