// Declares VOTE and the ioctls for replicas (docs/PROTOCOL.md, Mirrors). With VOTE, clients claim mirrors and change the records of voters. The
// rules of a voter are in rssrv's mirrors/voter-rules.ts. Invariants: a message is declared once. The replicas in sync are members of the
// mirror. No identity, voter or client occurs twice in a list. A voter stores only values that these guards accept, so that the voter can
// read these values again after a restart.

import { RsError } from '@rsio/base/lib/errors';
import { SECTOR_BYTES, SERVERID_MAX, VOLUME_MAX_BYTES } from '@rsio/base/lib/limits';
import {
  addedLater,
  bytesUpTo,
  clientInstance,
  counter,
  flag,
  type Guard,
  type Guarded,
  integer,
  listOf,
  matching,
  mirrorId,
  name,
  orNull,
  record,
  setFlag,
  termNumber,
  text,
  token,
  universe,
} from './guards.ts';
import {
  LBA_MAX,
  MIRROR_CLEAR_RANGES_MAX,
  MIRROR_CLIENTS_MAX,
  MIRROR_MAP_PART_MAX_BYTES,
  MIRROR_MEMBERS_MAX,
  MIRROR_REGIONS_MAX,
  MIRROR_SUM_BYTES,
  MIRROR_SUM_PIECE_SECTORS_MAX,
  MIRROR_SUMS_PIECES_MAX,
  MIRROR_SUMS_SECTORS_MAX,
  SENTENCE_MAX_CHARS,
  VOLUME_NOTE_MAX_CHARS,
} from './limits.ts';
import { message, type MessageOf, messageWith } from './message-codec.ts';

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

const serverid = integer(0, SERVERID_MAX);

/** Refuses a list in which two items have the same key. */
function distinct<T>(guard: Guard<readonly T[]>, keyOf: (item: T) => string, what: string): Guard<readonly T[]> {
  return (value, field) => {
    const items = guard(value, field);
    if (new Set(items.map(keyOf)).size === items.length) return items;
    throw new RsError('E_PROTOCOL', `${field} must not name ${what} twice`);
  };
}

function multipleOf(factor: number, min: number, max: number): Guard<number> {
  const guard = integer(min, max);
  return (value, field) => {
    const number = guard(value, field);
    if (number % factor === 0) return number;
    throw new RsError('E_PROTOCOL', `${field} must be a multiple of ${factor}`);
  };
}

/** A claim of a mirror. Terms are compared by number, then node, then instance. Two clients therefore never have the same term. */
export const termGuard = record({ number: termNumber, node: name, instance: clientInstance });
export type Term = Guarded<typeof termGuard>;

/** `identity`: identity of the replica's data, 32 hexadecimal digits. */
const member = record({ identity: mirrorId, serverid, volume: name, universe });
export type MirrorMember = Guarded<typeof member>;

/** `voter`: id that the voter has made, 32 hexadecimal digits. */
const voter = record({ voter: mirrorId, serverid });
export type MirrorVoter = Guarded<typeof voter>;

const voters = distinct(listOf(voter, 1, MIRROR_MEMBERS_MAX, 'voters'), (one) => one.voter, 'a voter');
const sizeBytes = multipleOf(SECTOR_BYTES, SECTOR_BYTES, VOLUME_MAX_BYTES);
const itself = (item: string): string => item;

/** Printable ASCII, so that a note has as many bytes as characters, and is stored as it was sent. */
export const volumeNote = matching(/^[ -~]+$/, VOLUME_NOTE_MAX_CHARS, `1 to ${VOLUME_NOTE_MAX_CHARS} printable characters`);

