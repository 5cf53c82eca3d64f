// One session of a replica: an attachment and the trunk of its server. A further session of the same replica is another Replica object.
// members.ts records whether the replica counts. Invariant: a session that was given up is never used again.

import type { Attachment } from '../../client/attachment.ts';
import type { Trunk } from '../../client/trunk.ts';

/**
 * Giving up a replica is safe for the buffers of its requests: after `trunk.abandon`, nothing reads or writes these buffers.
 * - Path.send copies the data of a WRITE into the output buffer of the path. Data that is still queued there is a copy.
 * - Slots.abandon empties the slots of the requests in flight. Resending, hedging and late copies find requests only in slots, so none of
 *   them sends an abandoned request again.
 * - Attachment.abandon empties the queues: waiting, stale, held by the replay log's admission, and those behind an overlapping change.
 * - ReplayLog.answered is the only code that copies from the buffer later, and runs only for the answer to a request in a slot. An answer
 *   to an abandoned request is ignored, and the log drops its reservation.
 * - Dispatcher.abandon ends the receiving of READ data that has begun (Decoder.discardBody); later answers go to a pooled buffer.
 *   client/abandon.test.ts overwrites such buffers and checks that the server gets none of these bytes.
 */
export class Replica {
  readonly identity: string;
  readonly attachment: Attachment;
  readonly trunk: Trunk;
  readonly server: string;
  /** True if requests are no longer sent to this session. */
  isGivenUp = false;

  constructor(identity: string, attachment: Attachment, trunk: Trunk, server: string) {
    this.identity = identity;
    this.attachment = attachment;
    this.trunk = trunk;
    this.server = server;
  }

  /** False if statuses from this session no longer come from the server, because the session has ended. */
  get isAnswering(): boolean {
    return !this.isGivenUp && !this.trunk.isEnded && this.attachment.phase !== 'failed' && this.attachment.phase !== 'closed';
  }

  /** True if the replica can execute a request now. */
  get isReady(): boolean {
    return !this.isGivenUp && !this.trunk.isEnded && this.attachment.standing === 'ready';
  }

  /**
   * True if the storage has all changes that the replica has answered (M10). False while the volume is reopened or the log is replayed,
   * because the storage may have begun a new incarnation that lacks some of these changes.
   */
  get hasRecovered(): boolean {
    const { phase } = this.attachment;
    return this.isAnswering && (phase === 'ready' || phase === 'resending');
  }
}
