// Servers that misbehave after WELCOME: useless frames, answers without a request, invalid answers. For each misbehaviour, rsiod closes the
// path with a reason. conduct.ts has the cases about rsiod's own conduct towards a server.

import { ANSWER_PARTS_MAX_BYTES } from '@rsio/protocol/client/limits';
import { IO_MAX_SECTORS, MESSAGE_MAX_BYTES, VOLUMES_PER_FRAME_MAX } from '@rsio/protocol/wire/limits';
import { ANSWER, FLAG, frameName, OP } from '@rsio/protocol/wire/frames';
import { Farewell } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { frameBytes, type RawFrame, type RawRequest } from '../../support/peers/raw-peer.ts';
import type { Meddle } from '../../support/peers/raw-server.ts';
import { type ClientCase, closingCase } from '../base/case.ts';
import { hex, pack, type Packable } from '../base/pack.ts';
import { answering, at, behindWelcome, tag } from './meddling.ts';

function stray(id: string, section: string, expects: string, request: RawRequest, error: RegExp): ClientCase {
  return closingCase(
    `client.stray.${id}`,
    section,
    `${expects} closes the path`,
    error,
    behindWelcome(() => frameBytes(request)),
  );
}

/** Makes a case with a frame that only a client may send, or that a server may not send at this point. */
function outOfPlace(request: RawRequest): ClientCase {
  const name = frameName(request.op);
  return closingCase(
    `client.direction.${name.toLowerCase()}`,
    'Frames',
    `${name} of a server closes the path`,
    new RegExp(`Protocol error of the server: ${name} is not allowed here`),
    behindWelcome(() => frameBytes(request)),
  );
}

const OWES_NONE = /, of which this path owes none/;

const STRAY_CASES: readonly ClientCase[] = [
  stray(
    'read',
    'S3',
    'An answer to a READ that the client did not send',
    { op: OP.READ | ANSWER, slot: 5, seq: 1, count: 8, body: Buffer.alloc(4096) },
    OWES_NONE,
  ),
  stray('slot', 'S3', 'An answer in a slot that was not granted', { op: OP.WRITE | ANSWER, slot: 0xffff, seq: 0xffff }, OWES_NONE),
  stray('revoked', 'S11', 'REVOKED that was not asked for', { op: OP.REVOKED, aux: 3 }, /REVOKED for handle 3, which was not asked for/),
  stray('fenced', 'S5', 'FENCED that was not asked for', { op: OP.FENCED, aux: 3 }, /FENCED for path 3, which was not asked for/),
  stray('garbage', 'Frame', 'Garbage', { op: 0xee }, /op 0xee: no such frame/),
  stray('op-0', 'Frame', 'Op 0', { op: 0 }, /op 0x0: no such frame/),
  stray('ping-answer', 'Frame', 'An answer to PING with bit 7', { op: OP.PING | ANSWER }, /PING answer: no such frame/),
  stray(
    'large-read',
    'Frame',
    'An answer of 2,049 sectors',
    { op: OP.READ | ANSWER, count: IO_MAX_SECTORS + 1 },
    /READ answer: 2049 sectors, at most 2048/,
  ),
  stray(
    'long-message',
    'Frame',
    'A message of more than 64 KiB',
    { op: OP.LIST | ANSWER, length: MESSAGE_MAX_BYTES + 1 },
    /LIST answer: body of 65537 bytes/,
  ),
  stray('huge-message', 'Frame', 'A message that claims 4 GiB', { op: OP.BYE, length: 0xffffffff }, /BYE: body of 4294967295 bytes/),
  stray('bad-ping', 'PING and PONG', 'A PING that is none', { op: OP.PING, body: hex('c1') }, /PING or PONG: body of 1 bytes must be/),
  stray('bad-pong', 'PING and PONG', 'A PONG without a body', { op: OP.PONG }, /PING or PONG: body of 0 bytes must be/),
  stray('bad-bye', 'REFUSE and BYE', 'A BYE that says nothing', { op: OP.BYE }, /REFUSE or BYE: body of 0 bytes must be/),
  outOfPlace({ op: OP.HELLO }),
  outOfPlace({ op: OP.CHALLENGE }),
  outOfPlace({ op: OP.PROOF }),
  outOfPlace({ op: OP.WELCOME }),
  outOfPlace({ op: OP.REFUSE }),
  outOfPlace({ op: OP.FENCE, aux: 1 }),
  outOfPlace({ op: OP.REVOKE, aux: 1 }),
  outOfPlace({ op: OP.LIST, seq: 1 }),
  outOfPlace({ op: OP.OPEN, seq: 1 }),
  outOfPlace({ op: OP.CLOSE, seq: 1 }),
  outOfPlace({ op: OP.IOCTL, seq: 1 }),
  outOfPlace({ op: OP.READ, seq: 1, count: 1 }),
  outOfPlace({ op: OP.WRITE, seq: 1, count: 1, body: Buffer.alloc(512) }),
  outOfPlace({ op: OP.FLUSH, seq: 1 }),
];

