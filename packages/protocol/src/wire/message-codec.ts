// Encodes and decodes the bodies of message frames. Each message has a schema, and the order of its fields is their order on the wire.
// Invariants: encoding and decoding use the same guards, so that a peer never refuses a message that was sent. Received values have the
// required form. An error names the field and never repeats its content.

import { Packr } from 'msgpackr';
import { assert } from '@rsio/common/lib/assert';
import { RsError } from '@rsio/common/lib/errors';
import { BODY_MAX_BYTES, SERVERID_MAX, VOLUME_MAX_BYTES } from '@rsio/common/lib/limits';
import {
  ADMIN_ANSWER_MAX_BYTES,
  ADMIN_ID_MAX_CHARS,
  ADMIN_PARAMS_MAX_BYTES,
  ADMIN_PART_MAX_BYTES,
  DATA_PROCESSES_MAX,
  DEAD_PATHS_NAMED_MAX,
  EXTENTS_PER_ANSWER_MAX,
  FEATURES_OFFERED_MAX,
  HOLDERS_NAMED_MAX,
  INTERFACES_NAMED_MAX,
  LBA_MAX,
  MAC_BYTES,
  MESSAGE_MAX_BYTES,
  NODES_SEEN_MAX,
  NONCE_BYTES,
  GATE_RECORD_MAX_BYTES,
  REVOKE_TAGS_MAX,
  SENTENCE_MAX_CHARS,
  SESSION_ID_BYTES,
  SHARE_BYTES,
  SHORT_TEXT_MAX_CHARS,
  SLOTS_RESERVED,
  SNAPSHOTS_PER_ANSWER_MAX,
  VERSIONS_OFFERED_MAX,
  VOLUMES_PER_FRAME_MAX,
} from './limits.ts';
import {
  addedLater,
  bytesOf,
  bytesUpTo,
  clientInstance,
  counter,
  errorCode,
  featureName,
  firstOf,
  flag,
  type Guard,
  integer,
  ipAddress,
  listenerInstance,
  listOf,
  milliseconds,
  mirrorId,
  name,
  oneOf,
  orNull,
  positiveNumber,
  record,
  servedName,
  setFlag,
  type Schema,
  termNumber,
  text,
  token,
  tokenUpTo,
  universe,
} from './guards.ts';
import { scanValue } from './message-scan.ts';
import {
  type AdminAnswer,
  type AdminCall,
  type AdminRest,
  type Challenge,
  type ChangesRequest,
  EXTENT,
  type ExtentsAnswer,
  type ExtentsRequest,
  type FailureAnswer,
  type Farewell,
  type Heartbeat,
  type Hello,
  type Holder,
  type IdentifyAnswer,
  type ListAnswer,
  type NodesSeenAnswer,
  type NodesSeenRequest,
  type OpenAnswer,
  type OpenRequest,
  type OpenTerm,
  type Proof,
  type RecordAnswer,
  type RecordReadRequest,
  type RecordWriteRequest,
  type Refuse,
  type Revoke,
  type ServerInterface,
  type SnapshotEntry,
  type SnapshotsAnswer,
  type SnapshotsRequest,
  TAKE,
  type Take,
  type VolumeEntry,
  type Welcome,
} from './messages.ts';

const U16_MAX = 0xffff;
const U32_MAX = 0xffffffff;

// MessagePack maps are decoded to Map objects, in which no key has a special meaning. Numbers above 2^32 may arrive as float64 or as
// uint64.
const msgpack = new Packr({ useRecords: false, mapsAsObjects: false, variableMapSize: true, int64AsType: 'number' });

interface Codec<T> {
  /** Throws E_INTERNAL if the message does not have the required form. */
  readonly encode: (message: T) => Buffer;
  /** Reads a body of `length` bytes at `offset`. The message shares no memory with `bytes`. Throws E_PROTOCOL. */
  readonly decode: (bytes: Buffer, offset: number, length: number) => T;
  /** Checks a message that arrived in another encoding, such as JSON between processes. */
  readonly guard: Guard<T>;
}

/** Creates the codec of one message. Exported for the discovery datagrams (explorer/discovery-datagram.ts). */
export function codec<T>(label: string, schema: Schema<T>): Codec<T> {
  const guard: Guard<T> = record(schema, ': field ');
  return {
    encode: (message) => pack(guard, label, message),
    decode: (bytes, offset, length) => guard(unpack(label, bytes, offset, length), label),
    guard,
  };
}

