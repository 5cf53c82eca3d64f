// Makes well-formed messages of every kind from a seed, with values at the edges of their ranges. Also has the table of codecs from which
// targets choose. frame-maker.ts makes the frame around a message.

import { NAME_MAX_BYTES, VOLUME_MAX_BYTES } from '@rsio/base/lib/limits';
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
  INSTANCE_MAX,
  INTERFACES_NAMED_MAX,
  LBA_MAX,
  MIRROR_CLEAR_RANGES_MAX,
  MIRROR_ID_CHARS,
  MIRROR_MAP_PART_MAX_BYTES,
  MIRROR_MEMBERS_MAX,
  MIRROR_REGIONS_MAX,
  GATE_RECORD_MAX_BYTES,
  TERM_NUMBER_MAX,
  MESSAGE_MAX_BYTES,
  NODES_SEEN_MAX,
  SENTENCE_MAX_CHARS,
  TOKEN_MAX_CHARS,
  VOLUME_NOTE_MAX_CHARS,
  VERSIONS_OFFERED_MAX,
} from '@rsio/protocol/wire/limits';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import * as codecs from '@rsio/protocol/wire/messages';
import * as mirror from '@rsio/protocol/wire/mirror-messages';
import { TAKE } from '@rsio/protocol/wire/messages';

type Random = SeededRandom;

/** Draws a whole number from `min` to `max`, often `min` or `max` itself. */
export function edge(random: Random, min: number, max: number): number {
  const kind = random.int(0, 3);
  return kind === 0 ? min : kind === 1 ? max : kind === 2 ? Math.min(max, min + random.int(0, 300)) : random.int(min, max);
}

/** Makes a list, which rarely has the maximum length. */
export function some<T>(random: Random, max: number, make: () => T, min = 0): T[] {
  const count = random.chance(0.03) ? max : Math.min(max, min + random.int(0, 3));
  return Array.from({ length: count }, make);
}

const NAME_CHARACTERS = ['A', 'Z', 'a', 'q', 'z', '0', '9', '_', '-'];
const TEXTS = ['', 'Too many connections', 'a\u001b[31m\u0007b', 'x\u202ey\n\r\tz', '\ud800', 'ü'.repeat(300), '\u0000'];

export function aName(random: Random): string {
  const length = edge(random, 1, NAME_MAX_BYTES);
  return Array.from({ length }, () => random.pick(NAME_CHARACTERS)).join('');
}

function aToken(random: Random): string {
  return random.pick(['!', '~'.repeat(TOKEN_MAX_CHARS), '2f1c9a52-7a0e-4c58-9d3b-0b6a1e4f7c21.7']);
}

function aText(random: Random): string {
  return random.chance(0.1) ? 'w'.repeat(SENTENCE_MAX_CHARS) : random.pick(TEXTS);
}

function anInterface(random: Random): { name: string; address: string; port: number } {
  return { name: aName(random), address: random.pick(['127.45.0.10', '255.255.255.255', 'fe80::1', '::']), port: edge(random, 1, 65_535) };
}

function aHolder(random: Random): { node: string; address: string; sinceMs: number } {
  return { node: aName(random), address: aText(random), sinceMs: edge(random, 0, Number.MAX_SAFE_INTEGER) };
}

function aVolume(random: Random) {
  return {
    name: aName(random),
    id: aToken(random),
    universe: random.int(0, 3),
    sizeBytes: edge(random, 0, VOLUME_MAX_BYTES),
    blockSizeBytes: random.pick([512, 4096]),
    readonly: random.chance(0.5),
    shared: random.chance(0.5),
    holders: some(random, HOLDERS_NAMED_MAX, () => aHolder(random)),
    waitsForSpace: random.chance(0.5),
    mirror: random.chance(0.5) ? undefined : anId(random),
  };
}

function anId(random: Random): string {
  return Array.from({ length: MIRROR_ID_CHARS }, () => random.int(0, 15).toString(16)).join('');
}

function aTerm(random: Random) {
  return { number: edge(random, 1, TERM_NUMBER_MAX), node: aName(random), instance: edge(random, 0, INSTANCE_MAX) };
}

