// Declares the bodies of message frames: the value of a message encodes and decodes it, and its type follows from its fields. guards.ts
// defines the allowed values. The bodies are MessagePack without the record extension. A value that does not have exactly the required form
// is refused; the error names the field, never its content. Invariant: a message is declared once.

import { assert } from '@rsio/base/lib/assert';
import { RsError } from '@rsio/base/lib/errors';
import { BODY_MAX_BYTES, SERVERID_MAX, VOLUME_MAX_BYTES } from '@rsio/base/lib/limits';
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
  type Guarded,
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
  termNumber,
  text,
  token,
  tokenUpTo,
  universe,
} from './guards.ts';
import { message, type MessageOf } from './message-codec.ts';

const U16_MAX = 0xffff;
const U32_MAX = 0xffffffff;

const port = integer(1, U16_MAX);
const address: Guard<string> = ipAddress;
const serverInterface = record({ name, address, port });
export type ServerInterface = Guarded<typeof serverInterface>;
const interfaces = listOf(serverInterface, 0, INTERFACES_NAMED_MAX, 'interfaces');
const features = listOf(featureName, 0, FEATURES_OFFERED_MAX, 'feature names');
const holder = record({ node: name, address: text(SHORT_TEXT_MAX_CHARS), sinceMs: milliseconds });
export type Holder = Guarded<typeof holder>;
const holders = firstOf(holder, HOLDERS_NAMED_MAX, 'holders');
const blockSize: Guard<number> = oneOf(512, 4096);
const volumeBytes = integer(0, VOLUME_MAX_BYTES);
const sentence = text(SENTENCE_MAX_CHARS);
const version = integer(1, U16_MAX);
const nonce: Guard<Uint8Array> = bytesOf(NONCE_BYTES);
/** X25519 public key of a connection; present if the client offers the feature `tls`, or the server has chosen it. */
const share = addedLater<Uint8Array | undefined>(bytesOf(SHARE_BYTES), undefined);
const sessionId: Guard<Uint8Array> = bytesOf(SESSION_ID_BYTES);
const pathNumber = integer(0, U32_MAX);

/** A flag or a frame layout that version 1 does not have may be used only if both sides have named its feature. */
export const Hello = message('HELLO', {
  versions: listOf(version, 1, VERSIONS_OFFERED_MAX, 'versions'),
  features,
  namespaceid: integer(0, U16_MAX),
  node: name,
  /** Number that increases at every start of the client. The client keeps this number in its state directory. */
  instance: clientInstance,
  machine: token,
  boot: token,
  /** Random id of the client process; null if the client's build is too old to send an id. */
  process: addedLater(orNull(token), null),
  /** Number of the data process of the client that sends this HELLO; missing for the main process, whose number is 0. */
  dataProcess: positiveNumber(DATA_PROCESSES_MAX),
  interface: name,
  nonce,
  share,
});
export type Hello = MessageOf<typeof Hello>;

export const Challenge = message('CHALLENGE', {
  version,
  features,
  server: name,
  serverid: integer(0, SERVERID_MAX),
  /** 32 hexadecimal digits that are new at every start of the listener. */
  instance: listenerInstance,
  nonce,
  share,
});
export type Challenge = MessageOf<typeof Challenge>;

/** The message is followed by one mac of 32 bytes, or by two if the PROOF joins a session (auth/handshake-frames.ts). */
export const Proof = message('PROOF', {
  /** The session to join; null to start a new one. */
  session: orNull(sessionId),
  /** Numbers of the paths that this client considers dead. */
  dead: listOf(pathNumber, 0, DEAD_PATHS_NAMED_MAX, 'path numbers'),
});
export type Proof = MessageOf<typeof Proof>;

/** The message is followed by one mac of 32 bytes. */
export const Welcome = message('WELCOME', {
  session: sessionId,
  path: pathNumber,
  slots: integer(SLOTS_RESERVED + 1, U16_MAX),
  windowBytes: integer(2 * BODY_MAX_BYTES, Number.MAX_SAFE_INTEGER),
  interfaces,
  /** Generation of the server's list (volumes, sizes, interfaces). */
  generation: counter,
  release: addedLater<string | undefined>(text(SHORT_TEXT_MAX_CHARS), undefined),
  /** The server's time of day, in ms since 1970. */
  wallMs: addedLater<number | undefined>(counter, undefined),
  /** To a probe only, while the node has two keys: the key that it has proved; 0: the old one, 1: the new one. */
  keyUsed: addedLater<0 | 1 | undefined>(oneOf(0, 1), undefined),
});
export type Welcome = MessageOf<typeof Welcome>;