function unpack(label: string, bytes: Buffer, offset: number, length: number): unknown {
  try {
    if (scanValue(bytes, offset, offset + length) === offset + length) return msgpack.unpack(bytes.subarray(offset, offset + length));
  } catch {
    // Drop the decoder's own error, because it would repeat received data.
  }
  throw new RsError('E_PROTOCOL', `${label}: body of ${length} bytes must be one MessagePack map without extension types`);
}

function pack<T>(guard: Guard<T>, label: string, message: T): Buffer {
  try {
    return msgpack.pack(guard(message, label));
  } catch (thrown) {
    throw thrown instanceof RsError ? new RsError('E_INTERNAL', thrown.message, {}, thrown) : thrown;
  }
}

const port = integer(1, U16_MAX);
const serverInterface = record<ServerInterface>({ name, address: ipAddress, port });
const interfaces = listOf(serverInterface, 0, INTERFACES_NAMED_MAX, 'interfaces');
const features = listOf(featureName, 0, FEATURES_OFFERED_MAX, 'feature names');
const holder = record<Holder>({ node: name, address: text(SHORT_TEXT_MAX_CHARS), sinceMs: milliseconds });
const holders = firstOf(holder, HOLDERS_NAMED_MAX, 'holders');
const blockSize = oneOf(512, 4096);
const volumeBytes = integer(0, VOLUME_MAX_BYTES);
const sentence = text(SENTENCE_MAX_CHARS);
const version = integer(1, U16_MAX);
const nonce = bytesOf(NONCE_BYTES);
const share = addedLater<Uint8Array | undefined>(bytesOf(SHARE_BYTES), undefined);
const sessionId = bytesOf(SESSION_ID_BYTES);
const pathNumber = integer(0, U32_MAX);

export const { encode: encodeHello, decode: decodeHello } = codec<Hello>('HELLO', {
  versions: listOf(version, 1, VERSIONS_OFFERED_MAX, 'versions'),
  features,
  namespaceid: integer(0, U16_MAX),
  node: name,
  instance: clientInstance,
  machine: token,
  boot: token,
  process: addedLater(orNull(token), null),
  dataProcess: positiveNumber(DATA_PROCESSES_MAX),
  interface: name,
  nonce,
  share,
});

export const { encode: encodeChallenge, decode: decodeChallenge } = codec<Challenge>('CHALLENGE', {
  version,
  features,
  server: name,
  serverid: integer(0, SERVERID_MAX),
  instance: listenerInstance,
  nonce,
  share,
});

export const { encode: encodeProof, decode: decodeProof } = codec<Proof>('PROOF', {
  session: orNull(sessionId),
  dead: listOf(pathNumber, 0, DEAD_PATHS_NAMED_MAX, 'path numbers'),
});

export const { encode: encodeWelcome, decode: decodeWelcome } = codec<Welcome>('WELCOME', {
  session: sessionId,
  path: pathNumber,
  slots: integer(SLOTS_RESERVED + 1, U16_MAX),
  windowBytes: integer(2 * BODY_MAX_BYTES, Number.MAX_SAFE_INTEGER),
  interfaces,
  generation: counter,
  release: addedLater<string | undefined>(text(SHORT_TEXT_MAX_CHARS), undefined),
  wallMs: addedLater<number | undefined>(counter, undefined),
  keyUsed: addedLater<0 | 1 | undefined>(oneOf(0, 1), undefined),
});

export const { encode: encodeFarewell, decode: decodeFarewell } = codec<Farewell>('REFUSE or BYE', { code: errorCode, sentence });

export const { encode: encodeRefuse, decode: decodeRefuse } = codec<Refuse>('REFUSE', {
  code: errorCode,
  sentence,
  mac: addedLater(orNull(bytesOf(MAC_BYTES)), null),
});

export const { encode: encodeHeartbeat, decode: decodeHeartbeat } = codec<Heartbeat>('PING or PONG', {
  number: counter,
  clockMs: milliseconds,
  heard: counter,
  oldestMs: milliseconds,
  generation: counter,
});

const tagNumbers = listOf(integer(0, U16_MAX), 0, 2 * REVOKE_TAGS_MAX, 'numbers');

const tags: Guard<number[]> = (value, field) => {
  const numbers = tagNumbers(value, field);
  if (numbers.length % 2 === 0) return numbers;
  throw new RsError('E_PROTOCOL', `${field} must be pairs of slot and seq`);
};

