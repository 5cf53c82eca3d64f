// Compares docs/PROTOCOL.md with the code: frames, flags, statuses, ioctls, the fields of every message in order, headers, and every number
// that is given with the name of its bound. auth/golden-doc.test.ts compares exact handshake frames.

import { Packr } from 'msgpackr';
import { describe, expect, test } from 'vitest';
import { ERRORS } from '@rsio/base/lib/errors';
import { allLimits } from '@rsio/base/testing/all-limits';
import { codeOf, readDocument, tableOf } from '@rsio/base/testing/document';
import { ANSWER, FLAG, type FrameEntry, FRAMES, frameName, OP } from './frames.ts';
import { writeIoHeader } from './header.ts';
import * as codec from './messages.ts';
import { ADMIN, EXTENT, IOCTL } from './messages.ts';
import { VOTE, VOTED } from './mirror-messages.ts';
import * as mirrors from './mirror-messages.ts';
import { STATUSES } from './status.ts';

const page = readDocument('PROTOCOL.md');
const hex = (number: number): string => `0x${number.toString(16).padStart(2, '0')}`;
const unpacker = new Packr({ useRecords: false, mapsAsObjects: true });

function bodyText({ shape, body }: FrameEntry): string {
  if (shape === 'message') return 'message';
  return { none: 'none', request: 'in the request', answer: 'in the answer' }[body];
}

function frameRow(entry: FrameEntry): string[] {
  const { op, name, from, shape, answeredBy, isSlotted: slotted, again } = entry;
  const copy = { copy: 'runs again', never: 'never runs again', '-': '-' }[again];
  const answer = answeredBy === null ? '-' : frameName(answeredBy);
  return [hex(op), name, from, shape === 'io' ? 'I/O' : 'message', bodyText(entry), answer, slotted ? 'yes' : 'no', copy];
}

test('frames', () => {
  expect(tableOf(page, '## Frames')).toEqual(FRAMES.map(frameRow));
});

test('flags', () => {
  const rows = tableOf(page, '### Flags').map(([value, name]) => [value, name]);
  expect(rows).toEqual(Object.entries(FLAG).map(([name, value]) => [hex(value), name]));
});

test('statuses', () => {
  expect(tableOf(page, '### Status')).toEqual(STATUSES.map(({ status, name, errno, sentence }) => [String(status), name, errno, sentence]));
});

test('ioctls', () => {
  const rows = tableOf(page, '### IOCTL').map(([number, name]) => [number, name]);
  expect(rows).toEqual(Object.entries(IOCTL).map(([name, number]) => [String(number), name]));
});

test('kinds of ADMIN', () => {
  const rows = tableOf(page, '### ADMIN').map(([number, name]) => [number, name]);
  expect(rows).toEqual(Object.entries(ADMIN).map(([name, number]) => [String(number), name]));
});

test('kinds and outcomes of VOTE', () => {
  const [kinds, outcomes] = page.split('\n### VOTE\n')[1]!.split('\n#### ')[0]!.split('Any other number');
  const rowsOf = (text: string): string[][] =>
    [...text.matchAll(/^\| (\d+) \| ([A-Z_]+) \|/gm)].map(([, number, name]) => [name!, number!]);
  expect(rowsOf(kinds!)).toEqual(Object.entries(VOTE).map(([name, number]) => [name, String(number)]));
  expect(rowsOf(outcomes!)).toEqual(Object.entries(VOTED).map(([name, number]) => [name, String(number)]));
});

test('the two headers', () => {
  const headers = [Buffer.alloc(16), Buffer.alloc(16)] as const;
  writeIoHeader(headers[0], 0, OP.READ, 0, 1, 3, 1, 4096, 16);
  writeIoHeader(headers[1], 0, OP.READ | ANSWER, 0, 0, 3, 1, 4096, 16);
  const blocks = codeOf(page, '## Frame');
  expect(blocks.at(-1)).toEqual(headers.map((header) => header.toString('hex')));
});

const nonce = Buffer.alloc(32);
const holder = { node: 'venus', address: '10.0.0.1', sinceMs: 1 };
const port = { name: 'if1', address: '10.0.0.1', port: 5000 };
const volume = {
  name: 'oracle',
  id: 'id',
  universe: 0,
  sizeBytes: 512,
  blockSizeBytes: 512,
  readonly: false,
  shared: false,
  holders: [holder],
  waitsForSpace: true,
  heldBy: 'its limit of 500 iops',
  mirror: '0'.repeat(32),
  poolGeneration: 1,
  poolId: 'pool',
  follows: 'big-2',
};
const list = codec.encodeListAnswers({ generation: 1, interfaces: [port], volumes: [volume] })[0]!;
const older = codec.SnapshotsAnswer.encode({ snapshots: [{ name: 'monday', id: 'id' }], hasMore: false });
const welcome = codec.Welcome.encode({
  session: Buffer.alloc(16),
  path: 0,
  slots: 256,
  windowBytes: 2 ** 25,
  interfaces: [port],
  generation: 1,
  release: '0.2.0',
  wallMs: 1,
  keyUsed: 0,
});