const configFields = record(
  {
    /** Number of the configuration within its term. */
    k: integer(1, Number.MAX_SAFE_INTEGER),
    /** Identities of the replicas in sync, which are all members. */
    inSync: distinct(listOf(mirrorId, 1, MIRROR_MEMBERS_MAX, 'identities'), itself, 'an identity'),
    /** True if the holder has detached, and the replicas in sync are equal. */
    clean: flag,
    members: distinct(listOf(member, 1, MIRROR_MEMBERS_MAX, 'members'), ({ identity }) => identity, 'an identity'),
    voters,
    /**
     * The new voters while the voters are being changed, otherwise null. During the change, a majority of `voters` and a majority of
     * `nextVoters` are needed (rule M17).
     */
    nextVoters: orNull(voters),
    /** Size of the mirror as users see it (rule M21). */
    sizeBytes,
    /** Nodes that may claim the mirror; null for all clients of the voter. */
    clients: orNull(distinct(listOf(name, 1, MIRROR_CLIENTS_MAX, 'clients'), itself, 'a client')),
    /** Text of the holder that the voters keep and do not interpret; omitted if there is none. */
    note: addedLater<string | undefined>(volumeNote, undefined),
  },
  '.',
);
export type MirrorConfig = Guarded<typeof configFields>;

const config: Guard<MirrorConfig> = (value, field) => {
  const fields = configFields(value, field);
  const identities = new Set(fields.members.map(({ identity }) => identity));
  if (fields.inSync.every((one) => identities.has(one))) return fields;
  throw new RsError('E_PROTOCOL', `${field}.inSync must name members only`);
};

/** The configuration that a voter has stored, with the term of the client that sent it. */
export const storedConfigGuard = record({ term: termGuard, config });
export type StoredConfig = Guarded<typeof storedConfigGuard>;

/** `mirror`: id of the mirror, 32 hexadecimal digits. */
export const foundFields = { mirror: mirrorId, name, universe };
/** In a VOTE about a term, `number` is the number of the client's term. The node and the instance of the term are those of the session. */
const ofTerm = { mirror: mirrorId, number: termNumber };

export const VoteFound = message('VOTE FOUND', foundFields);
export type VoteFound = MessageOf<typeof VoteFound>;

/** If `takesOver` is false, the CLAIM is refused while another client has the mirror. */
export const VoteClaim = message('VOTE CLAIM', { ...ofTerm, takesOver: flag });
export type VoteClaim = MessageOf<typeof VoteClaim>;

export const VoteConfig = message('VOTE CONFIG', { ...ofTerm, config });
export type VoteConfig = MessageOf<typeof VoteConfig>;

export const VoteRecord = message('VOTE RECORD', { mirror: mirrorId });
export type VoteRecord = MessageOf<typeof VoteRecord>;

export const VoteTerm = message('VOTE CONFIRM, DISMISS or UNPLACE', ofTerm);
export type VoteTerm = MessageOf<typeof VoteTerm>;

export const VotePlace = message('VOTE PLACE', { ...ofTerm, volume: name, universe });
export type VotePlace = MessageOf<typeof VotePlace>;

const replica = record({
  /** Identity of the data: 32 hexadecimal digits. */
  identity: mirrorId,
  /** Incarnation of the storage, as in the verifier of an OPEN. */
  incarnation: token,
  volume: name,
  universe,
  sizeBytes: integer(0, VOLUME_MAX_BYTES),
  /**
   * In the answer to a CLAIM: the highest term of which the replica may lack answered writes (Q10); null if it lacks none. Undefined in
   * other answers, and in answers of servers that do not know this term.
   */
  lacksTerm: addedLater<Term | null | undefined>(orNull(termGuard), undefined),
});
export type VoteReplica = Guarded<typeof replica>;

