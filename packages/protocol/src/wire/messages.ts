// Defines the fields in the bodies of message frames. message-codec.ts encodes and decodes these bodies, and guards.ts defines the allowed
// values. The bodies are MessagePack without the record extension. A value that does not have exactly the required form is refused; the
// error names the field, never its content.

/** HELLO. A flag or a frame layout that version 1 does not have may be used only if both sides have named its feature. */
export interface Hello {
  readonly versions: readonly number[];
  readonly features: readonly string[];
  readonly namespaceid: number;
  readonly node: string;
  /** Number that increases at every start of the client. The client keeps this number in its state directory. */
  readonly instance: number;
  readonly machine: string;
  readonly boot: string;
  /** Random id of the client process; null if the client's build is too old to send an id. */
  readonly process: string | null;
  /** Number of the data process of the client that sends this HELLO; missing for the main process, whose number is 0. */
  readonly dataProcess?: number | undefined;
  readonly interface: string;
  readonly nonce: Uint8Array;
  /** X25519 public key of this connection; present if the client offers the feature `tls`. */
  readonly share?: Uint8Array | undefined;
}

export interface Challenge {
  readonly version: number;
  readonly features: readonly string[];
  readonly server: string;
  readonly serverid: number;
  /** 32 hexadecimal digits that are new at every start of the listener. */
  readonly instance: string;
  readonly nonce: Uint8Array;
  /** X25519 public key of this connection; present if the server has chosen the feature `tls`. */
  readonly share?: Uint8Array | undefined;
}

/** PROOF. The message is followed by one mac of 32 bytes, or by two if the PROOF joins a session (auth/handshake-frames.ts). */
export interface Proof {
  /** The session to join; null to start a new one. */
  readonly session: Uint8Array | null;
  /** Numbers of the paths that this client considers dead. */
  readonly dead: readonly number[];
}

export interface ServerInterface {
  readonly name: string;
  readonly address: string;
  readonly port: number;
}

/** WELCOME. The message is followed by one mac of 32 bytes. */
export interface Welcome {
  readonly session: Uint8Array;
  readonly path: number;
  readonly slots: number;
  readonly windowBytes: number;
  readonly interfaces: readonly ServerInterface[];
  /** Generation of the server's list (volumes, sizes, interfaces). */
  readonly generation: number;
  readonly release?: string | undefined;
  /** The server's time of day, in ms since 1970. */
  readonly wallMs?: number | undefined;
  /** To a probe only, while the node has two keys: the key that it has proved; 0: the old one, 1: the new one. */
  readonly keyUsed?: 0 | 1 | undefined;
}

/**
 * Fields that BYE and REFUSE have in common. `code` is a code of lib/errors.ts, or a code of a newer peer, which is displayed unchanged.
 */
export interface Farewell {
  readonly code: string;
  readonly sentence: string;
}

/** REFUSE. `mac` is the mac of the code under K if the client has sent a valid PROOF, otherwise null. */
export interface Refuse extends Farewell {
  readonly mac: Buffer | null;
}

/** PING and PONG. A PONG repeats `number` and `clockMs` of its PING; the other fields describe the sender of the frame. */
export interface Heartbeat {
  readonly number: number;
  readonly clockMs: number;
  /** Number of PINGs that the sender has received on this path. */
  readonly heard: number;
  /** Age of the oldest request that the server is executing, in ms; 0 if there is none. Always 0 from a client. */
  readonly oldestMs: number;
  /** Generation of the server's list; 0 from a client. */
  readonly generation: number;
}

/** REVOKE. The handle is in the field aux of the frame's header. */
export interface Revoke {
  /** Pairs of slot and seq, one for each abandoned request of the handle. */
  readonly tags: readonly number[];
}

export interface Holder {
  readonly node: string;
  readonly address: string;
  readonly sinceMs: number;
}

export interface VolumeEntry {
  readonly name: string;
  readonly id: string;
  readonly universe: number;
  readonly sizeBytes: number;
  readonly blockSizeBytes: number;
  readonly readonly: boolean;
  readonly shared: boolean;
  readonly holders: readonly Holder[];
  /** True if changes of the volume wait for space on the server; otherwise omitted. */
  readonly waitsForSpace?: boolean | undefined;
  /** Reason why the server holds back this client's I/O, as words that complete "held by"; otherwise omitted. */
  readonly heldBy?: string | undefined;
  /** Id of the mirror if the volume is a replica; otherwise omitted. */
  readonly mirror?: string | undefined;
  /**
   * If the volume lies in a shared pool: the generation under which the server owns the pool; otherwise omitted. Of two servers that offer
   * the volume in one pool, the one with the higher generation is the owner. The generations of different pools cannot be compared.
   */
  readonly poolGeneration?: number | undefined;
  /** Id of the pool, which only this server uses unless `poolGeneration` is given. Omitted by older servers, and for a volume in no pool. */
  readonly poolId?: string | undefined;
  /** Name of the server with the source if the volume is a follower, which no client can open; otherwise omitted. */
  readonly follows?: string | undefined;
}

