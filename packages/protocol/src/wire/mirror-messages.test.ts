// Tests the bodies of VOTE and of the ioctls for replicas: decoding yields the encoded message, and both ends refuse forbidden values.
// protocol-doc.test.ts checks that docs/PROTOCOL.md has the same fields; the fuzz targets test invalid bytes.

import { Packr } from 'msgpackr';
import { describe, expect, test } from 'vitest';
import { VOLUME_MAX_BYTES } from '@rsio/base/lib/limits';
import {
  MESSAGE_MAX_BYTES,
  LBA_MAX,
  MIRROR_CLEAR_RANGES_MAX,
  MIRROR_CLIENTS_MAX,
  MIRROR_MAP_PART_MAX_BYTES,
  MIRROR_MEMBERS_MAX,
  MIRROR_REGION_BYTES,
  MIRROR_REGIONS_MAX,
  MIRROR_SUM_BYTES,
  MIRROR_SUM_PIECE_SECTORS_MAX,
  MIRROR_SUMS_PIECES_MAX,
  MIRROR_SUMS_SECTORS_MAX,
} from './limits.ts';
import * as codec from './mirror-messages.ts';
import { type MirrorConfig, VOTED } from './mirror-messages.ts';

const plain = new Packr({ useRecords: false, variableMapSize: true });
const id = (digit: string): string => digit.repeat(32);

const CONFIG: MirrorConfig = {
  k: 1,
  inSync: [id('a')],
  clean: false,
  nextVoters: null,
  sizeBytes: 1 << 30,
  clients: null,
  members: [
    { identity: id('a'), serverid: 1, volume: 'db', universe: 0 },
    { identity: id('b'), serverid: 2, volume: 'db', universe: 0 },
  ],
  voters: [{ voter: id('c'), serverid: 1 }],
};

function sent(config: MirrorConfig): MirrorConfig {
  const body = codec.VoteConfig.encode({ mirror: id('f'), number: 1, config });
  expect(body.length).toBeLessThanOrEqual(MESSAGE_MAX_BYTES);
  return codec.VoteConfig.decode(body, 0, body.length).config;
}

test('the largest configuration fits into a message, with both sets of voters', () => {
  const digits = Array.from({ length: MIRROR_MEMBERS_MAX }, (_, index) => id(index.toString(16)));
  const largest: MirrorConfig = {
    k: Number.MAX_SAFE_INTEGER,
    inSync: digits,
    clean: true,
    sizeBytes: VOLUME_MAX_BYTES,
    members: digits.map((identity) => ({ identity, serverid: 255, volume: 'v'.repeat(63), universe: 3 })),
    voters: digits.map((voter) => ({ voter, serverid: 255 })),
    nextVoters: digits.map((voter) => ({ voter, serverid: 0 })),
    clients: Array.from({ length: MIRROR_CLIENTS_MAX }, (_, index) => `n${index}`.padEnd(63, 'x')),
  };
  expect(sent(largest)).toEqual(largest);
});

test.each<[string, Partial<MirrorConfig>]>([
  ['inSync', { inSync: [id('d')] }],
  ['inSync', { inSync: [id('a'), id('d')] }],
  ['members', { members: [] }],
  ['members', { members: [CONFIG.members[0]!, CONFIG.members[0]!] }],
  ['voters', { voters: [] }],
  ['nextVoters', { nextVoters: [] }],
  ['nextVoters', { nextVoters: [CONFIG.voters[0]!, CONFIG.voters[0]!] }],
  ['sizeBytes', { sizeBytes: 0 }],
  ['sizeBytes', { sizeBytes: 513 }],
  ['sizeBytes', { sizeBytes: VOLUME_MAX_BYTES + 512 }],
])('a configuration with wrong %s is refused by both ends', (field, change) => {
  const wrong = { ...CONFIG, ...change };
  const body = plain.pack({ mirror: id('f'), number: 1, config: wrong });
  expect(() => codec.VoteConfig.decode(body, 0, body.length)).toThrow(new RegExp(`config\\.${field}.* must `));
  expect(() => sent(wrong)).toThrow(expect.objectContaining({ code: 'E_INTERNAL' }));
});

test('an answer names the replica, also one of an empty volume', () => {
  const replica = { identity: id('a'), incarnation: 'life', volume: 'db', universe: 0, sizeBytes: 0 };
  const answer = { voted: VOTED.DONE, sentence: '', voter: id('c'), promise: null, stored: null, replica };
  const body = codec.VoteAnswer.encode(answer);
  expect(codec.VoteAnswer.decode(body, 0, body.length)).toEqual(answer);
});

