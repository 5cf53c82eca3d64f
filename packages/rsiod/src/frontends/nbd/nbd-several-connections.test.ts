// Several NBD connections that are busy in the same turn of the event loop: their requests reach the volumes together, in order of arrival.
// A single busy connection does not wait, and the end of one connection does not affect the others. A single connection is tested in
// nbd-connection.test.ts.

import { expect, it } from 'vitest';
import { DISC, FLUSH, READ, Rig, WRITE } from './testing/connection-rig.ts';

/** Two connections with common `Submissions`. `order`: the requests to their volumes, in order of arrival. */
function twoRigs(): { one: Rig; other: Rig; order: string[] } {
  const one = new Rig().go(false);
  const other = new Rig({}, one.submissions).go(false);
  const order: string[] = [];
  for (const [name, { volume }] of Object.entries({ one, other })) {
    const submit = volume.submit.bind(volume);
    volume.submit = (io) => {
      order.push(`${name}: ${io.op} ${io.positionBytes}`);
      submit(io);
    };
  }
  return { one, other, order };
}

it('requests of a turn begin together at its end, in order of arrival, with their data', () => {
  const { one, other, order } = twoRigs();
  one.send({ type: FLUSH, cookie: 1 });
  expect(order).toEqual(['one: flush 0']);
  other.send({ type: WRITE, cookie: 2, offset: 512, data: Buffer.alloc(512, 2) });
  one.send({ type: WRITE, cookie: 3, offset: 1024, data: Buffer.alloc(512, 3) }, { type: READ, cookie: 4, length: 512 });
  other.send({ type: FLUSH, cookie: 5 });
  expect(order).toEqual(['one: flush 0']);
  one.turn();
  expect(order).toEqual(['one: flush 0', 'other: write 512', 'one: write 1024', 'one: read 0', 'other: flush 0']);
  expect([one, other].map((rig) => rig.answers().map(({ cookie, errno }) => `${cookie} ${errno}`))).toEqual([
    ['1 0', '3 0', '4 0'],
    ['2 0', '5 0'],
  ]);
  expect([other.volume.content[512], one.volume.content[1024], one.buffersInUse + other.buffersInUse]).toEqual([2, 3, 0]);
});

it('a connection that is alone again waits for nothing', () => {
  const { one, other, order } = twoRigs();
  one.send({ type: FLUSH, cookie: 1 });
  other.send({ type: FLUSH, cookie: 2 });
  one.turn();
  other.answers();
  one.answers();
  one.send({ type: READ, cookie: 3, length: 512 }, { type: READ, cookie: 4, offset: 512, length: 512 });
  expect(order.slice(2)).toEqual(['one: read 0', 'one: read 512']);
  expect(one.submissions.busyConnections).toBe(1);
  one.answers();
  expect(one.submissions.busyConnections).toBe(0);
});

it.each([
  ['DISC', (rig: Rig) => rig.send({ type: DISC, cookie: 9 })],
  ['the end of its input', (rig: Rig) => rig.connection.inputEnd()],
])('a WRITE that waits for the end of the turn is executed and answered, although %s follows it', (_what, end) => {
  const { one, other, order } = twoRigs();
  one.send({ type: FLUSH, cookie: 1 });
  other.send({ type: WRITE, cookie: 2, offset: 512, data: Buffer.alloc(512, 2) });
  end(other);
  expect([order, other.transport.ended]).toEqual([['one: flush 0'], false]);
  one.turn();
  expect(other.answers().map(({ cookie, errno }) => `${cookie} ${errno}`)).toEqual(['2 0']);
  expect([order.at(-1), other.volume.content[512], other.transport.ended]).toEqual(['other: write 512', 2, true]);
});

it('a client that has gone meanwhile: its requests are dropped, and those of others begin', () => {
  const { one, other, order } = twoRigs();
  one.send({ type: FLUSH, cookie: 1 });
  other.send({ type: WRITE, cookie: 2, offset: 512, data: Buffer.alloc(512, 2) });
  one.send({ type: READ, cookie: 3, length: 512 });
  other.transport.failWrites();
  other.connection.closed();
  expect(other.log).toEqual(['serving oracle']);
  one.turn();
  expect(order).toEqual(['one: flush 0', 'one: read 0']);
  expect(other.log).toEqual(['serving oracle', 'finished']);
  expect(one.answers()).toHaveLength(2);
  expect([other.buffersInUse, one.buffersInUse, one.submissions.busyConnections]).toEqual([0, 0, 0]);
});

it('a client that has gone without a word: what it sent in this turn is dropped, and its connection is closed', () => {
  const { one, other, order } = twoRigs();
  one.send({ type: FLUSH, cookie: 1 });
  one.send({ type: WRITE, cookie: 2, offset: 512, data: Buffer.alloc(512, 1) });
  other.send({ type: WRITE, cookie: 3, offset: 512, data: Buffer.alloc(512, 2) }, { type: FLUSH, cookie: 4 });
  other.transport.gone = true;
  one.turn();
  expect([order.filter((line) => line.startsWith('other')), other.transport.destroyed]).toEqual([[], true]);
  other.connection.closed();
  expect(other.log).toEqual(['serving oracle', 'finished']);
  expect([one.answers().length, other.buffersInUse, one.submissions.busyConnections]).toEqual([2, 0, 0]);
});

it('a bug of our own at the end of a turn ends its connection and no other', () => {
  const { one, other, order } = twoRigs();
  one.send({ type: FLUSH, cookie: 1 });
  other.volume.submit = () => {
    throw new Error('a mistake');
  };
  other.send({ type: FLUSH, cookie: 2 }, { type: FLUSH, cookie: 3 });
  one.send({ type: READ, cookie: 4, length: 512 });
  one.turn();
  expect(other.log).toEqual(['serving oracle', 'failed: a mistake']);
  expect(other.transport.destroyed).toBe(true);
  other.connection.closed();
  expect(other.log.at(-1)).toBe('finished');
  expect(order).toEqual(['one: flush 0', 'one: read 0']);
  expect(one.answers()).toHaveLength(2);
  expect(one.submissions.busyConnections).toBe(0);
});
