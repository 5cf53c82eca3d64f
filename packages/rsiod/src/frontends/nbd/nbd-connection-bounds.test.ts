// One NBD connection under load: replies that are sent together, and the bounds on requests, bytes and memory. Requests and replies are in
// nbd-connection.test.ts.

import { describe, expect, it } from 'vitest';
import {
  NBD_BATCHES_SENDING_MAX,
  NBD_BATCH_BYTES,
  NBD_BYTES_OUT_MAX,
  NBD_FRONTEND_BYTES_MAX,
  NBD_REPLY_COPY_MAX_BYTES,
  NBD_REQUESTS_OUT_MAX,
  NBD_REQUEST_MAX_BYTES,
} from '../limits.ts';
import { STATUS } from '@rsio/protocol/wire/status';
import { type ClientRequest, optionBytes, u32 } from './testing/nbd-client.ts';
import { READ, Rig, WRITE } from './testing/connection-rig.ts';

describe('batching', () => {
  it('sends the replies of one turn with one system call', () => {
    const rig = new Rig().go(false);
    const before = rig.transport.calls;
    const large = NBD_REPLY_COPY_MAX_BYTES;
    rig.send(...Array.from({ length: 20 }, (_, i): ClientRequest => ({ type: READ, cookie: i, length: i % 5 === 0 ? large : 4096 })));
    rig.complete();
    rig.turn();
    expect(rig.transport.calls - before).toBe(1);
    expect(rig.answers()).toHaveLength(20);
  });

  it('keeps a buffer until its data has left', () => {
    const rig = new Rig().go(false);
    const size = NBD_REPLY_COPY_MAX_BYTES;
    rig.send({ type: WRITE, cookie: 1, data: Buffer.alloc(size, 1) });
    rig.answers();
    rig.send({ type: READ, cookie: 2, length: size });
    rig.complete();
    rig.turn();
    rig.send({ type: WRITE, cookie: 3, data: Buffer.alloc(size, 2) }, { type: READ, cookie: 4, length: size });
    rig.complete();
    const [write, first, second] = [...rig.answers()].sort(
      (a, b) => Number(b.cookie === 3) - Number(a.cookie === 3) || a.cookie - b.cookie,
    );
    expect([write?.cookie, first?.cookie, second?.cookie]).toEqual([3, 2, 4]);
    expect(first?.data.equals(Buffer.alloc(size, 1))).toBe(true);
    expect(second?.data.equals(Buffer.alloc(size, 2))).toBe(true);
  });
});

describe('bounds', () => {
  it('on requests: beyond them the client is not read, and reading resumes when answers have left', () => {
    const rig = new Rig().go(false);
    const count = NBD_REQUESTS_OUT_MAX + 100;
    rig.send(...Array.from({ length: count }, (_, i): ClientRequest => ({ type: READ, cookie: i, length: 512 })));
    expect(rig.volume.underWay).toBe(NBD_REQUESTS_OUT_MAX);
    expect(rig.transport.paused).toBe(true);
    rig.complete();
    rig.turn();
    expect(rig.volume.underWay).toBe(0);
    expect(rig.transport.paused).toBe(true);
    rig.transport.deliver();
    expect(rig.volume.underWay).toBe(100);
    expect(rig.transport.paused).toBe(false);
    expect(rig.answers().map(({ cookie }) => cookie)).toEqual(Array.from({ length: count }, (_, i) => i));
  });

  it('on bytes: the same', () => {
    const rig = new Rig().go(false);
    const most = NBD_BYTES_OUT_MAX / NBD_REQUEST_MAX_BYTES;
    rig.volume.fail = STATUS.IO_ERROR;
    rig.send(...Array.from({ length: most + 1 }, (_, i): ClientRequest => ({ type: READ, cookie: i, length: NBD_REQUEST_MAX_BYTES })));
    expect(rig.volume.underWay).toBe(most);
    expect(rig.transport.paused).toBe(true);
    expect(rig.answers()).toHaveLength(most + 1);
    expect(rig.transport.paused).toBe(false);
    expect(rig.buffersInUse).toBe(0);
  });

  it('on a client that reads nothing: memory stays bounded, however long it sends', () => {
    const rig = new Rig().go(false);
    for (let round = 0; round < 1000 && !rig.transport.paused; round++) {
      rig.send({ type: READ, cookie: round, length: 512 });
      rig.complete();
      rig.turn();
    }
    expect(rig.transport.paused).toBe(true);
    expect(rig.transport.waitingBytes).toBeLessThan(NBD_REQUESTS_OUT_MAX * 528);
    const full = Math.floor((NBD_REQUESTS_OUT_MAX * 528) / NBD_BATCH_BYTES);
    expect(rig.batches.inUse).toBeLessThanOrEqual(NBD_BATCHES_SENDING_MAX + 1 + full);
  });

  it('on the data of all connections: beyond it the client is not read, except for one request, until another connection returns memory', () => {
    const rig = new Rig().go(true);
    const other = { roomAgain: () => undefined };
    rig.budget.take(other, NBD_FRONTEND_BYTES_MAX, true);
    const reads = [1, 2, 3].map((cookie) => ({ type: READ, cookie, offset: 0, length: 4096 }));
    rig.send(...reads);
    expect([rig.volume.seen.length, rig.transport.paused]).toEqual([1, true]);
    rig.budget.giveBack(NBD_FRONTEND_BYTES_MAX);
    rig.turn();
    expect([rig.volume.seen.length, rig.transport.paused]).toEqual([3, false]);
    expect(rig.answers()).toHaveLength(3);
    expect(rig.buffersInUse).toBe(0);
  });

  it('on options: one at a time, so that answers cannot pile up', () => {
    const rig = new Rig();
    rig.receive(Buffer.concat([u32(3), ...new Array<Buffer>(100).fill(optionBytes(3))]));
    expect(rig.transport.paused).toBe(true);
    expect(rig.transport.waitingBytes).toBeLessThan(200);
    for (let i = 0; i < 100; i++) rig.transport.deliver();
    expect(rig.transport.paused).toBe(false);
  });
});
