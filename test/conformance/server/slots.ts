// Slots and seqs (S1, S2): which request is new, a copy, stale or a protocol error, and which path gets which answer. Each case uses slots
// that were not used before, so that it knows their seqs.

import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { SEQ_MODULUS } from '@rsio/protocol/link/limits';
import { ANSWER, FLAG, OP } from '@rsio/protocol/wire/frames';
import { ExtentsRequest, IOCTL, OpenAnswer, OpenRequest } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { frameBytes, type RawClient, type RawRequest } from '../../support/peers/raw-peer.ts';
import { type ServerCase, serverCase } from '../base/case.ts';
import { answered, closed, equals, sameBytes } from '../base/check.ts';
import { BLOCK, filled, SCRATCH, type Target } from '../base/target.ts';

interface Written {
  readonly path: RawClient;
  readonly handle: number;
  /** A completed WRITE that has filled SCRATCH with twos. */
  readonly request: RawRequest & { readonly slot: number };
}

async function written(target: Target): Promise<Written> {
  const handle = await target.handle();
  const path = await target.path();
  const request = { op: OP.WRITE, handle, slot: target.slot(), seq: 1, lba: SCRATCH, count: BLOCK, body: filled(BLOCK, 2) };
  path.request(request);
  equals('The status of WRITE', (await path.answer(request.slot)).handle, 0);
  return { path, handle, request };
}

async function scratchHolds(path: RawClient, handle: number, byte: number): Promise<void> {
  const { body } = await answered(path, { op: OP.READ, handle, lba: SCRATCH, count: BLOCK });
  sameBytes(`Sectors ${SCRATCH} + ${BLOCK}`, body, filled(BLOCK, byte));
}

/** Makes a case with a copy that differs from its request. The server must close the path and not execute the copy. */
function differing(what: string, change: (request: RawRequest) => RawRequest): ServerCase {
  const run = async (target: Target): Promise<void> => {
    const { path, handle, request } = await written(target);
    const copy = change({ ...request, body: filled(BLOCK, 3) });
    path.request(copy);
    await closed(path);
    await scratchHolds(await target.path(), handle, 2);
  };
  return serverCase(`slots.copy.other-${what}`, 'S2', `A copy that differs in ${what} closes the path and does not execute`, run, {
    log: /in slot \d+ seq 1 is not allowed now/,
  });
}

function outOfRange(id: string, slotOf: (granted: number) => number): ServerCase {
  const run = async (target: Target): Promise<void> => {
    const handle = await target.handle();
    const path = await target.path();
    const slot = slotOf(path.welcome.slots);
    path.request({ op: OP.WRITE, handle, slot, seq: 1, count: BLOCK, body: filled(BLOCK, 2) });
    await closed(path);
  };
  return serverCase(`slots.range.${id}`, 'Session, paths, slots', 'A slot that was not granted closes the path', run, {
    log: /WRITE in slot \d+ seq 1 is not allowed now/,
  });
}

/**
 * Makes a case with requests that have these seqs, in a slot whose last seq was 1. The server must drop these requests without answer and
 * effect, and the path must stay.
 */
function stale(id: string, seqs: readonly number[]): ServerCase {
  const run = async (target: Target): Promise<void> => {
    const { path, handle, request } = await written(target);
    path.request(...seqs.map((seq) => ({ ...request, seq, body: filled(BLOCK, 3) })));
    await scratchHolds(path, handle, 2);
    equals('Answers', path.frames.filter(({ op }) => (op & ANSWER) !== 0).length, 0);
  };
  return serverCase(`slots.stale.${id}`, 'Session, paths, slots', 'A stale seq is dropped without an answer, and the path stays', run);
}

/**
 * Sends `times` requests in one slot. Each request is sent after the answer to the previous one. Event handlers send the requests, because
 * a promise for each of so many requests would take too long.
 */
async function inStep(path: RawClient, slot: number, times: number): Promise<void> {
  const { socket, frames } = path;
  await new Promise<void>((resolve, reject) => {
    let seq = 0;
    const next = (): void => {
      seq++;
      socket.write(frameBytes({ op: OP.FLUSH, slot, seq: seq % SEQ_MODULUS }));
    };
    const leave = (end: () => void): void => {
      socket.off('data', look).off('close', failed);
      end();
    };
    const failed = (): void => leave(() => reject(new Error(`The path was closed at seq ${seq}`)));
    // This handler of `data` runs after the handler that decodes frames.
    const look = (): void => {
      const isAnswered = frames.some((frame) => frame.op === (OP.FLUSH | ANSWER) && frame.seq === seq % SEQ_MODULUS);
      if (!isAnswered) return;
      frames.length = 0;
      if (seq < times) next();
      else leave(resolve);
    };
    socket.on('data', look).on('close', failed);
    next();
  });
}