function aConfig(random: Random) {
  const identities = some(random, MIRROR_MEMBERS_MAX, () => anId(random), 1);
  return {
    k: edge(random, 1, Number.MAX_SAFE_INTEGER),
    inSync: identities.slice(0, random.int(1, identities.length)),
    clean: random.chance(0.5),
    members: identities.map((identity) => ({ identity, serverid: random.int(0, 255), volume: aName(random), universe: random.int(0, 3) })),
    voters: some(random, MIRROR_MEMBERS_MAX, () => ({ voter: anId(random), serverid: random.int(0, 255) }), 1),
    nextVoters: random.chance(0.5)
      ? null
      : some(random, MIRROR_MEMBERS_MAX, () => ({ voter: anId(random), serverid: random.int(0, 255) }), 1),
    sizeBytes: 512 * edge(random, 1, VOLUME_MAX_BYTES / 512),
    clients: random.chance(0.5) ? null : [aName(random)],
    note: random.pick([undefined, '!', '{"a": 1}', ' '.repeat(VOLUME_NOTE_MAX_CHARS)]),
  };
}

function aReplica(random: Random) {
  return {
    identity: anId(random),
    incarnation: aToken(random),
    volume: aName(random),
    universe: random.int(0, 3),
    sizeBytes: edge(random, 0, VOLUME_MAX_BYTES),
  };
}

/** A codec with its name and a maker of its messages. */
export interface MessageKind {
  readonly name: string;
  readonly decode: (bytes: Buffer, offset: number, length: number) => unknown;
  readonly encode: (message: never) => Buffer;
  readonly make: (random: Random) => unknown;
}

function kind<T>(
  name: string,
  encode: (message: T) => Buffer,
  decode: (bytes: Buffer, offset: number, length: number) => T,
  make: (random: Random) => T,
): MessageKind {
  return { name, decode, encode, make };
}

/** Encodes a list of any length as consecutive messages. */
function encodeWholeList(message: Parameters<typeof codecs.encodeListAnswers>[0]): Buffer {
  const [first] = codecs.encodeListAnswers(message);
  return first ?? Buffer.alloc(0);
}

