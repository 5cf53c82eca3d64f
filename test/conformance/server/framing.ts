// Frames of a proven connection: ops, lengths, directions and CRC-32s. After a wrong frame, the server must close only the path of the
// frame, and must not process later bytes of this path.

import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { HEADER_BYTES, IO_MAX_SECTORS, MESSAGE_MAX_BYTES } from '@rsio/protocol/wire/limits';
import { FEATURE } from '@rsio/protocol/wire/features';
import { ANSWER, OP } from '@rsio/protocol/wire/frames';
import { frameBytes, RawClient, type RawRequest } from '../../support/peers/raw-peer.ts';
import { type ServerCase, serverCase } from '../base/case.ts';
import { answered, closed, equals, failed, sameBytes } from '../base/check.ts';
import { BLOCK, filled, SCRATCH, type Target } from '../base/target.ts';

const BODY_BYTES = BLOCK * SECTOR_BYTES;

function closes(id: string, section: string, expects: string, bytes: Buffer, log: RegExp): ServerCase {
  const run = async (target: Target): Promise<void> => {
    const path = await target.path();
    path.send(bytes);
    await closed(path);
  };
  return serverCase(id, section, expects, run, { log });
}

function wrong(what: string, request: RawRequest, log: RegExp, expects: string): ServerCase {
  return closes(`framing.${what}`, 'Frame', `${expects} closes the path`, frameBytes(request), log);
}

/** Makes a case with an op that a client may never send, or may not send at this point. */
function outOfPlace(name: string, request: RawRequest): ServerCase {
  const log = new RegExp(`${name} is not allowed here`);
  return closes(
    `direction.${name.toLowerCase().replace(' ', '-')}`,
    'Frames',
    `${name} from a client closes the path`,
    frameBytes(request),
    log,
  );
}

/** Sends only a part of a WRITE. Expects that the sectors of the WRITE keep their content. */
async function partial(target: Target, bodyBytes: number): Promise<void> {
  const [handle, slot] = [await target.handle(), target.slot()];
  const path = await target.path();
  const whole = frameBytes({ op: OP.WRITE, handle, slot, seq: 1, count: BLOCK, body: filled(BLOCK, 2) });
  path.socket.end(whole.subarray(0, HEADER_BYTES + bodyBytes));
  await closed(path);
}

interface Digesting {
  readonly path: RawClient;
  readonly handle: number;
}

/** Opens a path of the session with CRC-32s in both directions, although other paths have none. */
async function digesting(target: Target): Promise<Digesting> {
  const handle = await target.handle();
  const first = await target.first();
  const identity = target.identity(0, { features: [FEATURE.DIGEST] });
  const path = target.keep(await RawClient.login(target.place(), identity, first));
  equals('Whether digest was agreed', path.digest, true);
  path.homeSlot = target.slot();
  return { path, handle };
}

/** Changes the byte at `at` of a frame with CRC-32s. Expects that the server closes the path and does not execute the frame. */
async function corrupted(target: Target, at: (frame: Buffer) => number): Promise<void> {
  const { path, handle } = await digesting(target);
  const frame = frameBytes({ op: OP.WRITE, handle, slot: target.slot(), seq: 1, count: BLOCK, body: filled(BLOCK, 2) }, true);
  frame[at(frame)]! ^= 0x10;
  path.send(frame);
  await closed(path);
}