export const { encode: encodeRevoke, decode: decodeRevoke } = codec<Revoke>('REVOKE', { tags });

/** A peer without shared pools sends neither. */
const poolGeneration = addedLater<number | undefined>(counter, undefined);
const poolId = addedLater<string | undefined>(token, undefined);

const volume = record<VolumeEntry>({
  name,
  id: token,
  universe,
  sizeBytes: volumeBytes,
  blockSizeBytes: blockSize,
  readonly: flag,
  shared: flag,
  holders,
  waitsForSpace: setFlag,
  heldBy: addedLater<string | undefined>(text(SHORT_TEXT_MAX_CHARS), undefined),
  mirror: addedLater<string | undefined>(mirrorId, undefined),
  poolGeneration,
  poolId,
  follows: addedLater<string | undefined>(name, undefined),
});

const listAnswer = codec<ListAnswer>('LIST answer', {
  generation: counter,
  interfaces,
  volumes: listOf(volume, 0, VOLUMES_PER_FRAME_MAX, 'volumes'),
});

export const decodeListAnswer = listAnswer.decode;

/**
 * Returns the bodies of the frames that answer a LIST. Each body has at most MESSAGE_MAX_BYTES. All frames but the last must be sent with
 * the flag MORE. Only the first body has the interfaces; the client concatenates the lists of volumes.
 */
export function encodeListAnswers(answer: ListAnswer): Buffer[] {
  const bodies: Buffer[] = [];
  let part: ListAnswer = { ...answer, volumes: [] };
  let volumes: VolumeEntry[] = [];
  // Add two bytes: the number of volumes takes one byte here, but three bytes if there are more than 15 volumes.
  let filledBytes = listAnswer.encode(part).length + 2;
  for (const entry of answer.volumes) {
    const entryBytes = pack(volume, 'LIST answer: volume', entry).length;
    if (filledBytes + entryBytes > MESSAGE_MAX_BYTES) {
      bodies.push(listAnswer.encode({ ...part, volumes }));
      part = { ...part, interfaces: [] };
      volumes = [];
      filledBytes = listAnswer.encode(part).length + 2;
    }
    volumes.push(entry);
    filledBytes += entryBytes;
  }
  bodies.push(listAnswer.encode({ ...part, volumes }));
  for (const body of bodies) assert(body.length <= MESSAGE_MAX_BYTES, 'A LIST answer is larger than a message may be');
  return bodies;
}

const openTerm = orNull(record<OpenTerm>({ mirror: mirrorId, number: termNumber }));

const openRequest = codec<Omit<OpenRequest, 'mirror'> & { readonly mirror: OpenTerm | null | undefined }>('OPEN', {
  name: servedName,
  universe,
  readonly: flag,
  take: addedLater(oneOf<Take>(TAKE.NO, TAKE.OVER, TAKE.FORCE), TAKE.NO),
  resume: addedLater(orNull(token), null),
  // Sent only for a replica, so that the OPEN of a plain volume is the same as from a client that does not support mirrors.
  mirror: (value, field) => (value === undefined ? undefined : (openTerm(value, field) ?? undefined)),
});

export const openRequestGuard: Guard<OpenRequest> = (value, field) => {
  const { mirror = null, ...plain } = openRequest.guard(value, field);
  return { ...plain, mirror };
};

export function decodeOpenRequest(bytes: Buffer, offset: number, length: number): OpenRequest {
  const { mirror = null, ...plain } = openRequest.decode(bytes, offset, length);
  return { ...plain, mirror };
}

/** Encodes an OPEN. By default, the OPEN does not take over a hold, does not resume a hold, and opens a plain volume. */
export function encodeOpenRequest(request: Omit<OpenRequest, 'take' | 'resume' | 'mirror'> & Partial<OpenRequest>): Buffer {
  return openRequest.encode({ take: TAKE.NO, resume: null, mirror: null, ...request });
}

export const { encode: encodeOpenAnswer, decode: decodeOpenAnswer } = codec<OpenAnswer>('OPEN answer', {
  handle: integer(0, U16_MAX),
  id: token,
  sizeBytes: volumeBytes,
  blockSizeBytes: blockSize,
  readonly: flag,
  shared: flag,
  canDiscard: flag,
  identity: token,
  life: token,
  poolGeneration,
  poolId,
});

export const { encode: encodeFailureAnswer, decode: decodeFailureAnswer } = codec<FailureAnswer>('failure answer', { sentence, holders });