/** What BYE and REFUSE have in common. `code` is a code of lib/errors.ts, or a code of a newer peer, which is displayed unchanged. */
export const Farewell = message('REFUSE or BYE', { code: errorCode, sentence });
export type Farewell = MessageOf<typeof Farewell>;

export const Refuse = message('REFUSE', {
  code: errorCode,
  sentence,
  /** The mac of the code under K if the client has sent a valid PROOF, otherwise null. */
  mac: addedLater(orNull(bytesOf(MAC_BYTES)), null),
});
export type Refuse = MessageOf<typeof Refuse>;

/** PING and PONG. A PONG repeats `number` and `clockMs` of its PING; the other fields describe the sender of the frame. */
export const Ping = message('PING or PONG', {
  number: counter,
  clockMs: milliseconds,
  /** Number of PINGs that the sender has received on this path. */
  heard: counter,
  /** Age of the oldest request that the server is executing, in ms; 0 if there is none. Always 0 from a client. */
  oldestMs: milliseconds,
  /** Generation of the server's list; 0 from a client. */
  generation: counter,
});
export type Ping = MessageOf<typeof Ping>;

const tagNumbers = listOf(integer(0, U16_MAX), 0, 2 * REVOKE_TAGS_MAX, 'numbers');

const tags: Guard<readonly number[]> = (value, field) => {
  const numbers = tagNumbers(value, field);
  if (numbers.length % 2 === 0) return numbers;
  throw new RsError('E_PROTOCOL', `${field} must be pairs of slot and seq`);
};

/** The handle is in the field aux of the frame's header. `tags`: pairs of slot and seq, one for each abandoned request of the handle. */
export const Revoke = message('REVOKE', { tags });
export type Revoke = MessageOf<typeof Revoke>;

/**
 * If the volume lies in a shared pool: the generation under which the server owns the pool; otherwise omitted. Of two servers that offer
 * the volume in one pool, the one with the higher generation is the owner. The generations of different pools cannot be compared.
 */
const poolGeneration = addedLater<number | undefined>(counter, undefined);
/** Id of the pool, which only this server uses unless `poolGeneration` is given. Omitted by older servers, and for a volume in no pool. */
const poolId = addedLater<string | undefined>(token, undefined);

const volumeFields = {
  name,
  id: token,
  universe,
  sizeBytes: volumeBytes,
  blockSizeBytes: blockSize,
  readonly: flag,
  shared: flag,
  holders,
  /** True if changes of the volume wait for space on the server; otherwise omitted. */
  waitsForSpace: setFlag,
  /** Reason why the server holds back this client's I/O, as words that complete "held by"; otherwise omitted. */
  heldBy: addedLater<string | undefined>(text(SHORT_TEXT_MAX_CHARS), undefined),
  /** Id of the mirror if the volume is a replica; otherwise omitted. */
  mirror: addedLater<string | undefined>(mirrorId, undefined),
  poolGeneration,
  poolId,
  /** Name of the server with the source if the volume is a follower, which no client can open; otherwise omitted. */
  follows: addedLater<string | undefined>(name, undefined),
};
const volume = record(volumeFields);
export type VolumeEntry = Guarded<typeof volume>;
/** An entry by itself, to measure it. */
const measuredVolume = message('LIST answer: volume', volumeFields);

/** The list may continue in further frames (flag MORE). */
export const ListAnswer = message('LIST answer', {
  generation: counter,
  interfaces,
  volumes: listOf(volume, 0, VOLUMES_PER_FRAME_MAX, 'volumes'),
});
export type ListAnswer = MessageOf<typeof ListAnswer>;

/**
 * Returns the bodies of the frames that answer a LIST. Each body has at most MESSAGE_MAX_BYTES. All frames but the last must be sent with
 * the flag MORE. Only the first body has the interfaces; the client concatenates the lists of volumes.
 */