const COPY_CASES: readonly ServerCase[] = [
  serverCase('slots.copy.done-write', 'S1', 'A copy of a completed WRITE is answered from the slot and not executed', async (target) => {
    const { path, handle, request } = await written(target);
    path.request({ ...request, body: filled(BLOCK, 3) });
    equals('The status of the copy', (await path.answer(request.slot)).handle, 0);
    await scratchHolds(path, handle, 2);
  }),
  serverCase('slots.copy.done-failed', 'Frames', 'A copy of a failed READ is answered from the slot', async (target) => {
    const path = await target.path();
    const request = { op: OP.READ, handle: 0xfff0, slot: target.slot(), seq: 1, count: BLOCK };
    for (let time = 0; time < 2; time++) {
      path.request(request);
      equals('The status', (await path.answer(request.slot)).handle, STATUS.STALE);
    }
  }),
  serverCase('slots.copy.done-read', 'S1', 'A copy of a completed READ is read again and returns the present content', async (target) => {
    const { path, handle } = await written(target);
    const request = { op: OP.READ, handle, slot: target.slot(), seq: 1, lba: SCRATCH, count: BLOCK };
    path.request(request);
    sameBytes('The first answer', (await path.answer(request.slot)).body, filled(BLOCK, 2));
    await answered(path, { op: OP.WRITE, handle, lba: SCRATCH, count: BLOCK, body: filled(BLOCK, 4) });
    path.request(request);
    sameBytes('The answer to the copy', (await path.answer(request.slot)).body, filled(BLOCK, 4));
  }),
  serverCase('slots.copy.other-path', 'S1', 'A copy on another path is answered only on that path', async (target) => {
    const { path, handle, request } = await written(target);
    const other = await target.path();
    other.request({ ...request, body: filled(BLOCK, 3) });
    equals('The status of the copy', (await other.answer(request.slot)).handle, 0);
    await scratchHolds(path, handle, 2);
    equals('Answers on the first path', path.frames.filter(({ op }) => (op & ANSWER) !== 0).length, 0);
  }),
  serverCase('slots.copy.open', 'S1', 'Copies of one OPEN on two paths give one handle, which both answers contain', async (target) => {
    await target.handle();
    const [one, other] = [await target.path(), await target.path()];
    const body = OpenRequest.encode({ name: target.options.volumes.plain, universe: 0, readonly: true });
    const request = { op: OP.OPEN, slot: target.slot(), seq: 1, body };
    one.request(request);
    other.request(request);
    const [first, second] = [await one.answer(request.slot), await other.answer(request.slot)];
    equals('The statuses', [first.handle, second.handle], [0, 0]);
    sameBytes('The answer to the copy', second.body, first.body);
    await answered(one, { op: OP.CLOSE, handle: OpenAnswer.decode(first.body, 0, first.body.length).handle });
  }),
  serverCase('slots.copy.close', 'Frames', 'A copy of a completed CLOSE is answered from the slot: OK, not STALE', async (target) => {
    await target.handle();
    const path = await target.path();
    const { handle } = await path.open(target.options.volumes.plain, true);
    const request = { op: OP.CLOSE, handle, slot: target.slot(), seq: 1 };
    for (let time = 0; time < 2; time++) {
      path.request(request);
      equals('The status of CLOSE', (await path.answer(request.slot)).handle, 0);
    }
  }),
  serverCase('slots.copy.list', 'S1', 'Copies of one LIST on two paths are each answered, and so is a late copy', async (target) => {
    const [one, other] = [await target.path(), await target.path()];
    const request = { op: OP.LIST, slot: target.slot(), seq: 1 };
    one.request(request);
    other.request(request);
    for (const path of [one, other]) equals('The status', (await path.answer(request.slot)).handle, 0);
    one.request(request);
    equals('The status of the late copy', (await one.answer(request.slot)).handle, 0);
  }),
  serverCase('slots.copy.ioctl', 'S1', 'A copy of a completed IOCTL gets the same answer', async (target) => {
    const handle = await target.handle();
    const path = await target.path();
    const body = ExtentsRequest.encode({ lba: 0, sectors: BLOCK });
    const request = { op: OP.IOCTL, handle, slot: target.slot(), seq: 1, aux: IOCTL.EXTENTS, body };
    path.request(request);
    const first = await path.answer(request.slot);
    path.request(request);
    const copy = await path.answer(request.slot);
    equals('Status and aux', [copy.handle, copy.aux], [first.handle, first.aux]);
  }),
  serverCase(
    'slots.copy.many',
    'S1',
    'A hundred copies of a completed READ, one after the other, are each answered, and the slot stays completed',
    async (target) => {
      const handle = await target.handle();
      const path = await target.path();
      const request = { op: OP.READ, handle, slot: target.slot(), seq: 1, count: BLOCK };
      for (let copy = 0; copy < 100; copy++) {
        path.request(request);
        sameBytes('The answer', (await path.answer(request.slot)).body, filled(BLOCK, 1));
      }
      path.request({ ...request, seq: 2 });
      equals('The status of the next request', (await path.answer(request.slot)).handle, 0);
    },
  ),
];