export const { encode: encodeIdentifyAnswer, decode: decodeIdentifyAnswer } = codec<IdentifyAnswer>('IDENTIFY answer', {
  name: servedName,
  id: token,
  type: token,
  sizeBytes: volumeBytes,
  blockSizeBytes: blockSize,
  readonly: flag,
  canDiscard: flag,
  canExtents: flag,
});

export const { encode: encodeExtentsRequest, decode: decodeExtentsRequest } = codec<ExtentsRequest>('EXTENTS', {
  lba: integer(0, LBA_MAX),
  sectors: integer(1, LBA_MAX),
});

const extentSectors = integer(1, LBA_MAX);
const extentState = oneOf(EXTENT.DATA, EXTENT.HOLE);
const extentNumbers = listOf(counter, 2, 2 * EXTENTS_PER_ANSWER_MAX, 'numbers');

/** A flat list of pairs; a pair consists of a number of sectors and a state. */
const extents: Guard<number[]> = (value, field) => {
  const numbers = extentNumbers(value, field);
  numbers.forEach((number, index) => (index % 2 === 0 ? extentSectors : extentState)(number, `${field}[${index}]`));
  // Refuse an odd number of elements, because the last pair would lack its state.
  if (numbers.length % 2 !== 0) extentState(undefined, `${field}[${numbers.length}]`);
  return numbers;
};

export const { encode: encodeExtentsAnswer, decode: decodeExtentsAnswer } = codec<ExtentsAnswer>('EXTENTS answer', { extents });

export const { encode: encodeSnapshotsRequest, decode: decodeSnapshotsRequest } = codec<SnapshotsRequest>('SNAPSHOTS', {
  after: orNull(token),
});

const snapshotEntry = record<SnapshotEntry>({ name, id: token });

export const { encode: encodeSnapshotsAnswer, decode: decodeSnapshotsAnswer } = codec<SnapshotsAnswer>('SNAPSHOTS answer', {
  snapshots: listOf(snapshotEntry, 0, SNAPSHOTS_PER_ANSWER_MAX, 'snapshots'),
  hasMore: flag,
});

export const { encode: encodeChangesRequest, decode: decodeChangesRequest } = codec<ChangesRequest>('CHANGES', {
  since: token,
  lba: integer(0, LBA_MAX),
  sectors: integer(1, LBA_MAX),
});

export const { encode: encodeRecordReadRequest, decode: decodeRecordReadRequest } = codec<RecordReadRequest>('RECORD_READ', { id: token });

export const { encode: encodeRecordAnswer, decode: decodeRecordAnswer } = codec<RecordAnswer>('RECORD_READ answer', {
  record: orNull(bytesUpTo(GATE_RECORD_MAX_BYTES)),
});

export const { encode: encodeRecordWriteRequest, decode: decodeRecordWriteRequest } = codec<RecordWriteRequest>('RECORD_WRITE', {
  record: bytesUpTo(GATE_RECORD_MAX_BYTES),
});

export const {
  encode: encodeNodesSeenRequest,
  decode: decodeNodesSeenRequest,
  guard: nodesSeen,
} = codec<NodesSeenRequest>('NODES_SEEN', { id: token, nodes: listOf(name, 1, NODES_SEEN_MAX, 'nodes') });

export const { encode: encodeNodesSeenAnswer, decode: decodeNodesSeenAnswer } = codec<NodesSeenAnswer>('NODES_SEEN answer', {
  silentMs: listOf(orNull(milliseconds), 1, NODES_SEEN_MAX, 'times'),
});

export const adminId = tokenUpTo(ADMIN_ID_MAX_CHARS);
const answerBytes = integer(0, ADMIN_ANSWER_MAX_BYTES);

export const { encode: encodeAdminCall, decode: decodeAdminCall } = codec<AdminCall>('ADMIN CALL', {
  request: adminId,
  method: adminId,
  params: bytesUpTo(ADMIN_PARAMS_MAX_BYTES),
  withinMs: milliseconds,
});

export const {
  encode: encodeAdminRest,
  decode: decodeAdminRest,
  guard: adminRest,
} = codec<AdminRest>('ADMIN REST', {
  answer: integer(1, U32_MAX),
  offset: answerBytes,
});

export const { encode: encodeAdminAnswer, decode: decodeAdminAnswer } = codec<AdminAnswer>('ADMIN answer', {
  answer: integer(0, U32_MAX),
  totalBytes: answerBytes,
  part: bytesUpTo(ADMIN_PART_MAX_BYTES),
});
