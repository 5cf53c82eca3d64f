// Frames that no correct client sends once it is proven: the path that brought one is closed with its reason in the log, the session's
// other path goes on, and nobody else notices. What is answered with a status instead is in requests.test.ts.

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { IO_MAX_SECTORS, MESSAGE_MAX_BYTES, PATHS_PER_TRUNK_MAX, SECTOR_BYTES, SLOTS } from '@rsio/protocol/limits';
import { ANSWER, FLAG, OP } from '@rsio/protocol/wire/frames';
import { encodeFarewell } from '@rsio/protocol/wire/message-codec';
import { STATUS } from '@rsio/protocol/wire/status';
import { useLab } from '../support/lab.ts';
import { frameBytes, RawClient, type RawRequest } from '../support/raw-peer.ts';
import { Scene } from '../support/scene.ts';

const lab = useLab('file');
let scene: Scene;
let offender: RawClient;
let bystander: RawClient;
let handle: number;
let isSessionOver: boolean;

beforeAll(async () => {
  scene = await Scene.begin(lab);
});

afterAll(() => scene.servesNewcomers());

/** A session with two paths and an open volume whose first sectors hold ones. */
beforeEach(async () => {
  isSessionOver = false;
  offender = await scene.login('venus');
  ({ handle } = await offender.open('plain'));
  const wrote = await offender.call({ op: OP.WRITE, slot: 9, handle, count: 8, body: Buffer.alloc(8 * SECTOR_BYTES, 1) });
  expect(wrote.handle).toBe(STATUS.OK);
  bystander = await scene.join(offender);
});

afterEach(async () => {
  if (!isSessionOver) await bystander.verify(handle, 1024, 8);
  bystander.close();
  offender.close();
  await scene.wellBehaved();
});

describe('frames of no use here', () => {
  const CASES: readonly (readonly [string, RawRequest, RegExp])[] = [
    ['an unknown op', { op: 0x7f }, /op 0x7f: no such frame/],
    ['op 0', { op: 0 }, /op 0x0: no such frame/],
    ['an op with the answer bit', { op: OP.WRITE | ANSWER }, /WRITE answer was not to be sent here/],
    ['an answer that cannot exist', { op: OP.PING | ANSWER }, /PING answer: no such frame/],
    ['HELLO again', { op: OP.HELLO, body: Buffer.alloc(10) }, /HELLO was not to be sent here/],
    ['CHALLENGE', { op: OP.CHALLENGE }, /CHALLENGE was not to be sent here/],
    ['PROOF again', { op: OP.PROOF, body: Buffer.alloc(40) }, /PROOF was not to be sent here/],
    ['WELCOME', { op: OP.WELCOME }, /WELCOME was not to be sent here/],
    ['REFUSE', { op: OP.REFUSE }, /REFUSE was not to be sent here/],
    ['FENCED', { op: OP.FENCED, aux: 1 }, /FENCED was not to be sent here/],
    ['NOTIFY', { op: OP.NOTIFY, aux: 7 }, /NOTIFY was not to be sent here/],
    ['PING with a body that is no heartbeat', { op: OP.PING, body: Buffer.from([0xc1]) }, /PING or PONG: body of 1 bytes must be/],
    ['PONG without a body', { op: OP.PONG }, /PING or PONG: body of 0 bytes must be/],
    ['BYE with a body that is no farewell', { op: OP.BYE, body: Buffer.from([0x80]) }, /REFUSE or BYE: field code must be/],
    ['FENCE of its own path', { op: OP.FENCE, aux: 0 }, /FENCE for path 0, which cannot be dead/],
    ['FENCE of a path that never was', { op: OP.FENCE, aux: 2 }, /FENCE for path 2, which cannot be dead/],
    ['FENCE of path 2^32 - 1', { op: OP.FENCE, aux: 0xffffffff }, /FENCE for path 4294967295/],
  ];

  it.each(CASES)('%s', async (_name, request, reason) => {
    offender.request(request);
    await scene.expectClosed(offender, reason);
  });

  it('garbage', async () => {
    offender.send(Buffer.alloc(4096, 0xdd));
    await scene.expectClosed(offender, /op 0xdd: no such frame/);
  });

  it('what follows a wrong frame in the same bytes is not executed', async () => {
    const write = { op: OP.WRITE, handle, slot: 3, seq: 1, count: 8, body: Buffer.alloc(8 * SECTOR_BYTES, 2) };
    offender.request({ op: 0x7f }, write);
    await scene.expectClosed(offender, /op 0x7f: no such frame/);
    await expectOnes();
  });

  it('BYE ends the session with all its paths, and no other', async () => {
    isSessionOver = true;
    offender.request({ op: OP.BYE, body: encodeFarewell({ code: 'E_SHUTTING_DOWN', sentence: 'Good night' }) });
    await scene.expectClosed(offender, /The client said: Good night/);
    await bystander.ended();
  });
});