const DIGEST_CASES: readonly ServerCase[] = [
  serverCase(
    'framing.digest.agreed',
    'Frame',
    'With digest agreed, frames with correct CRC-32s are executed, and answers have them too',
    async (target) => {
      const { path, handle } = await digesting(target);
      await path.verify(handle, SCRATCH, BLOCK);
      await answered(path, { op: OP.LIST });
    },
  ),
  serverCase('framing.digest.header', 'Frame', 'A bit changed in a header closes the path', (target) => corrupted(target, () => 13), {
    log: /A header's CRC-32 does not match/,
  }),
  serverCase(
    'framing.digest.body',
    'Frame',
    'A bit changed in a body closes the path, and the WRITE is not executed',
    (target) => corrupted(target, (frame) => frame.length - 100),
    { log: /WRITE: the body's CRC-32 does not match/ },
  ),
  serverCase(
    'framing.digest.crc',
    'Frame',
    "A bit changed in a body's CRC-32 closes the path, and the WRITE is not executed",
    (target) => corrupted(target, (frame) => frame.length - 1),
    { log: /WRITE: the body's CRC-32 does not match/ },
  ),
  serverCase('framing.digest.missing', 'Frame', 'Frames without CRC-32s close a path on which digest was agreed', async (target) => {
    const { path } = await digesting(target);
    path.send(frameBytes({ op: OP.FLUSH, slot: target.slot(), seq: 1 }), frameBytes({ op: OP.FLUSH, slot: target.slot(), seq: 1 }));
    await closed(path);
  }),
];

export const FRAMING_CASES: readonly ServerCase[] = [
  wrong('op-0', { op: 0 }, /op 0x0: no such frame/, 'Op 0'),
  wrong('unknown-op', { op: 0x7f }, /op 0x7f: no such frame/, 'An unknown op'),
  wrong('unknown-answer', { op: 0xff }, /op 0xff: no such frame/, 'An answer to an unknown op'),
  wrong('answer-of-unslotted', { op: OP.PING | ANSWER }, /PING answer: no such frame/, 'An answer to an op without a slot'),
  closes('framing.garbage', 'Frame', 'Garbage closes the path', Buffer.alloc(4096, 0xdd), /op 0xdd: no such frame/),
  outOfPlace('HELLO', { op: OP.HELLO, body: Buffer.alloc(10) }),
  outOfPlace('CHALLENGE', { op: OP.CHALLENGE }),
  outOfPlace('PROOF', { op: OP.PROOF, body: Buffer.alloc(40) }),
  outOfPlace('WELCOME', { op: OP.WELCOME }),
  outOfPlace('REFUSE', { op: OP.REFUSE }),
  outOfPlace('FENCED', { op: OP.FENCED, aux: 1 }),
  outOfPlace('NOTIFY', { op: OP.NOTIFY, aux: 7 }),
  outOfPlace('LIST answer', { op: OP.LIST | ANSWER }),
  outOfPlace('OPEN answer', { op: OP.OPEN | ANSWER }),
  outOfPlace('READ answer', { op: OP.READ | ANSWER, handle: 1 }),
  outOfPlace('WRITE answer', { op: OP.WRITE | ANSWER }),
  wrong(
    'message.past',
    { op: OP.OPEN, slot: 1, seq: 1, length: MESSAGE_MAX_BYTES + 1 },
    /OPEN: body of 65537 bytes, at most 65536/,
    'A header that claims a message of 64 KiB and one byte',
  ),
  wrong(
    'message.huge',
    { op: OP.LIST, seq: 1, length: 0xffffffff },
    /LIST: body of 4294967295 bytes/,
    'A message that claims four gigabytes',
  ),
  serverCase('framing.message.largest', 'Frame', 'A message of 64 KiB is received and answered', async (target) => {
    await failed(await target.path(), { op: OP.OPEN, body: Buffer.alloc(MESSAGE_MAX_BYTES, 0xc0) }, 'BAD_REQUEST');
  }),
  wrong(
    'write.past',
    { op: OP.WRITE, slot: 1, seq: 1, count: IO_MAX_SECTORS + 1 },
    /WRITE: 2049 sectors, at most 2048/,
    'A WRITE of 2,049 sectors',
  ),
  wrong('write.huge', { op: OP.WRITE, slot: 1, seq: 1, count: 0xffff }, /WRITE: 65535 sectors, at most 2048/, 'A WRITE of 65,535 sectors'),
  serverCase('framing.body.first-byte', 'S7', 'A WRITE changes nothing if the path ended after one byte of its body', (target) =>
    partial(target, 1),
  ),
  serverCase('framing.body.half', 'S7', 'A WRITE changes nothing if the path ended after half of its body', (target) =>
    partial(target, BODY_BYTES / 2),
  ),
  serverCase('framing.body.last-byte', 'S7', 'A WRITE changes nothing if the path ended before the last byte of its body', (target) =>
    partial(target, BODY_BYTES - 1),
  ),
  serverCase('framing.header.cut', 'Frame', 'A path that ends within a header leaves nothing behind', async (target) => {
    const path = await target.path();
    path.socket.end(frameBytes({ op: OP.READ, slot: target.slot(), seq: 1, count: 1 }).subarray(0, HEADER_BYTES - 1));
    await closed(path);
  }),
  serverCase(
    'framing.after-a-wrong-one',
    'Frame',
    'Frames that follow a wrong frame in the same bytes are not executed',
    async (target) => {
      const [handle, slot] = [await target.handle(), target.slot()];
      const path = await target.path();
      path.request({ op: 0x7f }, { op: OP.WRITE, handle, slot, seq: 1, count: BLOCK, body: filled(BLOCK, 2) });
      await closed(path);
    },
    { log: /op 0x7f: no such frame/ },
  ),
  serverCase('framing.any-cuts', 'Frame', 'A WRITE may arrive in pieces of any size', async (target) => {
    const [handle, slot] = [await target.handle(), target.slot()];
    const path = await target.path();
    const frame = frameBytes({ op: OP.WRITE, handle, slot, seq: 1, lba: SCRATCH, count: BLOCK, body: filled(BLOCK, 9) });
    let begin = 0;
    for (const end of [1, 7, 15, 16, 17, 600, 4000, frame.length]) {
      await new Promise((resolve) => path.socket.write(frame.subarray(begin, end), resolve));
      begin = end;
    }
    equals('The status', (await path.answer(slot)).handle, 0);
    sameBytes('What was written', (await answered(path, { op: OP.READ, handle, lba: SCRATCH, count: BLOCK })).body, filled(BLOCK, 9));
  }),
  serverCase('framing.many-at-once', 'Frame', 'Many frames in one piece are each answered once', async (target) => {
    const handle = await target.handle();
    const path = await target.path();
    const slots = Array.from({ length: 16 }, () => target.slot());
    path.request(...slots.map((slot) => ({ op: OP.READ, handle, slot, seq: 1, count: BLOCK })));
    for (const slot of slots) sameBytes(`The answer in slot ${slot}`, (await path.answer(slot)).body, filled(BLOCK, 1));
    await answered(path, { op: OP.LIST });
    equals('Further answers', path.frames.filter(({ op }) => (op & ANSWER) !== 0).length, 0);
  }),
  ...DIGEST_CASES,
];
