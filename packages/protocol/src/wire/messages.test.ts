// Encodes and decodes every message, and tests invalid input: random, changed and cut bodies, fields out of bounds, unknown fields. The
// decoder's tests cover frames; auth/golden-frames.test.ts tests exact bytes.

import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { toAddress } from '@rsio/base/lib/address';
import { describe, expect, test } from 'vitest';
import { RsError } from '@rsio/base/lib/errors';
import { BODY_MAX_BYTES, INTERFACES_MAX, VOLUME_MAX_BYTES } from '@rsio/base/lib/limits';
import { HANDSHAKE_MESSAGE_MAX_BYTES } from '../auth/limits.ts';
import {
  DATA_PROCESSES_MAX,
  DEAD_PATHS_NAMED_MAX,
  EXTENTS_PER_ANSWER_MAX,
  FEATURES_OFFERED_MAX,
  HOLDERS_NAMED_MAX,
  INSTANCE_MAX,
  INTERFACES_NAMED_MAX,
  LBA_MAX,
  MAC_BYTES,
  MESSAGE_MAX_BYTES,
  SENTENCE_MAX_CHARS,
  TERM_NUMBER_MAX,
  VOLUMES_PER_FRAME_MAX,
} from './limits.ts';
import { cleanText } from './guards.ts';
import * as codec from './messages.ts';
import { type Hello, TAKE, type VolumeEntry } from './messages.ts';

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length }).map((array) => Buffer.from(array));
const name = fc.stringMatching(/^[A-Za-z0-9_.-]{1,63}$/).filter((text) => text !== '.' && text !== '..');
const token = fc.stringMatching(/^[!-~]{1,128}$/);
const featureName = fc.stringMatching(/^[a-z0-9-]{1,32}$/);
const u16 = fc.integer({ min: 1, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const counter = fc.maxSafeNat();
const milliseconds = fc.double({ min: 0, max: 2 ** 50, noNaN: true }).map((value) => value + 0);
// The decoder returns the canonical form; a test below has other spellings.
const address = fc.oneof(fc.ipV4(), fc.ipV6()).map((text) => toAddress(text) ?? text);
const sentence = fc.string({ unit: 'binary', maxLength: 600 }).map((text) => cleanText(text, SENTENCE_MAX_CHARS));
const universe = fc.integer({ min: 0, max: 3 });
const sizeBytes = fc.integer({ min: 0, max: VOLUME_MAX_BYTES });
const blockSizeBytes = fc.constantFrom(512, 4096);
const interfaces = fc.array(fc.record({ name, address, port: u16 }), { maxLength: INTERFACES_NAMED_MAX });
const features = fc.array(featureName, { maxLength: FEATURES_OFFERED_MAX });
const holder = fc.record({ node: name, address: fc.constantFrom('', '192.168.45.20'), sinceMs: milliseconds });
const holders = fc.array(holder, { maxLength: HOLDERS_NAMED_MAX });
const flag = fc.boolean();
const hex32 = fc.stringMatching(/^[0-9a-f]{32}$/);
const volume = fc.record({
  name,
  id: token,
  universe,
  sizeBytes,
  blockSizeBytes,
  readonly: flag,
  shared: flag,
  holders,
  waitsForSpace: fc.constant(true),
  heldBy: fc.stringMatching(/^[a-z][a-z0-9' ]{0,61}[a-z]$/),
  mirror: hex32,
  poolGeneration: fc.nat(),
  poolId: token,
  follows: name,
});
const extents = fc
  .array(fc.tuple(fc.integer({ min: 1, max: LBA_MAX }), fc.constantFrom(0, 1)), { minLength: 1, maxLength: 40 })
  .map((pairs) => pairs.flat());

/** Fields of OPEN, REFUSE, HELLO and LIST that peers of the first builds do not send. */
const ADDED_LATER = new Set([
  'take',
  'resume',
  'mac',
  'process',
  'dataProcess',
  'waitsForSpace',
  'heldBy',
  'mirror',
  'poolGeneration',
  'poolId',
  'follows',
]);

interface Case {
  name: string;
  message: fc.Arbitrary<object>;
  encode: (message: object) => Buffer;
  decode: (bytes: Buffer, offset: number, length: number) => object;
}

function caseOf<T extends object>(
  label: string,
  message: fc.Arbitrary<T>,
  encode: (message: T) => Buffer,
  decode: (bytes: Buffer, offset: number, length: number) => T,
): Case {
  return { name: label, message, encode: (given) => encode(given as T), decode };
}

const mainHello = fc.record({
  versions: fc.array(u16, { minLength: 1, maxLength: 16 }),
  features,
  namespaceid: fc.integer({ min: 0, max: 0xffff }),
  node: name,
  instance: fc.maxSafeNat().filter((value) => value <= INSTANCE_MAX),
  machine: token,
  boot: token,
  process: fc.option(token),
  interface: name,
  nonce: bytes(32),
});

const dataProcess = fc.integer({ min: 1, max: DATA_PROCESSES_MAX });
const hello = fc.oneof(
  mainHello,
  fc.tuple(mainHello, dataProcess).map(([of, number]) => ({ ...of, dataProcess: number })),
);

/** A gate record. */
const record = fc.uint8Array({ maxLength: 300 }).map((value) => Buffer.from(value));

const CASES: readonly Case[] = [
  caseOf('HELLO', hello, codec.Hello.encode, codec.Hello.decode),
  caseOf(
    'CHALLENGE',
    fc.record({ version: u16, features, server: name, serverid: fc.nat(255), instance: hex32, nonce: bytes(32) }),
    codec.Challenge.encode,
    codec.Challenge.decode,
  ),
  caseOf(
    'PROOF',
    fc.record({ session: fc.option(bytes(16)), dead: fc.array(u32, { maxLength: DEAD_PATHS_NAMED_MAX }) }),
    codec.Proof.encode,
    codec.Proof.decode,
  ),
  caseOf(
    'WELCOME',
    fc.record({
      session: bytes(16),
      path: u32,
      slots: fc.integer({ min: 9, max: 0xffff }),
      windowBytes: fc.integer({ min: 2 * BODY_MAX_BYTES, max: Number.MAX_SAFE_INTEGER }),
      interfaces,
      generation: counter,
    }),
    codec.Welcome.encode,
    codec.Welcome.decode,
  ),
  caseOf('BYE', fc.record({ code: fc.stringMatching(/^E_[A-Z_]{1,40}$/), sentence }), codec.Farewell.encode, codec.Farewell.decode),
  caseOf(
    'REFUSE',
    fc.record({ code: fc.stringMatching(/^E_[A-Z_]{1,40}$/), sentence, mac: fc.option(bytes(32)) }),
    codec.Refuse.encode,
    codec.Refuse.decode,
  ),
  caseOf(
    'PING',
    fc.record({ number: counter, clockMs: milliseconds, heard: counter, oldestMs: milliseconds, generation: counter }),
    codec.Ping.encode,
    codec.Ping.decode,
  ),
  caseOf(
    'LIST',
    fc.record({ generation: counter, interfaces, volumes: fc.array(volume, { maxLength: 5 }) }),
    (message) => codec.encodeListAnswers(message)[0]!,
    codec.ListAnswer.decode,
  ),
  caseOf(
    'OPEN',
    fc.record({
      name,
      universe,
      readonly: flag,
      take: fc.constantFrom(...Object.values(TAKE)),
      resume: fc.option(token),
      mirror: fc.option(fc.record({ mirror: hex32, number: fc.integer({ min: 1, max: TERM_NUMBER_MAX }) })),
    }),
    codec.OpenRequest.encode,
    codec.OpenRequest.decode,
  ),
  caseOf(
    'OPEN answer',
    fc.record({
      handle: fc.nat(0xffff),
      id: token,
      sizeBytes,
      blockSizeBytes,
      readonly: flag,
      shared: flag,
      canDiscard: flag,
      identity: token,
      life: token,
      poolGeneration: fc.nat(),
      poolId: token,
    }),
    codec.OpenAnswer.encode,
    codec.OpenAnswer.decode,
  ),
  caseOf('failure', fc.record({ sentence, holders }), codec.FailureAnswer.encode, codec.FailureAnswer.decode),
  caseOf(
    'IDENTIFY',
    fc.record({ name, id: token, type: token, sizeBytes, blockSizeBytes, readonly: flag, canDiscard: flag, canExtents: flag }),
    codec.IdentifyAnswer.encode,
    codec.IdentifyAnswer.decode,
  ),
  caseOf(
    'EXTENTS',
    fc.record({ lba: fc.integer({ min: 0, max: LBA_MAX }), sectors: fc.integer({ min: 1, max: LBA_MAX }) }),
    codec.ExtentsRequest.encode,
    codec.ExtentsRequest.decode,
  ),
  caseOf('EXTENTS answer', fc.record({ extents }), codec.ExtentsAnswer.encode, codec.ExtentsAnswer.decode),
  caseOf('SNAPSHOTS', fc.record({ after: fc.option(token) }), codec.SnapshotsRequest.encode, codec.SnapshotsRequest.decode),
  caseOf(
    'SNAPSHOTS answer',
    fc.record({ snapshots: fc.array(fc.record({ name, id: token }), { maxLength: 5 }), hasMore: flag }),
    codec.SnapshotsAnswer.encode,
    codec.SnapshotsAnswer.decode,
  ),
  caseOf(
    'CHANGES',
    fc.record({ since: token, lba: fc.integer({ min: 0, max: LBA_MAX }), sectors: fc.integer({ min: 1, max: LBA_MAX }) }),
    codec.ChangesRequest.encode,
    codec.ChangesRequest.decode,
  ),
  caseOf('RECORD_READ', fc.record({ id: token }), codec.RecordReadRequest.encode, codec.RecordReadRequest.decode),
  caseOf('RECORD_READ answer', fc.record({ record: fc.option(record) }), codec.RecordAnswer.encode, codec.RecordAnswer.decode),
  caseOf('RECORD_WRITE', fc.record({ record }), codec.RecordWriteRequest.encode, codec.RecordWriteRequest.decode),
];

/** Returns the message of the error from decoding; undefined if decoding succeeds. Any error other than E_PROTOCOL fails the test. */
function refusalOf(decode: () => unknown): string | undefined {
  try {
    decode();
    return undefined;
  } catch (thrown) {
    if (!(thrown instanceof RsError) || thrown.code !== 'E_PROTOCOL') throw thrown;
    return thrown.message;
  }
}

const plain = new Packr({ useRecords: false, variableMapSize: true });

describe.each(CASES)('$name', ({ message, encode, decode }) => {
  test('is read as it was written, from the middle of a buffer', () => {
    fc.assert(
      fc.property(message, fc.nat(40), (given, offset) => {
        const body = encode(given);
        const buffer = Buffer.concat([Buffer.alloc(offset, 0xc1), body, Buffer.alloc(7, 0xc1)]);
        expect(decode(buffer, offset, body.length)).toEqual(given);
      }),
    );
  });

  test('every cut of it is refused', () => {
    const [given] = fc.sample(message, { numRuns: 1, seed: 7 });
    const body = encode(given!);
    for (let length = 0; length < body.length; length++) expect(refusalOf(() => decode(body, 0, length))).toMatch(/ must be /);
  });

  test('unknown fields are omitted, including __proto__ and constructor', () => {
    fc.assert(
      fc.property(message, (given) => {
        const fields = plain.unpack(encode(given)) as Record<string, unknown>;
        const extended = new Map<string, unknown>([
          ['__proto__', { polluted: true }],
          ['constructor', 1],
          ['later', [1, { a: 2 }]],
        ]);
        for (const [key, field] of Object.entries(fields)) extended.set(key, field);
        const body = plain.pack(extended);
        const decoded = decode(body, 0, body.length);
        expect(decoded).toEqual(given);
        expect(Object.getPrototypeOf(decoded)).toBe(Object.prototype);
        expect('polluted' in {}).toBe(false);
      }),
      { numRuns: 20 },
    );
  });

  test('an error names a missing or wrong field, and not its content', () => {
    const [given] = fc.sample(message, { numRuns: 1, seed: 3 });
    const fields = plain.unpack(encode(given!)) as Record<string, unknown>;
    for (const key of Object.keys(fields)) {
      for (const bad of [undefined, { hidden: 'hidden' }, ['hidden\n'], new Date(0), 2n ** 63n, Number.NaN, -1, 0.5, 'hidden\n', true]) {
        if (typeof bad === typeof fields[key] && !Array.isArray(fields[key])) continue;
        if (bad === undefined && ADDED_LATER.has(key)) continue;
        const changed = { ...fields, [key]: bad };
        if (bad === undefined) delete changed[key];
        const body = plain.pack(changed);
        const refusal = refusalOf(() => decode(body, 0, body.length));
        if (bad instanceof Date) expect(refusal).toMatch(/without extension types/);
        else expect(refusal).toMatch(new RegExp(`: field ${key}(\\[0\\])? must be `));
        expect(refusal).not.toMatch(/hidden/);
      }
    }
  });
});

const HELLO: Hello = {
  versions: [1],
  features: [],
  namespaceid: 200,
  node: 'big-2',
  instance: 1,
  machine: 'm',
  boot: 'b',
  process: 'p',
  interface: 'if0',
  nonce: Buffer.alloc(32),
};

test('OPEN has the name of a volume or of a snapshot, and a LIST that of a volume only', () => {
  const opened = (name: string): string => {
    const body = codec.OpenRequest.encode({ name, universe: 0, readonly: true });
    return codec.OpenRequest.decode(body, 0, body.length).name;
  };
  for (const name of ['oracle', 'oracle@monday', `${'v'.repeat(63)}@${'s'.repeat(63)}`]) expect(opened(name)).toBe(name);
  for (const name of [
    'oracle@',
    '@monday',
    'oracle@1',
    'oracle@.new-x',
    'oracle@a@b',
    '..@monday',
    'oracle@a/b',
    `oracle@${'s'.repeat(64)}`,
  ])
    expect(() => opened(name)).toThrow(/OPEN: field name must be/);
});

test('OPEN of a peer without take-over, resuming and mirrors asks for none of them', () => {
  const body = plain.pack({ name: 'oracle', universe: 0, readonly: true });
  expect(codec.OpenRequest.decode(body, 0, body.length)).toEqual({
    name: 'oracle',
    universe: 0,
    readonly: true,
    take: TAKE.NO,
    resume: null,
    mirror: null,
  });
});

test('HELLO of a client of the first builds has no process', () => {
  const { process: _none, ...first } = HELLO;
  const body = plain.pack(first);
  expect(codec.Hello.decode(body, 0, body.length).process).toBeNull();
});

test('HELLO of the main process has no number of a data process, as in the first builds', () => {
  const body = codec.Hello.encode({ ...HELLO, dataProcess: 0 });
  expect(body).toEqual(codec.Hello.encode(HELLO));
  expect(codec.Hello.decode(body, 0, body.length).dataProcess).toBeUndefined();
  for (const dataProcess of [1, DATA_PROCESSES_MAX]) {
    const sent = codec.Hello.encode({ ...HELLO, dataProcess });
    expect(codec.Hello.decode(sent, 0, sent.length).dataProcess).toBe(dataProcess);
  }
});

test('REFUSE of a peer without a mac', () => {
  const body = plain.pack({ code: 'E_LIMIT', sentence: 'Too many' });
  expect(codec.Refuse.decode(body, 0, body.length)).toEqual({ code: 'E_LIMIT', sentence: 'Too many', mac: null });
});

describe('bounds', () => {
  test.each<[string, Partial<Hello>]>([
    ['versions', { versions: [] }],
    ['versions', { versions: new Array<number>(17).fill(1) }],
    ['versions[1]', { versions: [1, 0] }],
    ['features', { features: new Array<string>(33).fill('a') }],
    ['features[0]', { features: ['a'.repeat(33)] }],
    ['namespaceid', { namespaceid: 65536 }],
    ['node', { node: '' }],
    ['node', { node: '..' }],
    ['node', { node: 'a'.repeat(64) }],
    ['node', { node: 'a\nb' }],
    ['node', { node: 'big-2\n' }],
    ['instance', { instance: 2 ** 53 }],
    ['machine', { machine: 'a'.repeat(129) }],
    ['boot', { boot: 'a b' }],
    ['process', { process: 'a b' }],
    ['process', { process: 'p'.repeat(129) }],
    ['instance', { instance: Number.MAX_SAFE_INTEGER }],
    ['dataProcess', { dataProcess: DATA_PROCESSES_MAX + 1 }],
    ['dataProcess', { dataProcess: -1 }],
    ['dataProcess', { dataProcess: 1.5 }],
    ['dataProcess', { dataProcess: '1' as unknown as number }],
    ['nonce', { nonce: Buffer.alloc(31) }],
    ['nonce', { nonce: Buffer.alloc(33) }],
  ])('HELLO with a wrong %s is refused by both ends', (field, change) => {
    const body = plain.pack({ ...HELLO, ...change });
    expect(refusalOf(() => codec.Hello.decode(body, 0, body.length))).toContain(`HELLO: field ${field} must be `);
    expect(() => codec.Hello.encode({ ...HELLO, ...change })).toThrow(expect.objectContaining({ code: 'E_INTERNAL' }));
  });

  test('the error says what a name may be', () => {
    expect(refusalOf(() => codec.Hello.decode(plain.pack({ ...HELLO, node: '/' }), 0, plain.pack({ ...HELLO, node: '/' }).length))).toBe(
      'HELLO: field node must be a name of 1 to 63 characters out of A-Z a-z 0-9 _ . -, but not . or ..',
    );
  });

  test('the largest HELLO, PROOF, REFUSE and WELCOME fit the handshake', () => {
    const longest = { ...HELLO, versions: new Array<number>(16).fill(65535), features: new Array<string>(32).fill('f'.repeat(32)) };
    const text = 'a'.repeat(63);
    const identity = {
      node: text,
      interface: text,
      machine: 'm'.repeat(128),
      boot: 'b'.repeat(128),
      process: 'p'.repeat(128),
      instance: INSTANCE_MAX,
      dataProcess: DATA_PROCESSES_MAX,
    };
    expect(codec.Hello.encode({ ...longest, ...identity }).length).toBeLessThanOrEqual(HANDSHAKE_MESSAGE_MAX_BYTES);
    const proof = codec.Proof.encode({ session: Buffer.alloc(16), dead: new Array<number>(DEAD_PATHS_NAMED_MAX).fill(0xffffffff) });
    expect(proof.length + 2 * MAC_BYTES).toBeLessThanOrEqual(HANDSHAKE_MESSAGE_MAX_BYTES);
    const refusal = codec.Refuse.encode({ code: 'E_AUTH', sentence: '\u20ac'.repeat(10_000), mac: Buffer.alloc(MAC_BYTES) });
    expect(refusal.length).toBeLessThanOrEqual(HANDSHAKE_MESSAGE_MAX_BYTES);
    const one = { name: text, address: '1111:2222:3333:4444:5555:6666:7777:8888', port: 65535 };
    const welcome = codec.Welcome.encode({
      session: Buffer.alloc(16),
      path: 0xffffffff,
      slots: 65535,
      windowBytes: Number.MAX_SAFE_INTEGER,
      interfaces: new Array<typeof one>(INTERFACES_MAX).fill(one),
      generation: Number.MAX_SAFE_INTEGER,
    });
    expect(welcome.length + MAC_BYTES).toBeLessThanOrEqual(HANDSHAKE_MESSAGE_MAX_BYTES);
  });

  test('extents: at most as many as one answer holds, always whole pairs', () => {
    const full = new Array<number>(2 * EXTENTS_PER_ANSWER_MAX).fill(1);
    expect(codec.ExtentsAnswer.encode({ extents: full }).length).toBeLessThanOrEqual(MESSAGE_MAX_BYTES);
    for (const wrong of [[], [8], [8, 0, 8], [0, 0], [8, 2], [...full, 1, 1]]) {
      const body = plain.pack({ extents: wrong });
      expect(refusalOf(() => codec.ExtentsAnswer.decode(body, 0, body.length))).toMatch(/extents.* must be /);
    }
  });

  test('a small body cannot claim much memory or depth', () => {
    const claims = [Buffer.from('ddffffffff', 'hex'), Buffer.from('dfffffffff', 'hex'), Buffer.from('dbffffffff', 'hex')];
    for (const claim of [...claims, Buffer.alloc(2048, 0xdd), Buffer.alloc(2048, 0x91), Buffer.alloc(60_000, 0x81)]) {
      expect(refusalOf(() => codec.Hello.decode(claim, 0, claim.length))).toMatch(/must be one MessagePack map/);
    }
  });
});

test('a server that writes one address in two ways names one address', () => {
  const spellings = ['FD00:78:0::20', 'fd00:0078::0020', 'fd00:78::20', '::ffff:10.0.0.1', '0:0:0:0:0:FFFF:A00:1'];
  const body = plain.pack({ generation: 1, interfaces: spellings.map((address) => ({ name: 'if1', address, port: 5000 })), volumes: [] });
  const { interfaces } = codec.ListAnswer.decode(body, 0, body.length);
  expect(interfaces.map((one) => one.address)).toEqual(['fd00:78::20', 'fd00:78::20', 'fd00:78::20', '10.0.0.1', '10.0.0.1']);
});

test.each(['10.0.0.256', '10.0.0', '10.0.0.01', 'host', '', ':::', '1::2::3', 'fe80::1%eth0', '::1]', '1:2:3:4:5:6:7:8:9', 10])(
  '%s is no address',
  (address) => {
    const body = plain.pack({ generation: 1, interfaces: [{ name: 'if1', address, port: 5000 }], volumes: [] });
    expect(refusalOf(() => codec.ListAnswer.decode(body, 0, body.length))).toBe(
      'LIST answer: field interfaces[0].address must be an IP address',
    );
  },
);

test('numbers above 2^32 may come as uint64 from other implementations', () => {
  const body = Buffer.from('82a36c6261cf0000010000000000a7736563746f7273d30000000200000000', 'hex');
  expect(codec.ExtentsRequest.decode(body, 0, body.length)).toEqual({ lba: 2 ** 40, sectors: 2 ** 33 });
});

test("a peer's sentence is shown without control and direction characters, on one line", () => {
  const body = plain.pack({ code: 'E_LATER', sentence: '\u001b[2Jno\r\nroom\u0000 \u202eleft\u0007' });
  expect(codec.Farewell.decode(body, 0, body.length)).toEqual({ code: 'E_LATER', sentence: '[2Jno room   left' });
});

test('a decoded message does not refer to the receive buffer', () => {
  const body = codec.Hello.encode({ ...HELLO, nonce: Buffer.alloc(32, 5) });
  const decoded = codec.Hello.decode(body, 0, body.length);
  body.fill(0);
  expect(decoded.nonce).toEqual(Buffer.alloc(32, 5));
});

describe('a long list', () => {
  const entry = (index: number): VolumeEntry => ({
    name: `volume-${index}`,
    id: `6f1c8a52-0b7e-4c1e-9a53-${String(index).padStart(12, '0')}`,
    universe: 0,
    sizeBytes: 2 ** 40,
    blockSizeBytes: 512,
    readonly: false,
    shared: true,
    holders: new Array<VolumeEntry['holders'][number]>(index % 40).fill({ node: 'n'.repeat(63), address: '10.0.0.1', sinceMs: 1 }),
    waitsForSpace: false,
  });

  test('is split into bodies of at most one message, in order, each nearly full', () => {
    const one = { name: 'if1', address: '192.168.45.10', port: 5000 };
    const volumes = Array.from({ length: 1000 }, (_, index) => entry(index));
    const bodies = codec.encodeListAnswers({ generation: 9, interfaces: [one], volumes });
    const parts = bodies.map((body) => codec.ListAnswer.decode(body, 0, body.length));
    for (const body of bodies) expect(body.length).toBeLessThanOrEqual(MESSAGE_MAX_BYTES);
    for (const body of bodies.slice(0, -1)) expect(body.length).toBeGreaterThan(MESSAGE_MAX_BYTES - 8 * 1024);
    expect(parts.flatMap((part) => part.volumes.map((volume) => volume.name))).toEqual(volumes.map((volume) => volume.name));
    expect(parts.flatMap((part) => part.interfaces)).toEqual([one]);
    expect(parts.every((part) => part.generation === 9)).toBe(true);
    expect(parts.flatMap((part) => part.volumes)[39]!.holders.length).toBe(HOLDERS_NAMED_MAX);
  });

  test('an empty one is one body', () => {
    expect(codec.encodeListAnswers({ generation: 0, interfaces: [], volumes: [] }).length).toBe(1);
  });

  test('of the smallest entries stays within the number of volumes of a frame', () => {
    const volumes = new Array<VolumeEntry>(2500).fill({ ...entry(0), name: 'v', id: 'i', sizeBytes: 0 });
    for (const body of codec.encodeListAnswers({ generation: 0, interfaces: [], volumes })) {
      expect(codec.ListAnswer.decode(body, 0, body.length).volumes.length).toBeLessThanOrEqual(VOLUMES_PER_FRAME_MAX);
    }
  });
});
