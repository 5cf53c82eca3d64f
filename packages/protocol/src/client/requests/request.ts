// One request on its way through a trunk, and the length of the segments into which the client cuts large I/O.
// The object belongs to the code that created it, which reuses it; from `submit` until `requestDone` it belongs to the trunk.
// Invariant: the trunk never touches `buffer` after `requestDone`; late copies are received elsewhere.

import { SEGMENT_BYTES } from '../../link/limits.ts';
import { SEGMENT_MIN_BYTES } from './limits.ts';

/** The part of an attachment (client/attachment.ts) that request handling needs. */
export interface RequestAttachment {
  readonly phase: string;
  readonly handle: number;
  /** Number of the attachment's requests in flight (`slotsHeld`), and the bytes of the window that they use (`bytesHeld`). */
  slotsHeld: number;
  bytesHeld: number;
  add(request: Request): void;
  answered(request: Request, status: number): void;
  /** Keeps a request that was answered STALE for the next handle. Returns false if the answer is final. */
  keepStale(request: Request): boolean;
  forgetInFlight(): void;
}

export interface RequestEvents {
  /** Called exactly once for each submit, never from within it. `status` is one of wire/status.ts. */
  requestDone(request: Request, status: number): void;
}

const NOTHING = Buffer.alloc(0);

export class Request {
  op = 0;
  flags = 0;
  /** First sector, and number of sectors (with flag WIDE: number of MiB). */
  lba = 0;
  count = 0;
  /** Body bytes that this request moves in either direction. They count towards the window and towards the load of a path. */
  bodyBytes = 0;
  /** Data of a WRITE, or destination for the data of a READ. */
  buffer: Buffer = NOTHING;
  bufferOffset = 0;
  /** The handle, for the session's own requests (CLOSE); other requests use the handle of their attachment. */
  handle = 0;
  /** For message requests: aux number and body. */
  aux = 0;
  message: Buffer = NOTHING;
  /** For message requests that are done: bodies of the answer's frames, and the answer's aux number. */
  answers: Buffer[] = [];
  answerAux = 0;
  events: RequestEvents | null = null;
  /** The attachment; null for a request of the session itself (LIST, OPEN, CLOSE). */
  attachment: RequestAttachment | null = null;
  submittedMs = 0;
  /** Set by the trunk: the slot that the request occupies, or -1 while the request is waiting. */
  slot = -1;
  /** Set by the overlap tracker: first sector after the range, or 0 if the request is not tracked. */
  rangeEnd = 0;
  /** Set by the replay log: true if room is reserved for the request. The next two fields say how much. */
  hasLogRoom = false;
  logBytes = 0;
  logRanges = 0;
  /** For a FLUSH: the mark that the replay log gave it when it was sent. */
  logMark = 0;
}

/** Length of the segments of a large I/O: short enough to use every path, unless a segment would not be worth the cost of a request. */
export function segmentBytes(ioBytes: number, pathCount: number): number {
  return ioBytes < SEGMENT_BYTES * pathCount ? SEGMENT_MIN_BYTES : SEGMENT_BYTES;
}
