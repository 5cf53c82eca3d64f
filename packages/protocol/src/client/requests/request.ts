// One request on its way through a trunk. Whoever makes it owns and re-uses the object; from `submit` until `requestDone` it belongs
// to the trunk. `buffer` is never touched by the trunk after `requestDone` (late copies are received elsewhere).

/** The attachment a request belongs to, as the trunk's request handling needs it (client/attachment.ts). */
export interface RequestAttachment {
  readonly phase: string;
  readonly handle: number;
  /** Its requests that were sent and are not answered, and the bytes they take of the window. */
  slotsHeld: number;
  bytesHeld: number;
  add(request: Request): void;
  answered(request: Request, status: number): void;
  /** Keeps a request that was answered STALE for the next handle; false: the answer is final. */
  keepStale(request: Request): boolean;
  forgetInFlight(): void;
}

export interface RequestEvents {
  /** Called exactly once per submit, never from within it. `status` is one of wire/status.ts. */
  requestDone(request: Request, status: number): void;
}

const NOTHING = Buffer.alloc(0);

export class Request {
  op = 0;
  flags = 0;
  /** First sector, and sectors (MiB with flag WIDE). */
  lba = 0;
  count = 0;
  /** Bytes of body this request moves, either way: the measure of window and path load. */
  bodyBytes = 0;
  /** WRITE: sent from here. READ: received here. */
  buffer: Buffer = NOTHING;
  bufferOffset = 0;
  /** The session's own requests (CLOSE): the handle; others go by their attachment's. */
  handle = 0;
  /** Message requests: aux number and body. */
  aux = 0;
  message: Buffer = NOTHING;
  /** Message requests, when done: bodies of the answer's frames, and the answer's aux. */
  answers: Buffer[] = [];
  answerAux = 0;
  events: RequestEvents | null = null;
  /** Whose it is; null: the session's own (LIST, OPEN, CLOSE). */
  attachment: RequestAttachment | null = null;
  submittedMs = 0;
  /** Kept by the trunk: the slot it occupies, -1 while it waits. */
  slot = -1;
  /** Kept by the overlap tracker: first sector after the range, 0: it is not tracked. */
  rangeEnd = 0;
  /** Kept by the replay log: whether it has room there, and how much. */
  hasLogRoom = false;
  logBytes = 0;
  logRanges = 0;
  /** Of a FLUSH: the mark that the replay log gave it when it was sent. */
  logMark = 0;
}
