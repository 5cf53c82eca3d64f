// A raw NVMe/TCP host for tests: builds PDUs by hand and reads answers. Invariant: it uses neither the codec nor the constants of the gate,
// so that gate and host cannot share a mistake.

export const HOST_NQN = 'nqn.2014-08.org.nvmexpress:uuid:11111111-2222-3333-4444-555555555555';
const HOST_ID = Buffer.from('0123456789abcdef0123456789abcdef', 'hex');

export interface Sqe {
  readonly opcode: number;
  readonly cid: number;
  readonly nsid?: number;
  readonly flags?: number;
  /** CDW10 to CDW15. */
  readonly dwords?: readonly number[];
  /** Data in the capsule. */
  readonly data?: Buffer;
  /** Length of the data that is not sent in the capsule. */
  readonly transferBytes?: number;
  readonly fabricsType?: number;
  /** Further bytes of the entry, such as those of Connect. */
  readonly patch?: (sqe: Buffer) => void;
}

export interface Digests {
  readonly header: boolean;
  readonly data: boolean;
}

const PLAIN: Digests = { header: false, data: false };

export function crc32c(bytes: Uint8Array): Buffer {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ 0x82f63b78;
  }
  const digest = Buffer.alloc(4);
  digest.writeUInt32LE(~crc >>> 0);
  return digest;
}

export function pdu(type: number, header: Buffer, data: Buffer, digests: Digests = PLAIN, flags = 0): Buffer {
  const common = Buffer.alloc(8);
  const head = Buffer.concat([common, header]);
  const pdo = head.length + (digests.header ? 4 : 0);
  common[0] = type;
  common[1] = flags | (digests.header ? 1 : 0) | (digests.data && data.length > 0 ? 2 : 0);
  common[2] = head.length;
  common[3] = data.length > 0 ? pdo : 0;
  common.writeUInt32LE(pdo + data.length + (digests.data && data.length > 0 ? 4 : 0), 4);
  common.copy(head);
  const parts: Buffer[] = [head];
  if (digests.header) parts.push(crc32c(head));
  parts.push(data);
  if (digests.data && data.length > 0) parts.push(crc32c(data));
  return Buffer.concat(parts);
}

export function icRequest(digests: Digests = PLAIN, version = 0): Buffer {
  const header = Buffer.alloc(120);
  header.writeUInt16LE(version, 0);
  header[3] = (digests.header ? 1 : 0) | (digests.data ? 2 : 0);
  return pdu(0, header, Buffer.alloc(0));
}

export function capsule(command: Sqe, digests: Digests = PLAIN): Buffer {
  const sqe = Buffer.alloc(64);
  const data = command.data ?? Buffer.alloc(0);
  sqe[0] = command.opcode;
  sqe[1] = command.flags ?? 0x40;
  sqe.writeUInt16LE(command.cid, 2);
  sqe.writeUInt32LE(command.nsid ?? 0, 4);
  if (command.fabricsType !== undefined) sqe[4] = command.fabricsType;
  sqe.writeUInt32LE(data.length > 0 ? data.length : (command.transferBytes ?? 0), 32);
  sqe[39] = data.length > 0 ? 0x01 : 0x5a;
  for (const [index, value] of (command.dwords ?? []).entries()) sqe.writeUInt32LE(value >>> 0, 40 + 4 * index);
  command.patch?.(sqe);
  return pdu(4, sqe, data, digests);
}

export function hostData(cid: number, tag: number, offset: number, data: Buffer, digests: Digests = PLAIN): Buffer {
  const header = Buffer.alloc(16);
  header.writeUInt16LE(cid, 0);
  header.writeUInt16LE(tag, 2);
  header.writeUInt32LE(offset, 4);
  header.writeUInt32LE(data.length, 8);
  return pdu(6, header, data, digests, 4);
}

