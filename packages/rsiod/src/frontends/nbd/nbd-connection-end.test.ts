// The end of an NBD connection by the client, by an error, or by a bug in rsiod. Each request in flight ends once, and all pooled buffers
// are given back. Requests and replies are in nbd-connection.test.ts.

import { describe, expect, it } from 'vitest';
import { NBD_REQUESTS_OUT_MAX } from '../limits.ts';
import { assert } from '@rsio/base/lib/assert';
import { STATUS } from '@rsio/protocol/wire/status';
import type { Extent } from '../../volumes/frontend-volume.ts';
import { type ClientRequest, optionBytes, requestBytes, u32 } from './testing/nbd-client.ts';
import { BLOCK_STATUS, DISC, FLUSH, READ, Rig, WRITE } from './testing/connection-rig.ts';

describe('the end of a connection', () => {
  it('by DISC comes after the answers to earlier requests, and nothing after it is read', () => {
    const rig = new Rig().go(false);
    rig.send({ type: READ, cookie: 1, length: 512 }, { type: DISC, cookie: 2 }, { type: FLUSH, cookie: 3 });
    expect(rig.transport.ended).toBe(false);
    expect(rig.answers().map(({ cookie }) => cookie)).toEqual([1]);
    expect(rig.transport.ended).toBe(true);
    rig.connection.closed();
    expect(rig.log).toEqual(['serving oracle', 'finished']);
  });

  it('by end of input without DISC comes after the requests that have begun; held ones are dropped', () => {
    const rig = new Rig().go(false);
    rig.send(...Array.from({ length: NBD_REQUESTS_OUT_MAX + 10 }, (_, i): ClientRequest => ({ type: FLUSH, cookie: i })));
    rig.connection.inputEnd();
    expect(rig.transport.ended).toBe(false);
    expect(rig.answers()).toHaveLength(NBD_REQUESTS_OUT_MAX);
    expect(rig.transport.ended).toBe(true);
    expect(rig.volume.seen).toHaveLength(NBD_REQUESTS_OUT_MAX);
  });

  it('that nobody has told of yet: a held request is not begun when there is room', () => {
    const rig = new Rig().go(false);
    rig.send(...Array.from({ length: NBD_REQUESTS_OUT_MAX + 1 }, (_, i): ClientRequest => ({ type: FLUSH, cookie: i })));
    rig.transport.gone = true;
    rig.answers();
    expect(rig.volume.seen).toHaveLength(NBD_REQUESTS_OUT_MAX);
    expect(rig.transport.destroyed).toBe(true);
    rig.connection.closed();
    expect(rig.log).toEqual(['serving oracle', 'finished']);
  });

  it('in the middle of a write: that write is not executed', () => {
    const rig = new Rig().go(false);
    const write = requestBytes({ type: WRITE, cookie: 1, data: Buffer.alloc(4096) });
    rig.receive(write.subarray(0, write.length - 1));
    rig.connection.inputEnd();
    expect(rig.transport.ended).toBe(true);
    rig.connection.closed();
    expect(rig.volume.seen).toEqual([]);
    expect(rig.log).toEqual(['serving oracle', 'finished']);
    expect(rig.buffersInUse).toBe(0);
  });

  it('by disconnect: requests finish in the volume, get no answer, return their buffers, and held requests are dropped', () => {
    const rig = new Rig().go(true);
    const total = NBD_REQUESTS_OUT_MAX + 5;
    rig.send(...Array.from({ length: total }, (_, i): ClientRequest => ({ type: READ, cookie: i, length: i % 2 === 0 ? 512 : 65536 })));
    rig.complete(10);
    rig.turn();
    rig.complete(10);
    rig.transport.failWrites();
    rig.connection.closed();
    expect(rig.log).toEqual(['serving oracle']);
    rig.complete();
    rig.turn();
    expect(rig.volume.seen).toHaveLength(NBD_REQUESTS_OUT_MAX);
    expect(rig.log).toEqual(['serving oracle', 'finished']);
    expect(rig.transport.takeLeft()).toHaveLength(0);
    expect(rig.buffersInUse).toBe(0);
  });

  it('by a failed write: requests still in the socket are not executed later', () => {
    const rig = new Rig().go(false);
    rig.send(...Array.from({ length: NBD_REQUESTS_OUT_MAX + 1 }, (_, i): ClientRequest => ({ type: FLUSH, cookie: i })));
    rig.complete();
    rig.turn();
    rig.transport.failWrites();
    expect(rig.volume.seen).toHaveLength(NBD_REQUESTS_OUT_MAX);
    expect(rig.transport.paused).toBe(true);
    rig.connection.closed();
    expect(rig.log).toEqual(['serving oracle', 'finished']);
  });

  it('by malformed bytes: the connection is closed and the reason reported', () => {
    const rig = new Rig().go(false);
    rig.receive(Buffer.alloc(28, 0xab));
    const haggling = new Rig();
    haggling.receive(Buffer.concat([u32(1), Buffer.alloc(16)]));
    const odd = new Rig();
    odd.receive(u32(0x80));
    expect([rig.transport.destroyed, haggling.transport.destroyed, odd.transport.ended]).toEqual([true, true, true]);
    expect([...rig.log, ...haggling.log]).toEqual([
      'serving oracle',
      'broken: the client sent a request that begins with 0xabababab',
      'broken: the client sent an option that does not begin with IHAVEOPT',
    ]);
  });

  it('by ABORT comes after its ACK', () => {
    const rig = new Rig();
    rig.receive(Buffer.concat([u32(3), optionBytes(2), optionBytes(3)]));
    expect(rig.transport.ended).toBe(true);
    rig.transport.deliver();
    expect(rig.transport.takeLeft().subarray(18).toString('hex')).toBe('0003e889045565a9' + '00000002' + '00000001' + '00000000');
  });

  it('by drain answers the requests in flight and accepts no more', () => {
    const rig = new Rig().go(false);
    rig.send({ type: FLUSH, cookie: 1 });
    rig.connection.drain();
    rig.send({ type: FLUSH, cookie: 2 });
    expect(rig.answers().map(({ cookie }) => cookie)).toEqual([1]);
    expect(rig.transport.ended).toBe(true);
  });
});

