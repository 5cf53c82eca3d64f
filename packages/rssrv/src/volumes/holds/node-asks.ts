// The question with which a session asks for how long the server has had no path of other nodes, and the listener's answer
// (server/nodes-seen.ts).

import type { KindsOf } from '@rsio/protocol/wire/guards';
import { NodesSeenRequest } from '@rsio/protocol/wire/messages';
import type { Status } from '@rsio/protocol/wire/status';

export const NODES_ASKS = { 'nodes-seen': NodesSeenRequest.guard };
export type NodesAsk = KindsOf<'what', typeof NODES_ASKS>;

/** `silentMs`: as in NodesSeenAnswer; empty if the status is not OK. */
export interface NodesReply {
  readonly nodesStatus: Status;
  readonly sentence: string;
  readonly silentMs: readonly (number | null)[];
}
