// The only table of frames. An entry has the number, name, direction, body and answer of a frame, and says whether a request may be
// executed twice. The codec, log names, statistics, documents and fuzzers all use this table. Numbers are never reused.

/** `io`: the 16-byte header has lba and count. `message`: a MessagePack body of `length` bytes follows the header. */
export type FrameShape = 'io' | 'message';
/** Which frame has a body of count x 512 bytes: none, the request, or an OK answer. */
export type IoBody = 'none' | 'request' | 'answer';

export interface FrameEntry {
  readonly op: number;
  readonly name: string;
  readonly from: 'client' | 'server' | 'both';
  readonly shape: FrameShape;
  readonly body: IoBody;
  /** Op of the answer; null if the frame has no answer. For a slotted request: its own op with the bit ANSWER set. */
  readonly answeredBy: number | null;
  /** True if the request occupies a slot and uses the fields handle, slot and seq of the header. */
  readonly isSlotted: boolean;
  /**
   * What happens to a copy of a completed request: it is executed again (`copy`) or answered from the slot (`never`). `-` if the frame is
   * not a slotted request.
   */
  readonly again: 'copy' | 'never' | '-';
  readonly since: number;
}

export const ANSWER = 0x80;

export const OP = {
  HELLO: 0x01,
  CHALLENGE: 0x02,
  PROOF: 0x03,
  WELCOME: 0x04,
  REFUSE: 0x05,
  BYE: 0x06,
  START_TLS: 0x07,
  PING: 0x10,
  PONG: 0x11,
  FENCE: 0x12,
  FENCED: 0x13,
  NOTIFY: 0x14,
  REVOKE: 0x15,
  REVOKED: 0x16,
  LIST: 0x20,
  OPEN: 0x21,
  CLOSE: 0x22,
  READ: 0x30,
  WRITE: 0x31,
  FLUSH: 0x32,
  DISCARD: 0x33,
  ZERO: 0x34,
  IOCTL: 0x35,
  ADMIN: 0x36,
  VOTE: 0x37,
} as const;

export const FLAG = {
  /** For WRITE, ZERO and DISCARD: the change must be durable before the request is answered. */
  FUA: 0x01,
  /** Another answer frame for the same request follows. */
  MORE: 0x02,
  /** For DISCARD and ZERO: the count is in MiB. */
  WIDE: 0x04,
  /** For ZERO: the range stays allocated. */
  NO_HOLE: 0x08,
} as const;

function message(op: number, name: string, from: FrameEntry['from'], answeredBy: number | null): FrameEntry {
  return { op, name, from, shape: 'message', body: 'none', answeredBy, isSlotted: false, again: '-', since: 1 };
}

function request(op: number, name: string, shape: FrameShape, body: IoBody, again: 'copy' | 'never'): FrameEntry {
  return { op, name, from: 'client', shape, body, answeredBy: op | ANSWER, isSlotted: true, again, since: 1 };
}

export const FRAMES: readonly FrameEntry[] = [
  message(OP.HELLO, 'HELLO', 'client', OP.CHALLENGE),
  message(OP.CHALLENGE, 'CHALLENGE', 'server', OP.PROOF),
  message(OP.PROOF, 'PROOF', 'client', OP.WELCOME),
  message(OP.WELCOME, 'WELCOME', 'server', null),
  message(OP.REFUSE, 'REFUSE', 'server', null),
  message(OP.BYE, 'BYE', 'both', null),
  message(OP.START_TLS, 'START_TLS', 'server', null),
  message(OP.PING, 'PING', 'both', OP.PONG),
  message(OP.PONG, 'PONG', 'both', null),
  message(OP.FENCE, 'FENCE', 'client', OP.FENCED),
  message(OP.FENCED, 'FENCED', 'server', null),
  message(OP.NOTIFY, 'NOTIFY', 'server', null),
  message(OP.REVOKE, 'REVOKE', 'client', OP.REVOKED),
  message(OP.REVOKED, 'REVOKED', 'server', null),
  request(OP.LIST, 'LIST', 'message', 'none', 'copy'),
  request(OP.OPEN, 'OPEN', 'message', 'none', 'never'),
  request(OP.CLOSE, 'CLOSE', 'message', 'none', 'never'),
  request(OP.READ, 'READ', 'io', 'answer', 'copy'),
  request(OP.WRITE, 'WRITE', 'io', 'request', 'never'),
  request(OP.FLUSH, 'FLUSH', 'io', 'none', 'never'),
  request(OP.DISCARD, 'DISCARD', 'io', 'none', 'never'),
  request(OP.ZERO, 'ZERO', 'io', 'none', 'never'),
  request(OP.IOCTL, 'IOCTL', 'message', 'none', 'copy'),
  request(OP.ADMIN, 'ADMIN', 'message', 'none', 'never'),
  request(OP.VOTE, 'VOTE', 'message', 'none', 'never'),
];

/** The entries, indexed by op number without the answer bit, so that a lookup on the data path is a single array access. */
const BY_OP: readonly (FrameEntry | undefined)[] = (() => {
  const table: (FrameEntry | undefined)[] = new Array<FrameEntry | undefined>(ANSWER).fill(undefined);
  for (const entry of FRAMES) table[entry.op] = entry;
  return table;
})();

/** Returns the entry of an op, with or without the answer bit; undefined for an unknown op. */
export function frameEntry(op: number): FrameEntry | undefined {
  return BY_OP[op & ~ANSWER];
}

/** Returns a name for logs, such as `READ`, `READ answer` or `op 0x7f`. */
export function frameName(op: number): string {
  const entry = frameEntry(op);
  if (entry === undefined) return `op 0x${op.toString(16)}`;
  return (op & ANSWER) === 0 ? entry.name : `${entry.name} answer`;
}
