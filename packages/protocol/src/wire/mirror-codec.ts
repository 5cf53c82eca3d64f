// Encodes and decodes the bodies of VOTE, and of the ioctls for replicas. Invariants: the invariants of message-codec.ts also hold here.
// The replicas in sync are members of the mirror. No identity, voter or client occurs twice in a list. A voter stores only values that
// these guards accept, so that the voter can read these values again after a restart.

import { RsError } from '@rsio/common/lib/errors';
import { SECTOR_BYTES, SERVERID_MAX, VOLUME_MAX_BYTES } from '@rsio/common/lib/limits';
import {
  addedLater,
  bytesUpTo,
  clientInstance,
  counter,
  flag,
  type Guard,
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
import { codec } from './message-codec.ts';
import type {
  MirrorClearRequest,
  MirrorConfig,
  MirrorMapAnswer,
  MirrorMapRequest,
  MirrorMember,
  MirrorSumsAnswer,
  MirrorSumsRequest,
  MirrorVoter,
  StoredConfig,
  Term,
  VoteAnswer,
  VoteClaim,
  VoteConfig,
  VoteFound,
  VotePlace,
  VoteRecord,
  VoteReplica,
  VoteTerm,
} from './mirror-messages.ts';

const serverid = integer(0, SERVERID_MAX);

/** Refuses a list in which two items have the same key. */
function distinct<T>(guard: Guard<T[]>, keyOf: (item: T) => string, what: string): Guard<T[]> {
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

const member = record<MirrorMember>({ identity: mirrorId, serverid, volume: name, universe });
const voter = record<MirrorVoter>({ voter: mirrorId, serverid });
const voters = distinct(listOf(voter, 1, MIRROR_MEMBERS_MAX, 'voters'), (one) => one.voter, 'a voter');
const sizeBytes = multipleOf(SECTOR_BYTES, SECTOR_BYTES, VOLUME_MAX_BYTES);
const itself = (item: string): string => item;

/** Printable ASCII, so that a note has as many bytes as characters, and is stored as it was sent. */
export const volumeNote = matching(/^[ -~]+$/, VOLUME_NOTE_MAX_CHARS, `1 to ${VOLUME_NOTE_MAX_CHARS} printable characters`);

const configFields = record<MirrorConfig>(
  {
    k: integer(1, Number.MAX_SAFE_INTEGER),
    inSync: distinct(listOf(mirrorId, 1, MIRROR_MEMBERS_MAX, 'identities'), itself, 'an identity'),
    clean: flag,
    members: distinct(listOf(member, 1, MIRROR_MEMBERS_MAX, 'members'), ({ identity }) => identity, 'an identity'),
    voters,
    nextVoters: orNull(voters),
    sizeBytes,
    clients: orNull(distinct(listOf(name, 1, MIRROR_CLIENTS_MAX, 'clients'), itself, 'a client')),
    note: addedLater<string | undefined>(volumeNote, undefined),
  },
  '.',
);

const config: Guard<MirrorConfig> = (value, field) => {
  const fields = configFields(value, field);
  const identities = new Set(fields.members.map(({ identity }) => identity));
  if (fields.inSync.every((one) => identities.has(one))) return fields;
  throw new RsError('E_PROTOCOL', `${field}.inSync must name members only`);
};

/** Exported for the reader of a voter's file. */
export const termGuard: Guard<Term> = record<Term>({ number: termNumber, node: name, instance: clientInstance });
export const storedConfigGuard: Guard<StoredConfig> = record<StoredConfig>({ term: termGuard, config });
export const foundFields = { mirror: mirrorId, name, universe };

export const { encode: encodeVoteFound, decode: decodeVoteFound, guard: voteFound } = codec<VoteFound>('VOTE FOUND', foundFields);

export const {
  encode: encodeVoteClaim,
  decode: decodeVoteClaim,
  guard: voteClaim,
} = codec<VoteClaim>('VOTE CLAIM', {
  mirror: mirrorId,
  number: termNumber,
  takesOver: flag,
});

export const {
  encode: encodeVoteConfig,
  decode: decodeVoteConfig,
  guard: voteConfig,
} = codec<VoteConfig>('VOTE CONFIG', {
  mirror: mirrorId,
  number: termNumber,
  config,
});

export const {
  encode: encodeVoteRecord,
  decode: decodeVoteRecord,
  guard: voteRecord,
} = codec<VoteRecord>('VOTE RECORD', { mirror: mirrorId });

export const {
  encode: encodeVoteTerm,
  decode: decodeVoteTerm,
  guard: voteTerm,
} = codec<VoteTerm>('VOTE CONFIRM, DISMISS or UNPLACE', {
  mirror: mirrorId,
  number: termNumber,
});

export const {
  encode: encodeVotePlace,
  decode: decodeVotePlace,
  guard: votePlace,
} = codec<VotePlace>('VOTE PLACE', {
  mirror: mirrorId,
  number: termNumber,
  volume: name,
  universe,
});

const replica = record<VoteReplica>({
  identity: mirrorId,
  incarnation: token,
  volume: name,
  universe,
  sizeBytes: integer(0, VOLUME_MAX_BYTES),
  lacksTerm: addedLater<Term | null | undefined>(orNull(termGuard), undefined),
});

export const { encode: encodeVoteAnswer, decode: decodeVoteAnswer } = codec<VoteAnswer>('VOTE answer', {
  voted: counter,
  sentence: text(SENTENCE_MAX_CHARS),
  voter: orNull(mirrorId),
  promise: orNull(termGuard),
  stored: orNull(storedConfigGuard),
  replica: orNull(replica),
  keepsNotes: setFlag,
});

const region = multipleOf(8, 0, MIRROR_REGIONS_MAX);

export const { encode: encodeMirrorMapRequest, decode: decodeMirrorMapRequest } = codec<MirrorMapRequest>('MIRROR_MAP', { first: region });

export const { encode: encodeMirrorMapAnswer, decode: decodeMirrorMapAnswer } = codec<MirrorMapAnswer>('MIRROR_MAP answer', {
  regions: integer(0, MIRROR_REGIONS_MAX),
  first: region,
  bits: bytesUpTo(MIRROR_MAP_PART_MAX_BYTES),
});

const rangeNumbers = listOf(integer(0, MIRROR_REGIONS_MAX), 2, 2 * MIRROR_CLEAR_RANGES_MAX, 'numbers');

/** Pairs of a first region and a number of regions. The number of regions is not 0. */
const ranges: Guard<number[]> = (value, field) => {
  const numbers = rangeNumbers(value, field);
  const isRight =
    numbers.length % 2 === 0 && numbers.every((number, index) => index % 2 === 0 || isWithin(numbers[index - 1] ?? 0, number));
  if (isRight) return numbers;
  throw new RsError('E_PROTOCOL', `${field} must be pairs of a first region and a number of regions`);
};

function isWithin(first: number, count: number): boolean {
  return count > 0 && first + count <= MIRROR_REGIONS_MAX;
}

export const { encode: encodeMirrorClearRequest, decode: decodeMirrorClearRequest } = codec<MirrorClearRequest>('MIRROR_CLEAR', { ranges });

const { encode: packSums, decode: unpackSums } = codec<MirrorSumsRequest>('MIRROR_SUMS', {
  lba: integer(0, LBA_MAX),
  sectors: integer(1, MIRROR_SUMS_SECTORS_MAX),
  pieceSectors: integer(1, MIRROR_SUM_PIECE_SECTORS_MAX),
});

export function encodeMirrorSumsRequest(request: MirrorSumsRequest): Buffer {
  return packSums(request);
}

/** Throws E_PROTOCOL if the request is malformed or names more than MIRROR_SUMS_PIECES_MAX pieces. */
export function decodeMirrorSumsRequest(bytes: Buffer, offset: number, lengthBytes: number): MirrorSumsRequest {
  const request = unpackSums(bytes, offset, lengthBytes);
  if (request.sectors <= request.pieceSectors * MIRROR_SUMS_PIECES_MAX) return request;
  throw new RsError('E_PROTOCOL', `MIRROR_SUMS must be about at most ${MIRROR_SUMS_PIECES_MAX} pieces`);
}

/** One or more checksums of MIRROR_SUM_BYTES each. */
const sums: Guard<Buffer> = (value, field) => {
  const bytes = bytesUpTo(MIRROR_SUMS_PIECES_MAX * MIRROR_SUM_BYTES)(value, field);
  if (bytes.length > 0 && bytes.length % MIRROR_SUM_BYTES === 0) return bytes;
  throw new RsError('E_PROTOCOL', `${field} must be sums of ${MIRROR_SUM_BYTES} bytes`);
};

export const { encode: encodeMirrorSumsAnswer, decode: decodeMirrorSumsAnswer } = codec<MirrorSumsAnswer>('MIRROR_SUMS answer', { sums });