const id = '0'.repeat(32);
const mirrorConfig = {
  k: 1,
  inSync: [id],
  clean: false,
  clients: null,
  members: [{ identity: id, serverid: 1, volume: 'db', universe: 0 }],
  voters: [{ voter: id, serverid: 1 }],
  nextVoters: null,
  sizeBytes: 512,
  note: 'n',
};
const term = { number: 1, node: 'big-2', instance: 1 };
const stored = { term, config: mirrorConfig };
const replica = { identity: id, incarnation: 'life', volume: 'db', universe: 0, sizeBytes: 512, lacksTerm: term };
const voteAnswer = mirrors.VoteAnswer.encode({
  voted: VOTED.DONE,
  sentence: '',
  voter: id,
  promise: term,
  stored,
  replica,
  keepsNotes: true,
});
const openTerm = { mirror: id, number: 1 };
const openedReplica = codec.OpenRequest.encode({ name: 'oracle', universe: 0, readonly: false, mirror: openTerm });

/** Returns the map at `path` within a decoded body. */
function part(body: Buffer, ...path: readonly (string | number)[]): object {
  return path.reduce<object>((value, key) => Reflect.get(value, key) as object, unpacker.unpack(body) as object);
}

const MESSAGES: readonly (readonly [string, object])[] = [
  [
    '### HELLO',
    part(
      codec.Hello.encode({
        nonce,
        share: nonce,
        interface: 'if0',
        boot: 'b',
        process: 'p',
        dataProcess: 8,
        machine: 'm',
        instance: 1,
        node: 'big-2',
        namespaceid: 1,
        features: [],
        versions: [1],
      }),
    ),
  ],
  [
    '### CHALLENGE',
    part(codec.Challenge.encode({ version: 1, features: [], server: 'big-9', serverid: 1, instance: 'a'.repeat(32), nonce, share: nonce })),
  ],
  ['### PROOF', part(codec.Proof.encode({ session: null, dead: [] }))],
  ['### WELCOME', part(welcome)],
  ['#### Interface', part(welcome, 'interfaces', 0)],
  ['### REFUSE and BYE', part(codec.Refuse.encode({ code: 'E_LIMIT', sentence: '', mac: null }))],
  ['### PING and PONG', part(codec.Ping.encode({ number: 1, clockMs: 1, heard: 1, oldestMs: 0, generation: 0 }))],
  ['### REVOKE and REVOKED', part(codec.Revoke.encode({ tags: [] }))],
  ['### LIST answer', part(list)],
  ['#### Volume', part(list, 'volumes', 0)],
  ['#### Holder', part(list, 'volumes', 0, 'holders', 0)],
  ['### OPEN', part(openedReplica)],
  ['#### Term of a replica', part(openedReplica, 'mirror')],
  [
    '### OPEN answer',
    part(codec.OpenAnswer.encode({ ...volume, handle: 1, blockSizeBytes: 512, canDiscard: true, identity: 'i', life: 'l' })),
  ],
  ['### Failure answer', part(codec.FailureAnswer.encode({ sentence: '', holders: [] }))],
  [
    '#### IDENTIFY answer',
    part(codec.IdentifyAnswer.encode({ ...volume, type: 'file', blockSizeBytes: 512, canDiscard: true, canExtents: true })),
  ],
  ['#### EXTENTS', part(codec.ExtentsRequest.encode({ lba: 0, sectors: 1 }))],
  ['#### EXTENTS answer', part(codec.ExtentsAnswer.encode({ extents: [1, EXTENT.DATA] }))],
  ['#### SNAPSHOTS', part(codec.SnapshotsRequest.encode({ after: null }))],
  ['#### SNAPSHOTS answer', part(older)],
  ['#### Snapshot', part(older, 'snapshots', 0)],
  ['#### CHANGES', part(codec.ChangesRequest.encode({ since: 'id', lba: 0, sectors: 1 }))],
  ['#### RECORD_READ', part(codec.RecordReadRequest.encode({ id: 'id' }))],
  ['#### RECORD_READ answer', part(codec.RecordAnswer.encode({ record: null }))],
  ['#### RECORD_WRITE', part(codec.RecordWriteRequest.encode({ record: nonce }))],
  ['#### NODES_SEEN', part(codec.NodesSeenRequest.encode({ id: 'id', nodes: ['big-2'] }))],
  ['#### NODES_SEEN answer', part(codec.NodesSeenAnswer.encode({ silentMs: [0] }))],
  ['#### MIRROR_MAP', part(mirrors.MirrorMapRequest.encode({ first: 0 }))],
  ['#### MIRROR_MAP answer', part(mirrors.MirrorMapAnswer.encode({ regions: 1, first: 0, bits: nonce }))],
  ['#### MIRROR_CLEAR', part(mirrors.MirrorClearRequest.encode({ ranges: [0, 1] }))],
  ['#### MIRROR_SUMS', part(mirrors.MirrorSumsRequest.encode({ lba: 0, sectors: 1, pieceSectors: 1 }))],
  ['#### MIRROR_SUMS answer', part(mirrors.MirrorSumsAnswer.encode({ sums: nonce }))],
  ['#### ADMIN CALL', part(codec.AdminCall.encode({ request: 'r', method: 'm', params: nonce, withinMs: 1 }))],
  ['#### ADMIN REST', part(codec.AdminRest.encode({ answer: 1, offset: 0 }))],
  ['#### ADMIN answer', part(codec.AdminAnswer.encode({ answer: 0, totalBytes: 32, part: nonce }))],
  ['#### VOTE FOUND', part(mirrors.VoteFound.encode({ mirror: id, name: 'db', universe: 0 }))],
  ['#### VOTE CLAIM', part(mirrors.VoteClaim.encode({ mirror: id, number: 1, takesOver: false }))],
  ['#### VOTE CONFIG', part(mirrors.VoteConfig.encode({ mirror: id, number: 1, config: mirrorConfig }))],
  ['#### VOTE RECORD', part(mirrors.VoteRecord.encode({ mirror: id }))],
  ['#### VOTE PLACE', part(mirrors.VotePlace.encode({ mirror: id, number: 1, volume: 'db', universe: 0 }))],
  ['#### VOTE CONFIRM, DISMISS or UNPLACE', part(mirrors.VoteTerm.encode({ mirror: id, number: 1 }))],
  ['#### Configuration', part(voteAnswer, 'stored', 'config')],
  ['#### Member', part(voteAnswer, 'stored', 'config', 'members', 0)],
  ['#### Voter', part(voteAnswer, 'stored', 'config', 'voters', 0)],
  ['#### VOTE answer', part(voteAnswer)],
  ['#### Term', part(voteAnswer, 'promise')],
  ['#### Stored configuration', part(voteAnswer, 'stored')],
  ['#### Replica', part(voteAnswer, 'replica')],
];

