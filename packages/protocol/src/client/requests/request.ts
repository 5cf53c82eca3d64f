// One request on its way through a trunk, and the length of the segments into which the client cuts large I/O. A request belongs to the
// trunk from `submit` until `requestDone`. At any other time, the request belongs to the code that created it and may be reused by that
// code. Invariant: the trunk never touches `buffer` after `requestDone`, not even when answers arrive later.

import { SEGMENT_BYTES } from '../../link/limits.ts';
import { SEGMENT_MIN_BYTES } from '../limits.ts';

/** The part of an attachment (client/attachment.ts) that is needed for handling requests. */
export interface RequestAttachment {
  readonly phase: string;
  readonly handle: number;
  /** Number of the attachment's requests in flight (`slotsHeld`), and the bytes of the window that they use (`bytesHeld`). */
  slotsHeld: number;
  bytesHeld: number;
  /** Durations of the volume's READs, and the time in ms after which a READ is late. */
  readonly readTimes: { add(ms: number): void; readonly lateMs: number };
  add(request: Request): void;
  answered(request: Request, status: number): void;
  keepStale(request: Request): boolean;
  forgetInFlight(): void;
  growQuota(): void;
}

export interface RequestEvents {
  /** Called exactly once for each `submit`, and only after `submit` has returned. */
  requestDone(request: Request, status: number): void;
}

const NOTHING = Buffer.alloc(0);

export class Request {
  op = 0;
  flags = 0;
  /** `lba`: first sector. `count`: number of sectors, or number of MiB if the flag WIDE is set. */
  lba = 0;
  count = 0;
  /** Body bytes that this request moves in either direction. These bytes count towards the window and towards the load of a path. */
  bodyBytes = 0;
  /** Data of a WRITE, or destination for the data of a READ. */
  buffer: Buffer = NOTHING;
  bufferOffset = 0;
  /** For a READ: true if the owner accepts the data in the receive buffer (`received`) when it arrives in one piece. */
  takesReceived = false;
  /**
   * Only during `requestDone` of a READ with `takesReceived`: the buffer that has the data from `receivedOffset` on; null if the data is in
   * `buffer`. The HEADER_BYTES in front of the data also belong to the owner. After `requestDone`, the path receives into this buffer.
   */
  received: Buffer | null = null;
  receivedOffset = 0;
  /** Handle named by a request of the session itself (CLOSE); other requests use the handle of their attachment. */
  handle = 0;
  /** Aux number and body of a message request. */
  aux = 0;
  message: Buffer = NOTHING;
  /** Answer to a message request: the bodies of its frames, and its aux number. */
  answers: Buffer[] = [];
  answerAux = 0;
  events: RequestEvents | null = null;
  /** The attachment; null for a request of the session itself (LIST, OPEN, CLOSE). */
  attachment: RequestAttachment | null = null;
  submittedMs = 0;
  /** Set by the trunk: the slot that the request occupies, or -1 while the request is waiting. */
  slot = -1;
  /** Set by the overlap tracker: first sector after the range of the request, or 0 if the request is not tracked. */
  rangeEnd = 0;
  /** Set by the replay log: true if room is reserved for the request; `logBytes` and `logRanges` say how much. */
  hasLogRoom = false;
  logBytes = 0;
  logRanges = 0;
  /** For a FLUSH: the mark that the replay log assigned when the FLUSH was sent. */
  logMark = 0;
}

/**
 * Length of the segments into which a large I/O is cut. Segments should be short enough for every path to get one, but long enough to be
 * worth a separate request.
 */
export function segmentBytes(ioBytes: number, pathCount: number): number {
  return ioBytes < SEGMENT_BYTES * pathCount ? SEGMENT_MIN_BYTES : SEGMENT_BYTES;
}