export interface ListAnswer {
  readonly generation: number;
  readonly interfaces: readonly ServerInterface[];
  /** The list may continue in further frames (flag MORE). */
  readonly volumes: readonly VolumeEntry[];
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

/** The claim under which a client opens a replica. The node and the instance of the term are those of the session. */
export interface OpenTerm {
  /** Id of the mirror: 32 hexadecimal digits. */
  readonly mirror: string;
  /** Number of the term. */
  readonly number: number;
}

export interface OpenRequest {
  /** Name of a volume, or `NAME@SNAPSHOT`. */
  readonly name: string;
  readonly universe: number;
  readonly readonly: boolean;
  readonly take: Take;
  /**
   * Identity under which this client had the volume open; null if the client did not have the volume open. If another hold has replaced the
   * client's hold, the answer is TAKEN.
   */
  readonly resume: string | null;
  /** Opens the volume as a replica of this mirror, which the client has claimed; null: opens it as a plain volume. */
  readonly mirror: OpenTerm | null;
}

export interface OpenAnswer {
  readonly handle: number;
  readonly id: string;
  readonly sizeBytes: number;
  readonly blockSizeBytes: number;
  readonly readonly: boolean;
  readonly shared: boolean;
  readonly canDiscard: boolean;
  /** First part of the verifier: storage id and epoch of the hold. */
  readonly identity: string;
  /** Second part of the verifier: incarnation of the storage. */
  readonly life: string;
  /** As in VolumeEntry. */
  readonly poolGeneration?: number | undefined;
  readonly poolId?: string | undefined;
}

/** Body of an answer to LIST, OPEN, CLOSE, IOCTL or ADMIN whose status is not OK. */
export interface FailureAnswer {
  readonly sentence: string;
  readonly holders: readonly Holder[];
}

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

export interface IdentifyAnswer {
  readonly name: string;
  readonly id: string;
  readonly type: string;
  readonly sizeBytes: number;
  readonly blockSizeBytes: number;
  readonly readonly: boolean;
  readonly canDiscard: boolean;
  readonly canExtents: boolean;
}

export interface ExtentsRequest {
  readonly lba: number;
  readonly sectors: number;
}

export const EXTENT = { DATA: 0, HOLE: 1 } as const;

/**
 * Extents that begin at the requested lba, in order and without gaps. The extents may cover less than the requested range, but they cover
 * at least one sector.
 */
export interface ExtentsAnswer {
  /** Pairs of a number of sectors and a state (EXTENT). */
  readonly extents: readonly number[];
}

export interface SnapshotsRequest {
  /** Id of the snapshot after which the list continues; null for the beginning of the list. */
  readonly after: string | null;
}

export interface SnapshotEntry {
  readonly name: string;
  readonly id: string;
}

export interface SnapshotsAnswer {
  /** Snapshots of the volume that are older than the open one, the youngest first. */
  readonly snapshots: readonly SnapshotEntry[];
  readonly hasMore: boolean;
}

export interface ChangesRequest extends ExtentsRequest {
  /** Id of the older snapshot. */
  readonly since: string;
}

/** States of the extents in the answer to CHANGES. An extent that may have changed is CHANGED. */
export const CHANGE = { UNCHANGED: 0, CHANGED: 1 } as const;

export interface RecordReadRequest {
  /** Id of the volume. */
  readonly id: string;
}

export interface RecordAnswer {
  /** The gate record; null if the volume has none. */
  readonly record: Buffer | null;
}

export interface RecordWriteRequest {
  readonly record: Buffer;
}

export interface NodesSeenRequest {
  /** Id of a volume that the client may use, or of a mirror whose record the client may use. */
  readonly id: string;
  readonly nodes: readonly string[];
}

export interface NodesSeenAnswer {
  /**
   * For each node in the request, the time in ms for which the server has had no path of the node. 0 while the server has a path; null if
   * the node may not use the volume. If the server was started more recently than that, it answers the time since its start.
   */
  readonly silentMs: readonly (number | null)[];
}

/** The kinds of ADMIN, in the field aux of the header. */
export const ADMIN = {
  /** Calls a method. Request: AdminCall; answer: AdminAnswer. */
  CALL: 1,
  /** Requests a further part of an answer. Request: AdminRest; answer: AdminAnswer. */
  REST: 2,
} as const;

export interface AdminCall {
  /** Id that the client makes for each call. The server executes a change once, even if the call arrives several times with this id. */
  readonly request: string;
  readonly method: string;
  /** Parameters of the method: one JSON object in UTF-8. */
  readonly params: Uint8Array;
  /**
   * Time in ms for which the client waits, counted from the arrival of the frame at the server. The server begins no change after this
   * time.
   */
  readonly withinMs: number;
}

export interface AdminRest {
  readonly answer: number;
  readonly offset: number;
}

/** A part of an answer. The whole answer is one JSON object in UTF-8, with the key `result` or `error`. */
export interface AdminAnswer {
  /** Number of the answer in this session, with which the client requests the rest; 0 if the answer is complete. */
  readonly answer: number;
  readonly totalBytes: number;
  readonly part: Uint8Array;
}