describe('fields in the order on the wire', () => {
  test.each(MESSAGES)('%s', (heading, message) => {
    expect(tableOf(page, heading).map(([field]) => field)).toEqual(Object.keys(message));
  });

  test('every message body is on the page', () => {
    const headings = page
      .split('\n## Message bodies\n')[1]
      ?.split('\n## ')[0]
      ?.match(/^#{3,4} .*$/gm);
    const bodiless = ['### FENCE, FENCED and NOTIFY', '### CLOSE', '### IOCTL', '### ADMIN', '### VOTE'];
    expect(headings?.toSorted()).toEqual([...MESSAGES.map(([heading]) => heading), ...bodiless].toSorted());
  });
});

const BOUNDS = await allLimits();
const FACTORS: Readonly<Record<string, number>> = { ms: 1, s: 1000, KiB: 1024, MiB: 1024 ** 2 };

/** Numbers that the document gives for a bound: `3 s (NAME)` in text, `| NAME | 3 s |` in a table. */
function statedBounds(): { name: string; value: number; text: string }[] {
  const unit = '(\\s+(?:ms|s|bytes|KiB|MiB)\\b)?';
  const inText = [...page.matchAll(new RegExp(`(\\d[\\d,]*)${unit}\\s+\\(\`([A-Z][A-Z0-9_]+)\`\\)`, 'g'))];
  const inTable = [...page.matchAll(new RegExp(`^\\| \`([A-Z][A-Z0-9_]+)\` \\| (\\d[\\d,]*)${unit} \\|`, 'gm'))];
  const stated = (name: string, digits: string, unitText: string | undefined, text: string) => ({
    name,
    value: Number(digits.replaceAll(',', '')) * (FACTORS[unitText?.trim() ?? ''] ?? 1),
    text,
  });
  return [
    ...inText.map(([text, digits, unitText, name]) => stated(name!, digits!, unitText, text)),
    ...inTable.map(([text, name, digits, unitText]) => stated(name!, digits!, unitText, text)),
  ];
}

describe('bounds', () => {
  const stated = statedBounds();

  test('every number is that of a limits.ts', () => {
    expect(stated.filter(({ name, value }) => BOUNDS.get(name) !== value)).toEqual([]);
    expect(stated.length).toBeGreaterThan(60);
  });

  test('every named bound has its number', () => {
    const named = [...page.matchAll(/`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)`/g)].map(([, name]) => name!);
    const known = new Set([...stated.map(({ name }) => name), ...Object.keys(ERRORS)]);
    expect(named.filter((name) => !known.has(name))).toEqual([]);
  });

  test('every named code exists', () => {
    const codes = [...page.matchAll(/\bE_[A-Z_]+/g)].map(([code]) => code);
    expect(codes.filter((code) => !(code in ERRORS))).toEqual([]);
    expect(codes.length).toBeGreaterThan(5);
  });
});
