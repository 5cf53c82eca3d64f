// Tests the phases of an attachment, and the order in which a new session recovers the requests of the old session (R2 iii-iv). Rule O1
// holds in every test. slots.test.ts and trunk.test.ts test slots and paths.

import { describe, expect, test } from 'vitest';
import { AssertionError } from '@rsio/base/lib/assert';
import { OP } from '../wire/frames.ts';
import { type OpenAnswer, TAKE } from '../wire/messages.ts';
import { STATUS } from '../wire/status.ts';
import { Attachment } from './attachment.ts';
import { Request } from './requests/request.ts';

const VOLUME: OpenAnswer = {
  handle: 3,
  id: 'id',
  sizeBytes: 1 << 20,
  blockSizeBytes: 512,
  readonly: false,
  shared: false,
  canDiscard: true,
  identity: 'identity',
  life: 'life',
};

function request(op: number, lba = 0, count = 1): Request {
  return Object.assign(new Request(), { op, lba, count });
}

function opened(): Attachment {
  const attachment = new Attachment('oracle', 0, false, TAKE.NO, null);
  attachment.opened(VOLUME);
  return attachment;
}

/** Submits every request that may be sent now. */
function drain(attachment: Attachment): Request[] {
  const out: Request[] = [];
  while (attachment.hasSendable) {
    const request = attachment.next();
    if (request !== null) out.push(request);
  }
  return out;
}

function give(attachment: Attachment, ...requests: Request[]): void {
  for (const one of requests) attachment.add(one);
}

test("its size only grows: by the server's list, and by a new OPEN", () => {
  const attachment = new Attachment('oracle', 0, false, TAKE.NO, null);
  expect(attachment.grow(4 << 20), 'not open yet').toBe(false);
  attachment.opened(VOLUME);
  expect([attachment.grow(1 << 20), attachment.grow(1 << 19), attachment.volume]).toEqual([false, false, VOLUME]);
  expect([attachment.grow(2 << 20), attachment.volume]).toEqual([true, { ...VOLUME, sizeBytes: 2 << 20 }]);
  attachment.sessionLost([], 'Gone');
  attachment.opened({ ...VOLUME, handle: 9 });
  expect(attachment.volume).toEqual({ ...VOLUME, handle: 9, sizeBytes: 2 << 20 });
  attachment.sessionLost([], 'Gone');
  attachment.opened({ ...VOLUME, sizeBytes: 3 << 20 });
  expect(attachment.volume?.sizeBytes).toBe(3 << 20);
});

describe('the ordinary way', () => {
  test('nothing is sent before it is open; then everything in order', () => {
    const attachment = new Attachment('oracle', 0, false, TAKE.NO, null);
    const list = [request(OP.READ), request(OP.WRITE), request(OP.FLUSH)];
    give(attachment, ...list);
    expect(attachment.hasSendable).toBe(false);
    expect(() => attachment.peek()).not.toThrow();
    attachment.opened(VOLUME);
    expect([attachment.phase, attachment.handle]).toEqual(['ready', 3]);
    expect(drain(attachment)).toEqual(list);
  });

  test('an overlapping change waits for the answer to the earlier one; a READ does not', () => {
    const attachment = opened();
    const [first, second, read, apart] = [request(OP.WRITE, 0, 4), request(OP.ZERO, 3, 4), request(OP.READ, 0, 8), request(OP.WRITE, 9)];
    give(attachment, first, second, read, apart);
    expect(drain(attachment)).toEqual([first, read, apart]);
    attachment.answered(apart, STATUS.OK);
    attachment.answered(read, STATUS.OK);
    expect(attachment.hasSendable).toBe(false);
    attachment.answered(first, STATUS.OK);
    expect(drain(attachment)).toEqual([second]);
  });

  test('order is kept over a long queue', () => {
    const attachment = opened();
    const list = Array.from({ length: 5000 }, (_unused, lba) => request(OP.READ, lba));
    give(attachment, ...list.slice(0, 3000));
    const out = Array.from({ length: 2500 }, () => attachment.next());
    give(attachment, ...list.slice(3000));
    expect([...out, ...drain(attachment)].every((one, index) => one === list[index])).toBe(true);
  });
});

