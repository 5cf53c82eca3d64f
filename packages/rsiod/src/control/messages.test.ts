// Messages through several servers: each is taken once, a server that fails is left alone, and waiting calls end in time. The servers' part
// is tested in rssrv, and both together in test/integration/node-messages.test.ts.

import { expect, test } from 'vitest';
import { RsError } from '@rsio/base/lib/errors';
import { MESSAGE_TEXT_MAX_BYTES } from '@rsio/common/control/limits';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { MESSAGE_NAME_MAX_CHARS, MESSAGE_POLL_MS, MESSAGE_REST_MS, MESSAGES_KEPT_MAX, MESSAGES_TAKEN_MAX } from './limits.ts';
import { Messages, type MessageServer } from './messages.ts';

class FakeServer implements MessageServer {
  readonly name: string;
  isConnected = true;
  box: { id: string; from: string; text: string }[] = [];
  /** The answer of a hostile server; null for a normal server. */
  answers: typeof this.box | null = null;
  readonly sent: unknown[] = [];
  calls = 0;
  error: RsError | null = null;

  constructor(name: string) {
    this.name = name;
  }

  callAdmin(method: string, params: object): Promise<unknown> {
    this.calls++;
    if (this.error !== null) return Promise.reject(this.error);
    if (method === 'message-send') return Promise.resolve({ done: this.sent.push(params) });
    const { taken } = params as { readonly taken: readonly string[] };
    this.box = this.box.filter(({ id }) => !taken.includes(id));
    return Promise.resolve({ messages: this.answers ?? this.box.slice(0, 16) });
  }
}

function scene() {
  const clock = new FakeClock();
  const servers = [new FakeServer('big-9'), new FakeServer('big-8')] as const;
  const namespaces = [{ config: { name: 'osl' }, orderedServers: servers }];
  const messages = new Messages({ clock, namespaces: { list: namespaces }, newId: () => 'id-1' });
  return { clock, servers, messages };
}

test('a message that both servers have is taken once, and removed from both', async () => {
  const { servers, messages } = scene();
  for (const server of servers) server.box = [{ id: 'x', from: 'big-6', text: 'hello' }];
  const { messages: got, last } = await messages.read({ count: 10, after: null });
  expect(got).toMatchObject([{ namespace: 'osl', from: 'big-6', text: 'hello', number: last }]);
  expect(servers.map(({ box }) => box.length)).toEqual([0, 0]);
  servers[1].box = [{ id: 'x', from: 'big-6', text: 'hello' }];
  expect((await messages.read({ count: 10, after: last })).messages).toEqual([]);
});

test('a call that waits asks again at its interval, and ends with a message or with its time', async () => {
  const { clock, servers, messages } = scene();
  const { last } = await messages.read({ count: 1, after: null });
  const waits = messages.read({ count: 10, after: last, waitMs: 60_000 });
  await expect.poll(() => clock.timersPending).toBe(1);
  servers[0].box = [{ id: 'y', from: 'big-6', text: 'now' }];
  clock.advance(MESSAGE_POLL_MS);
  expect((await waits).messages).toMatchObject([{ text: 'now' }]);
  const late = messages.read({ count: 10, after: last + 1, waitMs: 100 });
  await expect.poll(() => clock.timersPending).toBe(1);
  clock.advance(100);
  expect(await late).toMatchObject({ messages: [], last: last + 1 });
});

test('a server that fails is left alone for a while, and the other one suffices', async () => {
  const { clock, servers, messages } = scene();
  servers[0].error = new RsError('E_USAGE', 'Unknown method');
  servers[1].box = [{ id: 'z', from: 'big-6', text: 'here' }];
  expect((await messages.read({ count: 1, after: null })).messages).toHaveLength(1);
  await messages.read({ count: 1, after: null });
  expect(servers[0].calls).toBe(1);
  clock.advance(MESSAGE_REST_MS);
  await messages.read({ count: 1, after: null });
  expect(servers[0].calls).toBe(2);
});

test('a message is sent through every connected server; only if none takes it, its error is the answer', async () => {
  const { servers, messages } = scene();
  servers[1].error = new RsError('E_TIMEOUT', 'too late');
  const order = { to: 'big-6', text: 'hello', namespace: null };
  expect(await messages.send(order)).toEqual({
    id: 'id-1',
    servers: [
      { namespace: 'osl', server: 'big-9', error: null },
      { namespace: 'osl', server: 'big-8', error: 'too late' },
    ],
  });
  expect(servers[0].sent).toEqual([{ to: 'big-6', id: 'id-1', text: 'hello' }]);
  servers[0].isConnected = false;
  await expect(messages.send(order)).rejects.toThrow('too late');
  servers[1].isConnected = false;
  await expect(messages.send(order)).rejects.toThrow('No server is connected');
  await expect(messages.send({ ...order, namespace: 'lab' })).rejects.toThrow('of namespace lab');
});

test('too many messages push out the oldest, and say how many were missed', async () => {
  const { servers, messages } = scene();
  const { last } = await messages.read({ count: 1, after: null });
  for (let part = 0; part < MESSAGES_KEPT_MAX / 64 + 1; part++) {
    servers[0].box = Array.from({ length: 64 }, (_, index) => ({ id: `${part} ${index}`, from: 'a', text: 'x' }));
    await messages.read({ count: 1, after: null });
  }
  expect(await messages.read({ count: 1, after: last })).toMatchObject({ missed: 64, messages: [{ id: '1 0' }] });
});

test('a server that sends more or longer messages than it may is left alone, and nothing of it is kept', async () => {
  const { clock, servers, messages } = scene();
  const one = { id: 'x', from: 'big-6', text: 'x' };
  for (const box of [
    [{ ...one, text: 'x'.repeat(MESSAGE_TEXT_MAX_BYTES + 1) }],
    [{ ...one, id: 'x'.repeat(MESSAGE_NAME_MAX_CHARS + 1) }],
    [{ ...one, from: 'x'.repeat(MESSAGE_NAME_MAX_CHARS + 1) }],
    Array.from({ length: MESSAGES_TAKEN_MAX + 1 }, (_, index) => ({ ...one, id: String(index) })),
  ]) {
    servers[0].answers = box;
    expect((await messages.read({ count: 10, after: null })).messages).toEqual([]);
    clock.advance(MESSAGE_REST_MS);
  }
  expect(servers[0].calls).toBe(4);
});