export const MESSAGE_KINDS: readonly MessageKind[] = [
  kind('HELLO', codecs.Hello.encode, codecs.Hello.decode, (random) => ({
    versions: some(random, VERSIONS_OFFERED_MAX, () => edge(random, 1, 65_535), 1),
    features: some(random, FEATURES_OFFERED_MAX, () => random.pick(['digest', 'probe', 'x-9', '-'])),
    namespaceid: edge(random, 0, 65_535),
    node: aName(random),
    instance: edge(random, 0, INSTANCE_MAX),
    machine: aToken(random),
    boot: aToken(random),
    process: random.chance(0.3) ? null : aToken(random),
    ...(random.chance(0.5) ? {} : { dataProcess: edge(random, 1, DATA_PROCESSES_MAX) }),
    interface: aName(random),
    nonce: random.bytes(32),
  })),
  kind('CHALLENGE', codecs.Challenge.encode, codecs.Challenge.decode, (random) => ({
    version: edge(random, 1, 65_535),
    features: some(random, FEATURES_OFFERED_MAX, () => random.pick(['digest', 'probe'])),
    server: aName(random),
    serverid: edge(random, 0, 255),
    instance: random.bytes(16).toString('hex'),
    nonce: random.bytes(32),
  })),
  kind('PROOF', codecs.Proof.encode, codecs.Proof.decode, (random) => ({
    session: random.chance(0.5) ? null : random.bytes(16),
    dead: some(random, DEAD_PATHS_NAMED_MAX, () => edge(random, 0, 0xffffffff)),
  })),
  kind('WELCOME', codecs.Welcome.encode, codecs.Welcome.decode, (random) => ({
    session: random.bytes(16),
    path: edge(random, 0, 0xffffffff),
    slots: edge(random, 9, 65_535),
    windowBytes: edge(random, 2 * 1024 * 1024, 0xffffffff),
    interfaces: some(random, INTERFACES_NAMED_MAX, () => anInterface(random)),
    generation: edge(random, 0, Number.MAX_SAFE_INTEGER),
  })),
  kind('REFUSE or BYE', codecs.Farewell.encode, codecs.Farewell.decode, (random) => ({
    code: random.pick(['E_AUTH', 'E_LIMIT', 'X']),
    sentence: aText(random),
  })),
  kind('REFUSE', codecs.Refuse.encode, codecs.Refuse.decode, (random) => ({
    code: random.pick(['E_AUTH', 'E_LIMIT', 'X']),
    sentence: aText(random),
    mac: random.chance(0.5) ? null : random.bytes(32),
  })),
  kind('PING or PONG', codecs.Ping.encode, codecs.Ping.decode, (random) => ({
    number: edge(random, 0, Number.MAX_SAFE_INTEGER),
    clockMs: random.chance(0.5) ? random.unit() * 1e9 : edge(random, 0, Number.MAX_SAFE_INTEGER),
    heard: edge(random, 0, Number.MAX_SAFE_INTEGER),
    oldestMs: random.unit(),
    generation: edge(random, 0, Number.MAX_SAFE_INTEGER),
  })),
  kind('LIST answer', encodeWholeList, codecs.ListAnswer.decode, (random) => ({
    generation: edge(random, 0, Number.MAX_SAFE_INTEGER),
    interfaces: some(random, INTERFACES_NAMED_MAX, () => anInterface(random)),
    volumes: some(random, 40, () => aVolume(random)),
  })),
  kind('OPEN', codecs.OpenRequest.encode, codecs.OpenRequest.decode, (random) => ({
    name: aName(random),
    universe: random.int(0, 3),
    readonly: random.chance(0.5),
    take: random.pick(Object.values(TAKE)),
    resume: random.chance(0.5) ? aToken(random) : null,
    mirror: random.chance(0.5) ? null : { mirror: anId(random), number: edge(random, 1, TERM_NUMBER_MAX) },
  })),
  kind('OPEN answer', codecs.OpenAnswer.encode, codecs.OpenAnswer.decode, (random) => ({
    handle: edge(random, 0, 65_535),
    id: aToken(random),
    sizeBytes: edge(random, 0, VOLUME_MAX_BYTES),
    blockSizeBytes: random.pick([512, 4096]),
    readonly: random.chance(0.5),
    shared: random.chance(0.5),
    canDiscard: random.chance(0.5),
    identity: aToken(random),
    life: aToken(random),
  })),
  kind('failure answer', codecs.FailureAnswer.encode, codecs.FailureAnswer.decode, (random) => ({
    sentence: aText(random),
    holders: some(random, HOLDERS_NAMED_MAX, () => aHolder(random)),
  })),
  kind('IDENTIFY answer', codecs.IdentifyAnswer.encode, codecs.IdentifyAnswer.decode, (random) => ({
    name: aName(random),
    id: aToken(random),
    type: random.pick(['file', 'block', 'memory', 'null']),
    sizeBytes: edge(random, 0, VOLUME_MAX_BYTES),
    blockSizeBytes: random.pick([512, 4096]),
    readonly: random.chance(0.5),
    canDiscard: random.chance(0.5),
    canExtents: random.chance(0.5),
  })),
  kind('EXTENTS', codecs.ExtentsRequest.encode, codecs.ExtentsRequest.decode, (random) => ({
    lba: edge(random, 0, LBA_MAX),
    sectors: edge(random, 1, LBA_MAX),
  })),
  kind('EXTENTS answer', codecs.ExtentsAnswer.encode, codecs.ExtentsAnswer.decode, (random) => ({
    extents: some(random, EXTENTS_PER_ANSWER_MAX, () => [edge(random, 1, LBA_MAX), random.int(0, 1)], 1).flat(),
  })),
  kind('RECORD_READ', codecs.RecordReadRequest.encode, codecs.RecordReadRequest.decode, (random) => ({
    id: random.pick(['x', '~'.repeat(TOKEN_MAX_CHARS)]),
  })),
  kind('RECORD_READ answer', codecs.RecordAnswer.encode, codecs.RecordAnswer.decode, (random) => ({
    record: random.chance(0.3) ? null : Buffer.alloc(random.chance(0.03) ? GATE_RECORD_MAX_BYTES : random.int(0, 40), 7),
  })),
  kind('RECORD_WRITE', codecs.RecordWriteRequest.encode, codecs.RecordWriteRequest.decode, (random) => ({
    record: Buffer.alloc(random.chance(0.03) ? GATE_RECORD_MAX_BYTES : random.int(0, 40), 7),
  })),
  kind('NODES_SEEN', codecs.NodesSeenRequest.encode, codecs.NodesSeenRequest.decode, (random) => ({
    id: aToken(random),
    nodes: some(random, NODES_SEEN_MAX, () => aName(random), 1),
  })),
  kind('NODES_SEEN answer', codecs.NodesSeenAnswer.encode, codecs.NodesSeenAnswer.decode, (random) => ({
    silentMs: some(random, NODES_SEEN_MAX, () => random.pick([null, 0, 0.5, Number.MAX_SAFE_INTEGER]), 1),
  })),
  kind('ADMIN CALL', codecs.AdminCall.encode, codecs.AdminCall.decode, (random) => ({
    request: random.pick(['!', 'x'.repeat(ADMIN_ID_MAX_CHARS), '2f1c9a52-7a0e-4c58-9d3b-0b6a1e4f7c21']),
    method: random.pick(['daemon', 'volume-create', '~']),
    params: Buffer.alloc(random.chance(0.03) ? ADMIN_PARAMS_MAX_BYTES : random.int(0, 40), '{'),
    withinMs: edge(random, 0, Number.MAX_SAFE_INTEGER),
  })),
  kind('ADMIN REST', codecs.AdminRest.encode, codecs.AdminRest.decode, (random) => ({
    answer: edge(random, 1, 0xffffffff),
    offset: edge(random, 0, ADMIN_ANSWER_MAX_BYTES),
  })),
  kind('ADMIN answer', codecs.AdminAnswer.encode, codecs.AdminAnswer.decode, (random) => ({
    answer: edge(random, 0, 0xffffffff),
    totalBytes: edge(random, 0, ADMIN_ANSWER_MAX_BYTES),
    part: Buffer.alloc(random.chance(0.03) ? ADMIN_PART_MAX_BYTES : random.int(0, 40), '"'),
  })),
  kind('VOTE FOUND', mirror.VoteFound.encode, mirror.VoteFound.decode, (random) => ({
    mirror: anId(random),
    name: aName(random),
    universe: random.int(0, 3),
  })),
  kind('VOTE CLAIM', mirror.VoteClaim.encode, mirror.VoteClaim.decode, (random) => ({
    mirror: anId(random),
    number: edge(random, 1, TERM_NUMBER_MAX),
    takesOver: random.chance(0.5),
  })),
  kind('VOTE CONFIG', mirror.VoteConfig.encode, mirror.VoteConfig.decode, (random) => ({
    mirror: anId(random),
    number: edge(random, 1, TERM_NUMBER_MAX),
    config: aConfig(random),
  })),
  kind('VOTE answer', mirror.VoteAnswer.encode, mirror.VoteAnswer.decode, (random) => ({
    voted: edge(random, 0, Number.MAX_SAFE_INTEGER),
    sentence: aText(random),
    voter: random.chance(0.5) ? null : anId(random),
    promise: random.chance(0.5) ? null : aTerm(random),
    stored: random.chance(0.5) ? null : { term: aTerm(random), config: aConfig(random) },
    replica: random.chance(0.5) ? null : aReplica(random),
  })),
  kind('VOTE PLACE', mirror.VotePlace.encode, mirror.VotePlace.decode, (random) => ({
    mirror: anId(random),
    number: edge(random, 1, TERM_NUMBER_MAX),
    volume: aName(random),
    universe: random.int(0, 3),
  })),
  kind('MIRROR_MAP', mirror.MirrorMapRequest.encode, mirror.MirrorMapRequest.decode, (random) => ({
    first: 8 * edge(random, 0, Math.floor(MIRROR_REGIONS_MAX / 8)),
  })),
  kind('MIRROR_MAP answer', mirror.MirrorMapAnswer.encode, mirror.MirrorMapAnswer.decode, (random) => ({
    regions: edge(random, 0, MIRROR_REGIONS_MAX),
    first: 8 * edge(random, 0, Math.floor(MIRROR_REGIONS_MAX / 8)),
    bits: Buffer.alloc(random.chance(0.03) ? MIRROR_MAP_PART_MAX_BYTES : random.int(0, 40), 0xff),
  })),
  kind('MIRROR_CLEAR', mirror.MirrorClearRequest.encode, mirror.MirrorClearRequest.decode, (random) => ({
    ranges: some(random, MIRROR_CLEAR_RANGES_MAX, () => [edge(random, 0, MIRROR_REGIONS_MAX - 9), random.int(1, 9)], 1).flat(),
  })),
];

/** Makes the bytes of a message of this kind, at most as many as fit into a frame. */
export function messageBytes(random: Random, made: MessageKind): Buffer {
  const body = made.encode(made.make(random) as never);
  return body.length <= MESSAGE_MAX_BYTES ? body : body.subarray(0, MESSAGE_MAX_BYTES);
}