/** Makes a case in which the server sends these frames in place of the answer to LIST. */
function list(id: string, section: string, expects: string, error: RegExp, answer: (frame: RawFrame) => readonly RawRequest[]): ClientCase {
  const meddle = answering(OP.LIST, (link, frame) => link.request(...answer(frame)));
  return closingCase(`client.list.${id}`, section, `${expects} closes the path`, error, meddle);
}

const VOLUME = { name: 'v', id: 'v', universe: 0, sizeBytes: 1024, blockSizeBytes: 512, readonly: false, shared: false, holders: [] };

/** Makes a case in which the answer to LIST is well formed, but has wrong fields. */
function listed(id: string, expects: string, changes: Readonly<Record<string, Packable>>, error: RegExp): ClientCase {
  const body = pack({ generation: 1, interfaces: [], volumes: [VOLUME], ...changes });
  return list(id, 'LIST answer', `A list ${expects}`, error, (frame) => [{ ...tag(frame), body }]);
}

function volume(id: string, expects: string, changes: Readonly<Record<string, Packable>>): ClientCase {
  const [name = ''] = Object.keys(changes);
  return listed(
    id,
    `with a volume ${expects}`,
    { volumes: [{ ...VOLUME, ...changes }] },
    new RegExp(`LIST answer: field volumes.*${name}`),
  );
}

const GOOD_LIST = pack({ generation: 1, interfaces: [], volumes: [VOLUME] });

const LIST_CASES: readonly ClientCase[] = [
  list('wrong-seq', 'S3', 'An answer with the next seq', OWES_NONE, (frame) => [{ ...tag(frame), seq: frame.seq + 1, body: GOOD_LIST }]),
  list('old-seq', 'S3', 'An answer with the seq before', OWES_NONE, (frame) => [{ ...tag(frame), seq: frame.seq - 1, body: GOOD_LIST }]),
  list('wrong-slot', 'S3', 'An answer in the next slot', OWES_NONE, (frame) => [{ ...tag(frame), slot: frame.slot + 1, body: GOOD_LIST }]),
  list('twice', 'S3', 'A second answer to one request', OWES_NONE, (frame) => [
    { ...tag(frame), body: GOOD_LIST },
    { ...tag(frame), body: GOOD_LIST },
  ]),
  list('other-op', 'S3', 'An answer of another op', /OPEN answer of \d+ sectors in slot \d+, which holds LIST/, (frame) => [
    { ...tag(frame), op: OP.OPEN | ANSWER },
  ]),
  list('io-answer', 'S3', 'A FLUSH answer to LIST', /FLUSH answer of \d+ sectors in slot \d+, which holds LIST/, (frame) => [
    { ...tag(frame), op: OP.FLUSH | ANSWER },
  ]),
  list('too-long', 'Frame', 'A list that claims 64 KiB and one byte', /LIST answer: body of 65537 bytes, at most 65536/, (frame) => [
    { ...tag(frame), length: MESSAGE_MAX_BYTES + 1 },
  ]),
  list('garbage', 'Message bodies', 'A list that is no map', /LIST answer: body of 3 bytes must be/, (frame) => [
    { ...tag(frame), body: hex('c10000') },
  ]),
  list('empty', 'LIST answer', 'A list without a body', /LIST answer: body of 0 bytes must be/, (frame) => [tag(frame)]),
  list('broken-part', 'LIST answer', 'A list with an invalid second part', /LIST answer: body of 1 bytes must be/, (frame) => [
    { ...tag(frame), flags: FLAG.MORE, body: GOOD_LIST },
    { ...tag(frame), body: hex('c1') },
  ]),
  listed('no-volumes', 'without the field volumes', { volumes: null }, /LIST answer: .*volumes/),
  listed('generation', 'with generation 1.5', { generation: 1.5 }, /LIST answer: field generation/),
  listed(
    'interface-port',
    'with port 0',
    { interfaces: [{ name: 'if1', address: '127.0.0.1', port: 0 }] },
    /LIST answer: field interfaces.*port/,
  ),
  listed(
    'too-many',
    'of 1,025 volumes in one frame',
    { volumes: Array.from({ length: VOLUMES_PER_FRAME_MAX + 1 }, () => 1) },
    /LIST answer: .*volumes/,
  ),
  volume('name-form', 'called ..', { name: '..' }),
  volume('name-control', 'with control characters in the name', { name: '\u001b[2J' }),
  volume('size', 'larger than any may be', { sizeBytes: 2 ** 53 - 1 }),
  volume('block-size', 'of 1000-byte blocks', { blockSizeBytes: 1000 }),
  volume('universe', 'in universe 4', { universe: 4 }),
  volume('readonly', 'whose readonly is 1', { readonly: 1 }),
  closingCase(
    'client.list.endless',
    'LIST answer',
    `A list that exceeds ${ANSWER_PARTS_MAX_BYTES / 2 ** 20} MiB closes the path`,
    /LIST answer exceeds 67108864 bytes/,
    answering(OP.LIST, (link, frame) => {
      const part = frameBytes({ ...tag(frame), flags: FLAG.MORE, body: Buffer.alloc(MESSAGE_MAX_BYTES, 0xc0) });
      const more = (): void => {
        if (link.ending === null) link.socket.write(part, () => setImmediate(more));
      };
      more();
    }),
  ),
];