describe('a new session', () => {
  test('sends the unanswered changes first, and the rest when all of them are answered', () => {
    const attachment = opened();
    const [write, zero, read, flush] = [request(OP.WRITE, 0), request(OP.ZERO, 10), request(OP.READ, 0), request(OP.FLUSH)];
    give(attachment, write, read, zero, flush);
    drain(attachment);
    const waiting = request(OP.WRITE, 0);
    give(attachment, waiting);
    attachment.sessionLost([flush, zero, read, write], 'lost');
    const late = request(OP.READ, 5);
    give(attachment, late);
    expect([attachment.phase, attachment.hasSendable, attachment.slotsHeld]).toEqual(['opening', false, 0]);
    attachment.opened({ ...VOLUME, handle: 9 });
    expect([attachment.phase, attachment.handle]).toEqual(['resending', 9]);
    expect(new Set(drain(attachment))).toEqual(new Set([write, zero]));
    attachment.answered(zero, STATUS.OK);
    expect([attachment.phase, attachment.hasSendable]).toEqual(['resending', false]);
    attachment.answered(write, STATUS.OK);
    expect(attachment.phase).toBe('ready');
    expect(drain(attachment)).toEqual([flush, read, late, waiting]);
  });

  test('is ready at once without unanswered changes', () => {
    const attachment = opened();
    const read = request(OP.READ);
    give(attachment, read);
    drain(attachment);
    attachment.sessionLost([read], 'lost');
    attachment.opened(VOLUME);
    expect(attachment.phase).toBe('ready');
    expect(drain(attachment)).toEqual([read]);
  });

  test('restarts an interrupted recovery from its beginning', () => {
    const attachment = opened();
    const writes = [request(OP.WRITE, 0), request(OP.WRITE, 1), request(OP.WRITE, 2)];
    give(attachment, ...writes);
    drain(attachment);
    attachment.sessionLost(writes, 'lost');
    attachment.opened(VOLUME);
    const first = attachment.next()!;
    const second = attachment.next()!;
    attachment.answered(first, STATUS.OK);
    attachment.sessionLost([second], 'lost again');
    expect(attachment.phase).toBe('opening');
    attachment.opened(VOLUME);
    const again = drain(attachment);
    expect(new Set(again)).toEqual(new Set(writes.filter((write) => write !== first)));
    for (const write of again) attachment.answered(write, STATUS.OK);
    expect(attachment.phase).toBe('ready');
  });

  test('a change that arrived meanwhile does not overtake an unanswered one that it overlaps', () => {
    const attachment = opened();
    const old = request(OP.WRITE, 0, 8);
    give(attachment, old);
    drain(attachment);
    attachment.sessionLost([old], 'lost');
    const fresh = request(OP.WRITE, 4);
    give(attachment, fresh);
    attachment.opened(VOLUME);
    expect(drain(attachment)).toEqual([old]);
    attachment.answered(old, STATUS.OK);
    expect(drain(attachment)).toEqual([fresh]);
  });
});

describe('the end', () => {
  test('takeAll returns every request here, once', () => {
    const attachment = opened();
    const [out, next, waiting] = [request(OP.WRITE, 0), request(OP.READ), request(OP.WRITE, 0)];
    give(attachment, out);
    drain(attachment);
    give(attachment, next, waiting);
    expect(new Set(attachment.takeAll())).toEqual(new Set([next, waiting]));
    expect(attachment.takeAll()).toEqual([]);
    attachment.answered(out, STATUS.OK);
    expect(attachment.hasSendable).toBe(false);
  });

  // Regression: the overlap tracker still counted removed requests as in flight, so overlapping requests waited forever.
  test('a request that was removed unsent blocks no others', () => {
    const attachment = opened();
    const [unsent, resent] = [request(OP.WRITE, 0), request(OP.WRITE, 5)];
    give(attachment, resent);
    drain(attachment);
    attachment.sessionLost([resent], 'lost');
    give(attachment, unsent);
    expect(new Set(attachment.takeAll())).toEqual(new Set([unsent, resent]));
    attachment.opened(VOLUME);
    const later = [request(OP.WRITE, 0), request(OP.WRITE, 5)];
    give(attachment, ...later);
    expect(drain(attachment)).toEqual(later);
  });

  test('moves that are not in the table are our own mistake', () => {
    const attachment = opened();
    attachment.moveTo('failed', 'Another client has it');
    expect(() => attachment.opened(VOLUME)).toThrow(AssertionError);
    attachment.sessionLost([], 'lost');
    expect([attachment.phase, attachment.reason]).toEqual(['failed', 'Another client has it']);
    attachment.moveTo('closed', 'Detached');
    expect(() => attachment.moveTo('opening', '')).toThrow(AssertionError);
  });
});
