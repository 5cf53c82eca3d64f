// The interface through which a volume of the client sends requests: to one attachment on one trunk (single-target.ts), or to the replicas
// of a mirror. Invariant: when `requestDone` is called or `abandon` returns the request, the caller owns the request again, and nothing
// else refers to the request's buffer.

import type { HeldBy, StorageReport } from '../link/heartbeat.ts';
import type { OpenAnswer } from '../wire/messages.ts';
import type { Attachment, AttachmentEvents, Standing } from './attachment.ts';
import type { Request } from './requests/request.ts';
import type { SessionAnswer } from './session-call.ts';
import type { Trunk } from './trunk.ts';

/**
 * The fill level of the replay log. For a mirror: the fill level of the fullest log among the logs of its replicas. Times are in monotonic
 * ms.
 */
export interface LogFacts {
  /** Bytes of the unflushed WRITEs, and of the ranges of unflushed ZEROs and DISCARDs. */
  readonly dataBytes: number;
  readonly rangeBytes: number;
  readonly usedBytes: number;
  readonly sizeBytes: number;
  /** Time of the oldest unflushed change; null if there is none. */
  readonly sinceMs: number | null;
  readonly flushedMs: number | null;
}

export interface VolumeTarget {
  readonly name: string;
  readonly universe: number;
  /** The mode that the client has requested; `volume.readonly` is the mode that was granted. */
  readonly readonly: boolean;
  /** Sizes, ids and rights of the volume; null before it is open. `sizeBytes` never decreases. */
  readonly volume: OpenAnswer | null;
  /** The last incarnation that has every acknowledged write, as in Attachment. For a mirror: the text that `mirrorLife` returns. */
  readonly recoveredLife: string | null;
  readonly standing: Standing;
  /** Text that tells the user what the target waits for or why it has failed; '' if it is ready. */
  readonly reason: string;
  /** Number of live paths that a large I/O can use; 0 if nothing can be sent. */
  readonly pathCount: number;
  readonly waitsForSpace: boolean;
  /** Reason why the server holds back I/O, such as a limit; null if the server does not hold back I/O. */
  readonly heldBy: HeldBy | null;
  /** The newest report of the server about its storage (see Trunk). */
  readonly storageReport: StorageReport | null;
  /** The fill level of the replay log; null if there is no log, because changes are durable when they are answered. */
  readonly log: LogFacts | null;
  /** True if a FLUSH sent now would empty the log. */
  readonly canFlushLog: boolean;
  /** The attachments, each on the trunk with the same index. */
  readonly attachments: readonly Attachment[];
  readonly trunks: readonly Trunk[];
  events: AttachmentEvents | null;
  /** Queues a FLUSH that empties the log, unless the log is empty or is already being flushed. */
  flushLog(nowMs: number): void;
  /** Accepts a READ, WRITE, FLUSH, DISCARD or ZERO. `requestDone` is never called from within `submit`. */
  submit(request: Request, nowMs: number): void;
  /** Sends an IOCTL. `answered` is called once, after this method has returned. */
  ioctl(aux: number, body: Buffer, answered: (answer: SessionAnswer) => void): void;
  /** Abandons all requests and returns them unanswered. */
  abandon(): readonly Request[];
}
