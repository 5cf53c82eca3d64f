// Tests messages between clients: which client gets them, how long the server keeps them, and which messages a flood pushes out.
// test/integration/node-messages.test.ts sends them over sessions.

import { expect, test } from 'vitest';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { type Asker, clientAsker, LOCAL_ASKER } from '../../pools/asker.ts';
import { asking } from '../../testing/asking.ts';
import { MESSAGE_KEPT_MS, MESSAGES_MAX, MESSAGES_PER_ANSWER_MAX, MESSAGES_PER_NODE_MAX } from '../limits.ts';
import { Mailboxes, messageHandlers } from './messages.ts';

const VOLUMES = [{ clients: ['big-2', 'big-6', 'gone'] }, { clients: ['mars'] }];
const clock = new FakeClock();

function scene(volumes: readonly { clients: readonly string[] | null }[] = VOLUMES) {
  const mailboxes = new Mailboxes(clock);
  const config = () => ({ clients: ['big-2', 'big-6', 'mars'].map((name) => ({ name })) });
  const as = (asker: Asker) => messageHandlers(mailboxes, { served: volumes }, { config }, asker);
  const of = (node: string) => as(clientAsker(node, asking()));
  const texts = (node: string): string[] => mailboxes.take(node, []).map(({ from, text }) => `${from}: ${text}`);
  return { as, mailboxes, of, texts };
}

test('a message goes to its node until it says that it has it, and a repeated one is kept once', async () => {
  const { of, texts } = scene();
  for (const id of ['1', '1', '2']) await of('big-2')['message-send']({ to: 'big-6', id, text: `hello ${id}` });
  expect(texts('big-6')).toEqual(['big-2: hello 1', 'big-2: hello 2']);
  expect(texts('big-2')).toEqual([]);
  expect((await of('big-6')['message-take']({ taken: ['1'] })).messages).toEqual([{ id: '2', from: 'big-2', text: 'hello 2' }]);
  clock.advance(MESSAGE_KEPT_MS);
  expect(texts('big-6')).toEqual([]);
});

test('nodes that share no volume, and names that are no clients, are refused in the same words', () => {
  const { of, as } = scene();
  for (const to of ['mars', 'gone', 'nobody'])
    expect(() => of('big-2')['message-send']({ to, id: '1', text: 'x' })).toThrow(`No client "${to}" shares a volume of this server`);
  expect(() =>
    scene([{ clients: null }])
      .of('big-2')
      ['message-send']({ to: 'mars', id: '1', text: 'x' }),
  ).not.toThrow();
  expect(() => as(LOCAL_ASKER)['message-take']({ taken: [] })).toThrow('between clients');
});

test('long texts and ids are refused', () => {
  const { mailboxes } = scene();
  const one = { id: '1', from: 'a', to: 'b', text: 'x' };
  expect(() => mailboxes.put({ ...one, text: 'ä'.repeat(2049) })).toThrow('4098 bytes, more than 4096');
  expect(() => mailboxes.put({ ...one, id: 'x'.repeat(65) })).toThrow('more than 64 characters');
});

test('a flood by one sender pushes out only its own messages', () => {
  const { mailboxes } = scene();
  mailboxes.put({ id: 'first', from: 'quiet', to: 'b', text: 'x' });
  for (let id = 0; id < MESSAGES_MAX + 100; id++) mailboxes.put({ id: String(id), from: 'loud', to: `${id % 40}`, text: 'x' });
  for (let id = 0; id < 2 * MESSAGES_PER_NODE_MAX; id++) mailboxes.put({ id: String(id), from: 'loud', to: 'b', text: 'x' });
  const [first, second] = mailboxes.take('b', []);
  expect([first?.id, second?.from]).toEqual(['first', 'loud']);
  const all: string[] = [];
  for (let part = mailboxes.take('b', []); part.length > 0; part = mailboxes.take('b', all.slice(-MESSAGES_PER_ANSWER_MAX)))
    all.push(...part.map(({ id }) => id));
  expect(all).toHaveLength(MESSAGES_PER_NODE_MAX);
  for (let id = 0; id < 2 * MESSAGES_PER_NODE_MAX; id++) mailboxes.put({ id: String(id), from: `n${id}`, to: 'c', text: 'x' });
  expect(mailboxes.take('c', [])[0]?.from, 'of many senders, the newest are kept').toBe(`n${MESSAGES_PER_NODE_MAX}`);
});
