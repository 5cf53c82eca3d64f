// The question with which a session asks for how long the server has had no path of other nodes, and the listener's answer
// (server/nodes-seen.ts).
// Plain data, checked by session/channel/worker-guards.ts.

import type { NodesSeenRequest } from '@rsio/protocol/wire/messages';
import type { Status } from '@rsio/protocol/wire/status';

export interface NodesAsk extends NodesSeenRequest {
  readonly what: 'nodes-seen';
}

/** `silentMs`: as in NodesSeenAnswer; empty if the status is not OK. */
export interface NodesReply {
  readonly nodesStatus: Status;
  readonly sentence: string;
  readonly silentMs: readonly (number | null)[];
}