export const VoteAnswer = message('VOTE answer', {
  /** A number of VOTED, or an unknown number of a newer peer. */
  voted: counter,
  /** The reason, if `voted` is not DONE, or if `replica` is null although the server has a replica. */
  sentence: text(SENTENCE_MAX_CHARS),
  /** Id of the voter; null if it has no readable record. */
  voter: orNull(mirrorId),
  /** The highest term that was claimed at this voter; null if there is none. */
  promise: orNull(termGuard),
  /** The configuration that the voter has stored. Null if the voter has no configuration, and in the answer to a CONFIRM. */
  stored: orNull(storedConfigGuard),
  /**
   * In the answers to CLAIM, PLACE and RECORD: the replica of this server; null if this server has no replica that the client can use now.
   * After a CLAIM, the server no longer executes requests of lower terms on the replica. RECORD does not end requests of lower terms.
   */
  replica: orNull(replica),
  /** True if the voter keeps the notes of configurations; a voter of an earlier release omits it, and would lose a note. */
  keepsNotes: setFlag,
});
export type VoteAnswer = MessageOf<typeof VoteAnswer>;

const region = multipleOf(8, 0, MIRROR_REGIONS_MAX);

/** `first`: first region, a multiple of 8. */
export const MirrorMapRequest = message('MIRROR_MAP', { first: region });
export type MirrorMapRequest = MessageOf<typeof MirrorMapRequest>;

export const MirrorMapAnswer = message('MIRROR_MAP answer', {
  /** Regions of the volume. */
  regions: integer(0, MIRROR_REGIONS_MAX),
  first: region,
  /** One bit for each region from `first` on, the lowest bit of a byte first. Bits beyond the last region are 0. */
  bits: bytesUpTo(MIRROR_MAP_PART_MAX_BYTES),
});
export type MirrorMapAnswer = MessageOf<typeof MirrorMapAnswer>;

const rangeNumbers = listOf(integer(0, MIRROR_REGIONS_MAX), 2, 2 * MIRROR_CLEAR_RANGES_MAX, 'numbers');

/** Pairs of a first region and a number of regions. The number of regions is not 0. */
const ranges: Guard<readonly number[]> = (value, field) => {
  const numbers = rangeNumbers(value, field);
  const isRight =
    numbers.length % 2 === 0 && numbers.every((number, index) => index % 2 === 0 || isWithin(numbers[index - 1] ?? 0, number));
  if (isRight) return numbers;
  throw new RsError('E_PROTOCOL', `${field} must be pairs of a first region and a number of regions`);
};

function isWithin(first: number, count: number): boolean {
  return count > 0 && first + count <= MIRROR_REGIONS_MAX;
}

export const MirrorClearRequest = message('MIRROR_CLEAR', { ranges });
export type MirrorClearRequest = MessageOf<typeof MirrorClearRequest>;

const sumsFields = record(
  {
    lba: integer(0, LBA_MAX),
    sectors: integer(1, MIRROR_SUMS_SECTORS_MAX),
    /** Sectors of a piece; the last piece may have fewer. */
    pieceSectors: integer(1, MIRROR_SUM_PIECE_SECTORS_MAX),
  },
  ': field ',
);
export type MirrorSumsRequest = Guarded<typeof sumsFields>;

/** Asks for at most MIRROR_SUMS_PIECES_MAX pieces. */
export const MirrorSumsRequest = messageWith<MirrorSumsRequest>('MIRROR_SUMS', (value, field) => {
  const request = sumsFields(value, field);
  if (request.sectors <= request.pieceSectors * MIRROR_SUMS_PIECES_MAX) return request;
  throw new RsError('E_PROTOCOL', `${field} must be about at most ${MIRROR_SUMS_PIECES_MAX} pieces`);
});

/** For each piece, in order: the first MIRROR_SUM_BYTES of its SHA-256. */
const sums: Guard<Buffer> = (value, field) => {
  const bytes = bytesUpTo(MIRROR_SUMS_PIECES_MAX * MIRROR_SUM_BYTES)(value, field);
  if (bytes.length > 0 && bytes.length % MIRROR_SUM_BYTES === 0) return bytes;
  throw new RsError('E_PROTOCOL', `${field} must be sums of ${MIRROR_SUM_BYTES} bytes`);
};

export const MirrorSumsAnswer = message('MIRROR_SUMS answer', { sums });
export type MirrorSumsAnswer = MessageOf<typeof MirrorSumsAnswer>;