export function encodeListAnswers(answer: ListAnswer): Buffer[] {
  const bodies: Buffer[] = [];
  let part: ListAnswer = { ...answer, volumes: [] };
  let volumes: VolumeEntry[] = [];
  // Add two bytes: the number of volumes takes one byte here, but three bytes if there are more than 15 volumes.
  let filledBytes = ListAnswer.encode(part).length + 2;
  for (const entry of answer.volumes) {
    const entryBytes = measuredVolume.encode(entry).length;
    if (filledBytes + entryBytes > MESSAGE_MAX_BYTES) {
      bodies.push(ListAnswer.encode({ ...part, volumes }));
      part = { ...part, interfaces: [] };
      volumes = [];
      filledBytes = ListAnswer.encode(part).length + 2;
    }
    volumes.push(entry);
    filledBytes += entryBytes;
  }
  bodies.push(ListAnswer.encode({ ...part, volumes }));
  for (const body of bodies) assert(body.length <= MESSAGE_MAX_BYTES, 'A LIST answer is larger than a message may be');
  return bodies;
}

/** How an OPEN treats another client's hold (docs/PROTOCOL.md H2, H3). */
export const TAKE = {
  /** The OPEN of a volume that another client holds is refused. */
  NO: 0,
  /** The other hold ends. The OPEN is refused as long as acknowledged writes may exist that only the holder can send again. */
  OVER: 1,
  /** The other client's hold ends, even if acknowledged writes are lost. */
  FORCE: 2,
} as const;

export type Take = (typeof TAKE)[keyof typeof TAKE];

/**
 * The claim under which a client opens a replica. The node and the instance of the term are those of the session. `mirror`: 32 hexadecimal
 * digits.
 */
const openTerm = record({ mirror: mirrorId, number: termNumber });
export type OpenTerm = Guarded<typeof openTerm>;

const openFields = {
  /** Name of a volume, or `NAME@SNAPSHOT`. */
  name: servedName,
  universe,
  readonly: flag,
  take: addedLater(oneOf<Take>(TAKE.NO, TAKE.OVER, TAKE.FORCE), TAKE.NO),
  /**
   * Identity under which this client had the volume open; null if the client did not have the volume open. If another hold has replaced the
   * client's hold, the answer is TAKEN.
   */
  resume: addedLater(orNull(token), null),
};
const maybeTerm = orNull(openTerm);
const sentTerm: Guard<OpenTerm | null | undefined> = (value, field) =>
  value === undefined ? undefined : (maybeTerm(value, field) ?? undefined);
const sentOpen = message('OPEN', {
  ...openFields,
  // Sent only for a replica, so that the OPEN of a plain volume is the same as from a client that does not support mirrors.
  mirror: sentTerm,
});

/** `mirror`: opens the volume as a replica of this mirror, which the client has claimed; null: opens it as a plain volume. */
export type OpenRequest = Omit<MessageOf<typeof sentOpen>, 'mirror'> & { readonly mirror: OpenTerm | null };

export const OpenRequest = {
  guard: (value: unknown, field: string): OpenRequest => withTerm(sentOpen.guard(value, field)),
  decode: (bytes: Buffer, offset: number, length: number): OpenRequest => withTerm(sentOpen.decode(bytes, offset, length)),
  /** By default, the OPEN does not take over a hold, does not resume a hold, and opens a plain volume. */
  encode: (request: Omit<OpenRequest, 'take' | 'resume' | 'mirror'> & Partial<OpenRequest>): Buffer =>
    sentOpen.encode({ take: TAKE.NO, resume: null, mirror: null, ...request }),
};

function withTerm({ mirror = null, ...plain }: MessageOf<typeof sentOpen>): OpenRequest {
  return { ...plain, mirror };
}

export const OpenAnswer = message('OPEN answer', {
  handle: integer(0, U16_MAX),
  id: token,
  sizeBytes: volumeBytes,
  blockSizeBytes: blockSize,
  readonly: flag,
  shared: flag,
  canDiscard: flag,
  /** First part of the verifier: storage id and epoch of the hold. */
  identity: token,
  /** Second part of the verifier: incarnation of the storage. */
  life: token,
  poolGeneration,
  poolId,
});
export type OpenAnswer = MessageOf<typeof OpenAnswer>;