export const SLOT_CASES: readonly ServerCase[] = [
  serverCase('slots.first-seq', 'Session, paths, slots', 'The first request of a slot has seq 1: 0 and 2 are stale', async (target) => {
    const handle = await target.handle();
    const path = await target.path();
    const slot = target.slot();
    const request = { op: OP.READ, handle, slot, count: BLOCK };
    path.request({ ...request, seq: 0 }, { ...request, seq: 2 });
    path.request({ ...request, seq: 1 });
    equals('The seq of the answer', (await path.answer(slot)).seq, 1);
    await answered(path, { op: OP.LIST });
    equals('Further answers', path.frames.filter(({ op }) => (op & ANSWER) !== 0).length, 0);
  }),
  stale('older', [0]),
  stale('ahead', [3, 4, 0x8000]),
  stale('far-back', [0xffff, 0x8001]),
  ...COPY_CASES,
  differing('op', ({ body: _body, ...request }) => ({ ...request, op: OP.READ })),
  differing('flags', (request) => ({ ...request, flags: FLAG.FUA })),
  differing('handle', (request) => ({ ...request, handle: (request.handle ?? 0) + 1 })),
  differing('lba', (request) => ({ ...request, lba: SCRATCH + BLOCK })),
  differing('count', (request) => ({ ...request, count: 2 * BLOCK, body: filled(2 * BLOCK, 3) })),
  serverCase(
    'slots.copy.other-aux',
    'S2',
    'A copy of an IOCTL that differs in aux closes the path',
    async (target) => {
      const handle = await target.handle();
      const path = await target.path();
      const request = { op: OP.IOCTL, handle, slot: target.slot(), seq: 1, aux: IOCTL.IDENTIFY };
      path.request(request);
      await path.answer(request.slot);
      path.request({ ...request, aux: 99 });
      await closed(path);
    },
    { log: /IOCTL in slot \d+ seq 1 is not allowed now/ },
  ),
  serverCase(
    'slots.copy.twice-on-a-path',
    'S2',
    'A second copy on a path that waits for an answer closes the path',
    async (target) => {
      const path = await target.path();
      const request = { op: OP.LIST, slot: target.slot(), seq: 1 };
      path.request(request, request);
      await closed(path);
    },
    { log: /LIST in slot \d+ seq 1 is not allowed now/ },
  ),
  serverCase(
    'slots.next-while-executing',
    'Session, paths, slots',
    'The next seq of a slot that is executing closes the path',
    async (target) => {
      const path = await target.path();
      const slot = target.slot();
      path.request({ op: OP.LIST, slot, seq: 1 }, { op: OP.LIST, slot, seq: 2 });
      await closed(path);
    },
    { log: /LIST in slot \d+ seq 2 is not allowed now/ },
  ),
  outOfRange('first-past', (granted) => granted),
  outOfRange('largest', () => 0xffff),
  serverCase('slots.range.last', 'Session, paths, slots', 'The last slot that was granted may be used', async (target) => {
    const handle = await target.handle();
    const path = await target.path();
    const slot = path.welcome.slots - 1;
    const seq = 1;
    path.request({ op: OP.READ, handle, slot, seq, count: BLOCK });
    equals('The status', (await path.answer(slot)).handle, 0);
    // Ends the shared session, so that the next run of this case finds an unused slot.
    target.leave();
  }),
  serverCase('slots.wrap', 'Session, paths, slots', 'After seq 65,535 comes 0, and then 1', async (target) => {
    const path = await target.path();
    const slot = target.slot();
    await inStep(path, slot, SEQ_MODULUS + 1);
    path.request({ op: OP.FLUSH, slot, seq: 0 });
    path.request({ op: OP.FLUSH, slot, seq: 2 });
    equals('The seq that is answered then', (await path.answer(slot)).seq, 2);
  }),
  serverCase(
    'window.full',
    'Session, paths, slots',
    'READs of a whole window may be in flight at once, and all are answered',
    async (target) => {
      const handle = await target.handle();
      const path = await target.path();
      const sectors = 2048;
      const count = Math.min(32, Math.floor(path.welcome.windowBytes / (sectors * SECTOR_BYTES)));
      const slots = Array.from({ length: count }, () => target.slot());
      path.request(...slots.map((slot) => ({ op: OP.READ, handle, slot, seq: 1, lba: SCRATCH, count: sectors })));
      for (const slot of slots) equals('Bytes of the answer', (await path.answer(slot)).body.length, sectors * SECTOR_BYTES);
    },
  ),
];