export interface ConnectOptions {
  readonly qid?: number;
  readonly entries?: number;
  readonly keepAliveMs?: number;
  readonly cntlid?: number;
  readonly nqn: string;
  readonly hostNqn?: string;
  readonly hostId?: Buffer;
  readonly flowControlOff?: boolean;
  readonly cid?: number;
}

export function connectCommand(options: ConnectOptions): Sqe {
  const { qid = 0, entries = 32, keepAliveMs = 5000, cntlid = 0xffff, nqn, hostNqn = HOST_NQN, flowControlOff = false } = options;
  const data = Buffer.alloc(1024);
  (options.hostId ?? HOST_ID).copy(data);
  data.writeUInt16LE(cntlid, 16);
  data.write(nqn, 256);
  data.write(hostNqn, 512);
  return {
    opcode: 0x7f,
    fabricsType: 0x01,
    cid: options.cid ?? 0,
    data,
    patch: (sqe) => {
      sqe.writeUInt16LE(qid, 42);
      sqe.writeUInt16LE(entries - 1, 44);
      sqe[46] = flowControlOff ? 4 : 0;
      sqe.writeUInt32LE(keepAliveMs, 48);
    },
  };
}

/** What a gate has sent. */
export type Answer =
  | { readonly kind: 'ic'; readonly digests: number; readonly dataMaxBytes: number }
  | {
      readonly kind: 'done';
      readonly cid: number;
      readonly status: number;
      readonly low: number;
      readonly high: number;
      readonly sqhd: number;
    }
  | { readonly kind: 'data'; readonly cid: number; readonly data: Buffer; readonly isSuccess: boolean }
  | { readonly kind: 'r2t'; readonly cid: number; readonly tag: number; readonly offset: number; readonly bytes: number }
  | { readonly kind: 'term'; readonly reason: number; readonly information: number };

/** Reads all PDUs of `bytes`, which must be whole. Throws if a digest is wrong. */
export function answers(bytes: Buffer): Answer[] {
  const found: Answer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const plen = bytes.readUInt32LE(at + 4);
    found.push(answer(bytes.subarray(at, at + plen)));
    at += plen;
  }
  return found;
}

function answer(bytes: Buffer): Answer {
  const headerBytes = bytes[2]!;
  const flags = bytes[1]!;
  const isChecked = bytes[0] !== 1 && bytes[0] !== 3;
  if (isChecked && (flags & 1) !== 0 && !crc32c(bytes.subarray(0, headerBytes)).equals(bytes.subarray(headerBytes, headerBytes + 4)))
    throw new Error('Wrong header digest');
  switch (bytes[0]) {
    case 1:
      return { kind: 'ic', digests: bytes[11]!, dataMaxBytes: bytes.readUInt32LE(12) };
    case 3:
      return { kind: 'term', reason: bytes.readUInt16LE(8), information: bytes.readUInt32LE(10) };
    case 5: {
      const [low, high] = [bytes.readUInt32LE(8), bytes.readUInt32LE(12)];
      return { kind: 'done', cid: bytes.readUInt16LE(20), status: bytes.readUInt16LE(22) >>> 1, low, high, sqhd: bytes.readUInt16LE(16) };
    }
    case 7: {
      const end = bytes.length - ((flags & 2) === 0 ? 0 : 4);
      const data = Buffer.from(bytes.subarray(bytes[3], end));
      if (end < bytes.length && !crc32c(data).equals(bytes.subarray(end))) throw new Error('Wrong data digest');
      if (bytes.readUInt32LE(16) !== data.length) throw new Error('Wrong length of data');
      return { kind: 'data', cid: bytes.readUInt16LE(8), data, isSuccess: (flags & 8) !== 0 };
    }
    case 9: {
      const [offset, length] = [bytes.readUInt32LE(12), bytes.readUInt32LE(16)];
      return { kind: 'r2t', cid: bytes.readUInt16LE(8), tag: bytes.readUInt16LE(10), offset, bytes: length };
    }
    default:
      throw new Error(`A PDU of type ${bytes[0]}`);
  }
}