/** Body of an answer to LIST, OPEN, CLOSE, IOCTL or ADMIN whose status is not OK. */
export const FailureAnswer = message('failure answer', { sentence, holders });
export type FailureAnswer = MessageOf<typeof FailureAnswer>;

export const IOCTL = {
  /** Answer: IdentifyAnswer. */
  IDENTIFY: 1,
  /** Request: ExtentsRequest; answer: ExtentsAnswer. */
  EXTENTS: 2,
  /** Reports that the client has recovered all earlier requests, so that rule H3 no longer waits for this client. */
  SETTLED: 3,
  /** For an open snapshot: lists the older snapshots of its volume. Request: SnapshotsRequest; answer: SnapshotsAnswer. */
  SNAPSHOTS: 4,
  /** For an open snapshot: changes since an older snapshot. Request: ChangesRequest; answer: ExtentsAnswer with states of CHANGE. */
  CHANGES: 5,
  /** For a replica: a part of its intent map. Request: MirrorMapRequest; answer: MirrorMapAnswer. */
  MIRROR_MAP: 6,
  /** For a replica: clears regions of its intent map. Request: MirrorClearRequest; the answer has no body. */
  MIRROR_CLEAR: 7,
  /**
   * For a replica: the answer is OK while the handle is valid under the term of its OPEN, otherwise STALE. Request and answer have no
   * bodies.
   */
  TERM: 8,
  /** For a replica or a snapshot: checksums of a range, for a comparison. Request: MirrorSumsRequest; answer: MirrorSumsAnswer. */
  MIRROR_SUMS: 9,
  /** The gate record of any volume that the client may use; no handle is needed. Request: RecordReadRequest; answer: RecordAnswer. */
  RECORD_READ: 10,
  /**
   * Replaces the gate record of the open volume (rule D2). Request: RecordWriteRequest; the answer has no body. A copy of a completed
   * request is never executed again.
   */
  RECORD_WRITE: 11,
  /**
   * For how long the server has had no path of the nodes in the request; no handle is needed. Request: NodesSeenRequest; answer:
   * NodesSeenAnswer.
   */
  NODES_SEEN: 12,
} as const;

export const IdentifyAnswer = message('IDENTIFY answer', {
  name: servedName,
  id: token,
  type: token,
  sizeBytes: volumeBytes,
  blockSizeBytes: blockSize,
  readonly: flag,
  canDiscard: flag,
  canExtents: flag,
});
export type IdentifyAnswer = MessageOf<typeof IdentifyAnswer>;

export const ExtentsRequest = message('EXTENTS', { lba: integer(0, LBA_MAX), sectors: integer(1, LBA_MAX) });
export type ExtentsRequest = MessageOf<typeof ExtentsRequest>;

export const EXTENT = { DATA: 0, HOLE: 1 } as const;

const extentSectors = integer(1, LBA_MAX);
const extentState = oneOf(EXTENT.DATA, EXTENT.HOLE);
const extentNumbers = listOf(counter, 2, 2 * EXTENTS_PER_ANSWER_MAX, 'numbers');

/** A flat list of pairs; a pair consists of a number of sectors and a state (EXTENT). */
const extents: Guard<readonly number[]> = (value, field) => {
  const numbers = extentNumbers(value, field);
  numbers.forEach((number, index) => (index % 2 === 0 ? extentSectors : extentState)(number, `${field}[${index}]`));
  // Refuse an odd number of elements, because the last pair would lack its state.
  if (numbers.length % 2 !== 0) extentState(undefined, `${field}[${numbers.length}]`);
  return numbers;
};

/**
 * Extents that begin at the requested lba, in order and without gaps. The extents may cover less than the requested range, but they cover
 * at least one sector.
 */
export const ExtentsAnswer = message('EXTENTS answer', { extents });
export type ExtentsAnswer = MessageOf<typeof ExtentsAnswer>;

export const SnapshotsRequest = message('SNAPSHOTS', {
  /** Id of the snapshot after which the list continues; null for the beginning of the list. */
  after: orNull(token),
});
export type SnapshotsRequest = MessageOf<typeof SnapshotsRequest>;