function bye(code: string, sentence: string, error: RegExp): ClientCase {
  return closingCase(
    `client.bye.${code.toLowerCase().replaceAll('_', '-')}`,
    'REFUSE and BYE',
    `A BYE ${code} closes the path and is shown`,
    error,
    behindWelcome(() => frameBytes({ op: OP.BYE, body: Farewell.encode({ code, sentence }) })),
  );
}

const BYE_CASES: readonly ClientCase[] = [
  bye('E_SHUTTING_DOWN', 'Back at nine', /Back at nine \[E_SHUTTING_DOWN\]/),
  bye('E_DRAINING', 'The interface was taken away', /The interface was taken away \[E_DRAINING\]/),
  bye('E_LIMIT', 'Enough', /Enough \[E_LIMIT\]/),
  bye('E_FROM_THE_FUTURE', 'a\u001b[2Jb', /a \[2Jb \[E_FROM_THE_FUTURE\]/),
];

/** Makes a case in which both ends have agreed on CRC-32s, and the server changes one byte of its answers. */
function corrupted(id: string, expects: string, error: RegExp, byteAt: (frame: Buffer) => number): ClientCase {
  const meddle = answering(OP.LIST, (link, frame) => {
    const bytes = frameBytes({ ...tag(frame), body: GOOD_LIST }, true);
    bytes[byteAt(bytes)]! ^= 1;
    link.send(bytes);
  });
  return closingCase(`client.digest.${id}`, 'Frame', `With CRC-32s agreed, ${expects} closes the path`, error, meddle, true);
}

const silent: Meddle = at('request', () => undefined);

export const AFTER_WELCOME_CASES: readonly ClientCase[] = [
  ...STRAY_CASES,
  ...LIST_CASES,
  ...BYE_CASES,
  corrupted('header', 'a bit changed in a header', /A header's CRC-32 does not match/, () => 6),
  corrupted('body', 'a bit changed in a body', /LIST answer: the body's CRC-32 does not match/, () => 30),
  corrupted('crc', 'a bit changed in a CRC-32', /LIST answer: the body's CRC-32 does not match/, (frame) => frame.length - 1),
  closingCase(
    'client.dead.silent',
    'Liveness',
    'A server that sends nothing for 3 s after WELCOME loses the path',
    /Nothing was received for \d+ ms/,
    silent,
  ),
  closingCase(
    'client.dead.deaf',
    'Liveness',
    'A server that sends for 3 s without a proof that it receives loses the path',
    /The server has received nothing on this path for \d+ ms, although it sends/,
    (step, link, frame) => {
      if (step === 'welcomed') {
        const body = pack({ number: 1, clockMs: 1, heard: 0, oldestMs: 0, generation: 1 });
        const timer = setInterval(() => link.request({ op: OP.PING, body }), 200);
        link.socket.once('close', () => clearInterval(timer));
      }
      return frame !== null && step === 'request';
    },
  ),
  closingCase(
    'client.list.failure-as-ok',
    'LIST answer',
    'An answer OK to LIST that has the body of a failure closes the path',
    /LIST answer: field generation must be/,
    answering(OP.LIST, (link, frame) => link.request({ ...tag(frame), handle: STATUS.OK, body: pack({ sentence: 'No', holders: [] }) })),
  ),
];