describe('lengths', () => {
  it('a message of the largest size is taken, one byte more is not waited for', async () => {
    const answer = await offender.call({ op: OP.OPEN, body: Buffer.alloc(MESSAGE_MAX_BYTES, 0xc0) });
    expect(answer.handle).toBe(STATUS.BAD_REQUEST);
    offender.send(frameBytes({ op: OP.OPEN, slot: 1, seq: 1, length: MESSAGE_MAX_BYTES + 1 }));
    await scene.expectClosed(offender, /OPEN: body of 65537 bytes, at most 65536/);
  });

  it('a message that claims four gigabytes', async () => {
    offender.send(frameBytes({ op: OP.LIST, seq: 1, length: 0xffffffff }));
    await scene.expectClosed(offender, /LIST: body of 4294967295 bytes, at most 65536/);
  });

  it.each([IO_MAX_SECTORS + 1, 0xffff])('a WRITE of %i sectors is not waited for', async (count) => {
    offender.send(frameBytes({ op: OP.WRITE, handle, slot: 1, seq: 1, count }));
    await scene.expectClosed(offender, new RegExp(`WRITE: ${count} sectors, at most 2048`));
  });

  it.each([
    ['one byte', 1],
    ['half of it', 4 * SECTOR_BYTES],
    ['all but one byte', 8 * SECTOR_BYTES - 1],
  ])('a WRITE of which %s came before the end changes nothing', async (_name, bytes) => {
    const whole = frameBytes({ op: OP.WRITE, handle, slot: 3, seq: 1, count: 8, body: Buffer.alloc(8 * SECTOR_BYTES, 2) });
    offender.socket.end(whole.subarray(0, whole.length - 8 * SECTOR_BYTES + bytes));
    await scene.expectClosed(offender, /The peer closed the connection/);
    await expectOnes();
  });

  it('a header cut short', async () => {
    offender.send(frameBytes({ op: OP.READ, handle, slot: 3, seq: 1, count: 1 }).subarray(0, 15));
    offender.socket.destroySoon();
    await scene.logged(/ended path for rep .*The peer closed the connection/);
  });
});

describe('slots', () => {
  it.each([SLOTS, 0xffff])('slot %i', async (slot) => {
    offender.request({ op: OP.READ, handle, slot, seq: 1, count: 1 });
    await scene.expectClosed(offender, new RegExp(`READ in slot ${slot} seq 1 is not to be sent now`));
  });

  it('the next seq while the slot is executing', async () => {
    offender.request({ op: OP.LIST, slot: 3, seq: 1 }, { op: OP.LIST, slot: 3, seq: 2 });
    await scene.expectClosed(offender, /LIST in slot 3 seq 2 is not to be sent now/);
  });

  it('a second copy on the same path', async () => {
    offender.request({ op: OP.LIST, slot: 3, seq: 1 }, { op: OP.LIST, slot: 3, seq: 1 });
    await scene.expectClosed(offender, /LIST in slot 3 seq 1 is not to be sent now/);
  });

  const write = { op: OP.WRITE, slot: 9, seq: 1, count: 8, body: Buffer.alloc(8 * SECTOR_BYTES, 2) };
  it.each([
    ['lba', { ...write, lba: 8 }],
    ['count', { ...write, count: 4, body: Buffer.alloc(4 * SECTOR_BYTES, 2) }],
    ['op', { op: OP.READ, slot: 9, seq: 1, count: 8 }],
    ['flags', { ...write, flags: FLAG.FUA }],
  ])('a copy that differs in its %s', async (_name, copy: RawRequest) => {
    offender.request({ ...copy, handle });
    await scene.expectClosed(offender, /in slot 9 seq 1 is not to be sent now/);
    await expectOnes();
  });

  it('a copy that differs in its handle', async () => {
    offender.request({ ...write, handle: handle + 1 });
    await scene.expectClosed(offender, /WRITE in slot 9 seq 1 is not to be sent now/);
    await expectOnes();
  });

  it('a right copy is answered from the slot and changes nothing, whatever its body holds', async () => {
    offender.request({ ...write, handle });
    expect((await offender.answer(9)).handle).toBe(STATUS.OK);
    await expectOnes();
  });

  it('stale seqs are dropped without an answer', async () => {
    const seqs = [0, 2, 3, 0x8000, 0xffff];
    offender.request(...seqs.map((seq) => ({ op: OP.WRITE, handle, slot: 9, seq: seq === 2 ? 3 : seq, count: 8, body: write.body })));
    offender.request({ op: OP.READ, handle, slot: 4, seq: 0, count: 1 }, { op: OP.READ, handle, slot: 4, seq: 2, count: 1 });
    await offender.verify(handle, 512, 8);
    expect(offender.frames.filter(({ op }) => op !== OP.PING)).toEqual([]);
    await expectOnes();
  });

  it('FENCE twice is answered twice, and the fenced path is closed', async () => {
    const third = await scene.join(offender);
    const { path } = third.welcome;
    offender.request({ op: OP.FENCE, aux: path }, { op: OP.FENCE, aux: path });
    await third.ended();
    for (let time = 0; time < 2; time++) expect(await offender.next(({ op }) => op === OP.FENCED)).toMatchObject({ aux: path });
  });

  it(`a session's path ${PATHS_PER_TRUNK_MAX + 1} gets BYE E_LIMIT in place of WELCOME`, async () => {
    const paths: RawClient[] = [];
    for (let count = 2; count < PATHS_PER_TRUNK_MAX; count++) paths.push(await scene.join(offender));
    await paths[0]!.verify(handle, 2048, 8);
    const over = await scene.connect(scene.server, offender.identity);
    await over.greet();
    over.prove(offender.session);
    expect((await over.farewell()).code).toBe('E_LIMIT');
    await over.ended();
    for (const path of paths) path.close();
  });
});

/** What beforeEach wrote is still there. */
async function expectOnes(): Promise<void> {
  const read = await bystander.call({ op: OP.READ, handle, count: 8 });
  expect(read.body.equals(Buffer.alloc(8 * SECTOR_BYTES, 1))).toBe(true);
}