test('a claim is told what the replica may lack: a term, nothing, or, by an earlier release, not known', () => {
  const replica = { identity: id('a'), incarnation: 'life', volume: 'db', universe: 0, sizeBytes: 0 };
  const answer = { voted: VOTED.DONE, sentence: '', voter: id('c'), promise: null, stored: null };
  for (const lacksTerm of [{ number: 3, node: 'mars', instance: 2 }, null, undefined]) {
    const body = codec.VoteAnswer.encode({ ...answer, replica: { ...replica, lacksTerm } });
    expect(codec.VoteAnswer.decode(body, 0, body.length).replica?.lacksTerm).toEqual(lacksTerm);
  }
  const wrong = plain.pack({ ...answer, replica: { ...replica, lacksTerm: { number: 0, node: 'mars', instance: 2 } } });
  expect(() => codec.VoteAnswer.decode(wrong, 0, wrong.length)).toThrow(/lacksTerm/);
});

describe('sums', () => {
  test.each([
    { lba: -1, sectors: 1, pieceSectors: 1 },
    { lba: 0, sectors: 0, pieceSectors: 1 },
    { lba: 0, sectors: MIRROR_SUMS_SECTORS_MAX + 1, pieceSectors: 128 },
    { lba: 0, sectors: 128, pieceSectors: 0 },
    { lba: 0, sectors: 128, pieceSectors: MIRROR_SUM_PIECE_SECTORS_MAX + 1 },
    { lba: 0, sectors: MIRROR_SUMS_PIECES_MAX + 1, pieceSectors: 1 },
  ])('$lba, $sectors, $pieceSectors is no request', (request) => {
    const body = plain.pack(request);
    expect(() => codec.MirrorSumsRequest.decode(body, 0, body.length)).toThrow(/MIRROR_SUMS/);
  });

  test('the largest request and its answer fit', () => {
    const request = { lba: LBA_MAX, sectors: MIRROR_SUMS_SECTORS_MAX, pieceSectors: MIRROR_SUMS_SECTORS_MAX / MIRROR_SUMS_PIECES_MAX };
    const body = codec.MirrorSumsRequest.encode(request);
    expect(codec.MirrorSumsRequest.decode(body, 0, body.length)).toEqual(request);
    const answer = codec.MirrorSumsAnswer.encode({ sums: Buffer.alloc(MIRROR_SUMS_PIECES_MAX * MIRROR_SUM_BYTES, 7) });
    expect(codec.MirrorSumsAnswer.decode(answer, 0, answer.length).sums).toHaveLength(MIRROR_SUMS_PIECES_MAX * MIRROR_SUM_BYTES);
    for (const length of [0, 1, MIRROR_SUM_BYTES + 1, (MIRROR_SUMS_PIECES_MAX + 1) * MIRROR_SUM_BYTES]) {
      const wrong = plain.pack({ sums: Buffer.alloc(length) });
      expect(() => codec.MirrorSumsAnswer.decode(wrong, 0, wrong.length)).toThrow(/sums must be/);
    }
  });
});

describe('the intent map', () => {
  test('parts cover the largest volume', () => {
    expect(MIRROR_REGIONS_MAX * MIRROR_REGION_BYTES).toBeGreaterThanOrEqual(VOLUME_MAX_BYTES);
    const last = { first: MIRROR_REGIONS_MAX - 8 };
    const body = codec.MirrorMapRequest.encode(last);
    expect(codec.MirrorMapRequest.decode(body, 0, body.length)).toEqual(last);
    const part = { regions: MIRROR_REGIONS_MAX, first: 0, bits: Buffer.alloc(MIRROR_MAP_PART_MAX_BYTES, 0xa5) };
    const answer = codec.MirrorMapAnswer.encode(part);
    expect(answer.length).toBeLessThanOrEqual(MESSAGE_MAX_BYTES);
    expect(codec.MirrorMapAnswer.decode(answer, 0, answer.length)).toEqual(part);
    expect(() => codec.MirrorMapAnswer.encode({ ...part, bits: Buffer.alloc(MIRROR_MAP_PART_MAX_BYTES + 1) })).toThrow(/bits must be/);
  });

  test.each([-8, 1, 7, 8.5, MIRROR_REGIONS_MAX + 8])('a part does not begin at region %d', (first) => {
    const body = plain.pack({ first });
    expect(() => codec.MirrorMapRequest.decode(body, 0, body.length)).toThrow(/first must be/);
  });

  test('as many ranges as may be cleared at once fit into a message', () => {
    const ranges = Array.from({ length: MIRROR_CLEAR_RANGES_MAX }, () => [MIRROR_REGIONS_MAX - 1, 1]).flat();
    const body = codec.MirrorClearRequest.encode({ ranges });
    expect(body.length).toBeLessThanOrEqual(MESSAGE_MAX_BYTES);
    expect(codec.MirrorClearRequest.decode(body, 0, body.length)).toEqual({ ranges });
  });

  test.each([
    { ranges: [] },
    { ranges: [0] },
    { ranges: [0, 0] },
    { ranges: [0, 1, 5] },
    { ranges: [1, MIRROR_REGIONS_MAX] },
    { ranges: Array.from({ length: 2 * MIRROR_CLEAR_RANGES_MAX + 2 }, () => 1) },
  ])('$ranges are no ranges', ({ ranges }) => {
    const body = plain.pack({ ranges });
    expect(() => codec.MirrorClearRequest.decode(body, 0, body.length)).toThrow(/ranges must be/);
  });
});
