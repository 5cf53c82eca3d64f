// One session of a replica: an attachment and the trunk of its server. Another session of the same replica is another Replica. Whether the
// replica counts belongs to members.ts.
// Invariant: a session that was given up is never used again.

import type { Attachment } from '../../client/attachment.ts';
import type { Trunk } from '../../client/trunk.ts';

/**
 * Giving a replica up is safe for the buffers of its requests: after `trunk.abandon`, no byte of them is read or written any more.
 * - Path.send copies the data of a WRITE into the output buffer of the path. Data that is still queued there is a copy.
 * - Slots.abandon empties the slots of the requests in flight. Resending, hedging and late copies take a request from its slot only, so
 *   that none of them sends it again.
 * - Attachment.abandon empties the queues: waiting, stale, held by the replay log's admission, and those behind an overlapping change.
 * - ReplayLog.answered is the only code that copies from the buffer later. It runs when an answer is the result of a slot; the answer to an
 *   abandoned request is an extra one. The log drops its reservation.
 * - Dispatcher.abandon ends the receiving of READ data that has begun (Decoder.discardBody); later answers go to a pooled buffer.
 * client/abandon.test.ts overwrites such buffers and looks at what the server gets.
 */
export class Replica {
  /** Identity of the replica's data. */
  readonly identity: string;
  readonly attachment: Attachment;
  readonly trunk: Trunk;
  /** Name of its server, for sentences. */
  readonly server: string;
  /** True if no request is sent to this session any more. */
  isGivenUp = false;

  constructor(identity: string, attachment: Attachment, trunk: Trunk, server: string) {
    this.identity = identity;
    this.attachment = attachment;
    this.trunk = trunk;
    this.server = server;
  }

  /** False if answers say nothing about the replica any more. */
  get isAnswering(): boolean {
    return !this.isGivenUp && !this.trunk.isEnded && this.attachment.phase !== 'failed' && this.attachment.phase !== 'closed';
  }

  /** True if the replica can execute a request now. */
  get isReady(): boolean {
    return !this.isGivenUp && !this.trunk.isEnded && this.attachment.standing === 'ready';
  }

  /**
   * True if what the replica has answered is there (M10). While the volume is opened again or the log is replayed, the storage may be a
   * new incarnation that lacks it.
   */
  get hasRecovered(): boolean {
    const { phase } = this.attachment;
    return this.isAnswering && (phase === 'ready' || phase === 'resending');
  }
}
