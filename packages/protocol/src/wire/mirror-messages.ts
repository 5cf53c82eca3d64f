// Defines the fields of VOTE and of the ioctls for replicas (docs/PROTOCOL.md, Mirrors). With VOTE, clients claim mirrors and change the
// records of voters. mirror-codec.ts encodes and decodes the fields. The rules of a voter are in rssrv's mirrors/voter-rules.ts.

/** The kinds of VOTE, in the field aux of the header. */
export const VOTE = {
  /** Creates the voter's record of a mirror. Request: VoteFound. */
  FOUND: 1,
  /** Promises a term. Request: VoteClaim. */
  CLAIM: 2,
  /** Stores a configuration. Request: VoteConfig. */
  CONFIG: 3,
  /** Asks for the record. Request: VoteRecord. */
  RECORD: 4,
  /** Asks whether the voter still promises the client's term. Request: VoteTerm. */
  CONFIRM: 5,
  /** Removes the record. Request: VoteTerm. */
  DISMISS: 6,
  /** Makes a volume of the server a replica with a new identity. Request: VotePlace. */
  PLACE: 7,
  /** Makes the replica of the server a plain volume. Request: VoteTerm. */
  UNPLACE: 8,
} as const;

/** The decision of a voter. Numbers are never reused. A client treats an unknown number like UNKNOWN: the voter does not count. */
export const VOTED = {
  DONE: 0,
  /** The server has no readable record of the mirror, or does not show it to this client. */
  UNKNOWN: 1,
  /** The voter has promised a higher term. */
  SUPERSEDED: 2,
  /** The term is above the promise: the client must first claim the term at this voter. */
  UNCLAIMED: 3,
  /** Another client has the promise, and the CLAIM does not take over. */
  HELD: 4,
  /** The voter has stored a later configuration of the same term. */
  OLDER: 5,
  /** The voter has another record with this id, another configuration with this version, or another replica. */
  DIFFERENT: 6,
  /** The term is too far above the promise. */
  TOO_FAR: 7,
  /** The client may not create records at the server, a limit of records or requests is reached, or the volume cannot be a replica. */
  REFUSED: 8,
} as const;

export type Voted = (typeof VOTED)[keyof typeof VOTED];

/** A claim of a mirror. Terms are compared by number, then node, then instance. Two clients therefore never have the same term. */
export interface Term {
  readonly number: number;
  readonly node: string;
  readonly instance: number;
}

export interface MirrorMember {
  /** Identity of the replica's data: 32 hexadecimal digits. */
  readonly identity: string;
  readonly serverid: number;
  readonly volume: string;
  readonly universe: number;
}

export interface MirrorVoter {
  /** Id that the voter has made: 32 hexadecimal digits. */
  readonly voter: string;
  readonly serverid: number;
}

export interface MirrorConfig {
  /** Number of the configuration within its term. */
  readonly k: number;
  /** Identities of the replicas in sync, which are all members. */
  readonly inSync: readonly string[];
  /** True if the holder has detached, and the replicas in sync are equal. */
  readonly clean: boolean;
  readonly members: readonly MirrorMember[];
  readonly voters: readonly MirrorVoter[];
  /**
   * The new voters while the voters are being changed, otherwise null. During the change, a majority of `voters` and a majority of
   * `nextVoters` are needed (rule M17).
   */
  readonly nextVoters: readonly MirrorVoter[] | null;
  /** Size of the mirror as users see it (rule M21). */
  readonly sizeBytes: number;
  /** Nodes that may claim the mirror; null for all clients of the voter. */
  readonly clients: readonly string[] | null;
  /** Text of the holder that the voters keep and do not interpret; omitted if there is none. */
  readonly note?: string | undefined;
}

export interface VoteFound {
  /** Id of the mirror: 32 hexadecimal digits. */
  readonly mirror: string;
  readonly name: string;
  readonly universe: number;
}

export interface VoteRecord {
  readonly mirror: string;
}

/** `number`: number of the client's term. The node and the instance of the term are those of the session. */
export interface VoteTerm extends VoteRecord {
  readonly number: number;
}

export interface VoteClaim extends VoteTerm {
  /** If false, the CLAIM is refused while another client has the mirror. */
  readonly takesOver: boolean;
}

export interface VoteConfig extends VoteTerm {
  readonly config: MirrorConfig;
}

export interface VotePlace extends VoteTerm {
  readonly volume: string;
  readonly universe: number;
}

export interface VoteReplica {
  /** Identity of the data: 32 hexadecimal digits. */
  readonly identity: string;
  /** Incarnation of the storage, as in the verifier of an OPEN. */
  readonly incarnation: string;
  readonly volume: string;
  readonly universe: number;
  readonly sizeBytes: number;
  /**
   * In the answer to a CLAIM: the highest term of which the replica may lack answered writes (Q10); null if it lacks none. Undefined in
   * other answers, and in answers of servers that do not know this term.
   */
  readonly lacksTerm?: Term | null | undefined;
}

/** The configuration that a voter has stored, with the term of the client that sent it. */
export interface StoredConfig {
  readonly term: Term;
  readonly config: MirrorConfig;
}

export interface VoteAnswer {
  /** A number of VOTED, or an unknown number of a newer peer. */
  readonly voted: number;
  /** The reason, if `voted` is not DONE, or if `replica` is null although the server has a replica. */
  readonly sentence: string;
  /** Id of the voter; null if it has no readable record. */
  readonly voter: string | null;
  /** The highest term that was claimed at this voter; null if there is none. */
  readonly promise: Term | null;
  /** The configuration that the voter has stored. Null if the voter has no configuration, and in the answer to a CONFIRM. */
  readonly stored: StoredConfig | null;
  /**
   * In the answers to CLAIM, PLACE and RECORD: the replica of this server; null if this server has no replica that the client can use now.
   * After a CLAIM, the server no longer executes requests of lower terms on the replica. RECORD does not end requests of lower terms.
   */
  readonly replica: VoteReplica | null;
  /** True if the voter keeps the notes of configurations; a voter of an earlier release omits it, and would lose a note. */
  readonly keepsNotes?: boolean | undefined;
}

export interface MirrorMapRequest {
  /** First region; a multiple of 8. */
  readonly first: number;
}

export interface MirrorMapAnswer {
  /** Regions of the volume. */
  readonly regions: number;
  readonly first: number;
  /** One bit for each region from `first` on, the lowest bit of a byte first. Bits beyond the last region are 0. */
  readonly bits: Buffer;
}

export interface MirrorClearRequest {
  /** Pairs of a first region and a number of regions. */
  readonly ranges: readonly number[];
}

export interface MirrorSumsRequest {
  readonly lba: number;
  readonly sectors: number;
  /** Sectors of a piece; the last piece may have fewer. */
  readonly pieceSectors: number;
}

export interface MirrorSumsAnswer {
  /** For each piece, in order: the first MIRROR_SUM_BYTES of its SHA-256. */
  readonly sums: Buffer;
}