const snapshotEntry = record({ name, id: token });

export const SnapshotsAnswer = message('SNAPSHOTS answer', {
  /** Snapshots of the volume that are older than the open one, the youngest first. */
  snapshots: listOf(snapshotEntry, 0, SNAPSHOTS_PER_ANSWER_MAX, 'snapshots'),
  hasMore: flag,
});
export type SnapshotsAnswer = MessageOf<typeof SnapshotsAnswer>;

/** `since`: id of the older snapshot. */
export const ChangesRequest = message('CHANGES', { since: token, lba: integer(0, LBA_MAX), sectors: integer(1, LBA_MAX) });
export type ChangesRequest = MessageOf<typeof ChangesRequest>;

/** States of the extents in the answer to CHANGES. An extent that may have changed is CHANGED. */
export const CHANGE = { UNCHANGED: 0, CHANGED: 1 } as const;

/** `id`: id of the volume. */
export const RecordReadRequest = message('RECORD_READ', { id: token });
export type RecordReadRequest = MessageOf<typeof RecordReadRequest>;

/** `record`: the gate record; null if the volume has none. */
export const RecordAnswer = message('RECORD_READ answer', { record: orNull(bytesUpTo(GATE_RECORD_MAX_BYTES)) });
export type RecordAnswer = MessageOf<typeof RecordAnswer>;

export const RecordWriteRequest = message('RECORD_WRITE', { record: bytesUpTo(GATE_RECORD_MAX_BYTES) });
export type RecordWriteRequest = MessageOf<typeof RecordWriteRequest>;

/** `id`: id of a volume that the client may use, or of a mirror whose record the client may use. */
export const NodesSeenRequest = message('NODES_SEEN', { id: token, nodes: listOf(name, 1, NODES_SEEN_MAX, 'nodes') });
export type NodesSeenRequest = MessageOf<typeof NodesSeenRequest>;

export const NodesSeenAnswer = message('NODES_SEEN answer', {
  /**
   * For each node in the request, the time in ms for which the server has had no path of the node. 0 while the server has a path; null if
   * the node may not use the volume. If the server was started more recently than that, it answers the time since its start.
   */
  silentMs: listOf(orNull(milliseconds), 1, NODES_SEEN_MAX, 'times'),
});
export type NodesSeenAnswer = MessageOf<typeof NodesSeenAnswer>;

/** The kinds of ADMIN, in the field aux of the header. */
export const ADMIN = {
  /** Calls a method. Request: AdminCall; answer: AdminAnswer. */
  CALL: 1,
  /** Requests a further part of an answer. Request: AdminRest; answer: AdminAnswer. */
  REST: 2,
} as const;

export const adminId = tokenUpTo(ADMIN_ID_MAX_CHARS);
const answerBytes = integer(0, ADMIN_ANSWER_MAX_BYTES);
const params: Guard<Uint8Array> = bytesUpTo(ADMIN_PARAMS_MAX_BYTES);
const part: Guard<Uint8Array> = bytesUpTo(ADMIN_PART_MAX_BYTES);

export const AdminCall = message('ADMIN CALL', {
  /** Id that the client makes for each call. The server executes a change once, even if the call arrives several times with this id. */
  request: adminId,
  method: adminId,
  /** Parameters of the method: one JSON object in UTF-8. */
  params,
  /**
   * Time in ms for which the client waits, counted from the arrival of the frame at the server. The server begins no change after this
   * time.
   */
  withinMs: milliseconds,
});
export type AdminCall = MessageOf<typeof AdminCall>;

export const AdminRest = message('ADMIN REST', { answer: integer(1, U32_MAX), offset: answerBytes });
export type AdminRest = MessageOf<typeof AdminRest>;

/** A part of an answer. The whole answer is one JSON object in UTF-8, with the key `result` or `error`. */
export const AdminAnswer = message('ADMIN answer', {
  /** Number of the answer in this session, with which the client requests the rest; 0 if the answer is complete. */
  answer: integer(0, U32_MAX),
  totalBytes: answerBytes,
  part,
});
export type AdminAnswer = MessageOf<typeof AdminAnswer>;