describe('a bug of our own ends its connection and nothing else', () => {
  it('while a request is passed on: the connection counts as ended only when the volume has returned its requests', () => {
    const rig = new Rig().go(true);
    rig.send({ type: READ, cookie: 1, offset: 0, length: 4096 });
    rig.volume.submit = () => {
      throw new Error('a mistake');
    };
    rig.send({ type: READ, cookie: 2, offset: 0, length: 4096 }, { type: READ, cookie: 3, offset: 0, length: 4096 });
    expect(rig.transport.destroyed).toBe(true);
    rig.transport.failWrites();
    rig.connection.closed();
    expect(rig.log).toEqual(['serving oracle', 'failed: a mistake']);
    rig.complete();
    rig.turn();
    expect(rig.log).toEqual(['serving oracle', 'failed: a mistake', 'finished']);
  });

  it('when the volume answers', () => {
    const rig = new Rig().go(true);
    rig.volume.extents = (_position, _length, done) => rig.later(() => done(STATUS.OK, [null as unknown as Extent]));
    rig.send({ type: BLOCK_STATUS, cookie: 1, offset: 0, length: 4096 });
    rig.complete();
    rig.connection.closed();
    expect(rig.log).toEqual(['serving oracle', expect.stringMatching(/^failed: Cannot read/), 'finished']);
  });

  it('when an answer cannot be written', () => {
    const rig = new Rig().go(true);
    rig.send({ type: FLUSH, cookie: 1 });
    rig.batches.take = () => {
      throw new Error('a mistake');
    };
    rig.complete();
    rig.connection.closed();
    expect(rig.log).toEqual(['serving oracle', 'failed: a mistake', 'finished']);
  });

  it('except that a failed assertion ends the process, as everywhere', () => {
    const rig = new Rig().go(true);
    rig.volume.submit = () => assert(false, 'the trunk is broken');
    expect(() => rig.send({ type: FLUSH, cookie: 1 })).toThrow('the trunk is broken');
  });
});
