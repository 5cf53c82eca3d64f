// Tests which texts `send` takes and refuses, and its notes about servers that did not take a text.
// test/integration/node-messages.test.ts has real daemons.

import { expect, test } from 'vitest';
import { contextOf } from '../../testing/context.ts';
import { SEND } from './send.ts';

test('send takes its text from the command line or stdin, and refuses what is too long or no text', async () => {
  const said = { out: '', notes: [] as string[], calls: [] as unknown[], input: '' };
  const context = contextOf({
    out: (text) => (said.out += text),
    note: (text) => said.notes.push(text),
    input: () => Promise.resolve(said.input),
    call: (method, params) => {
      said.calls.push([method, params]);
      const servers = [null, null, 'too late'].map((error, index) => ({ namespace: 'osl', server: `big-${index}`, error }));
      return Promise.resolve({ id: '1', servers });
    },
  });
  expect(await SEND.run(context, {}, ['big-6', 'hello'])).toBe(0);
  expect([said.out, said.notes]).toEqual(['sent to big-6 through 2 servers\n', ['Server big-2 of osl did not take it: too late']]);
  said.input = 'from stdin';
  await SEND.run(context, { namespace: 'osl' }, ['big-6', '-']);
  expect(said.calls.at(-1)).toEqual(['message-send', { to: 'big-6', text: 'from stdin', namespace: 'osl' }]);
  await expect(SEND.run(context, {}, ['big-6', 'ä'.repeat(2049)])).rejects.toThrow('4098 bytes: at most 4096');
  said.input = Buffer.from([0xff]).toString('utf8');
  await expect(SEND.run(context, {}, ['big-6', '-'])).rejects.toThrow('base64');
  said.input = '';
  await expect(SEND.run(context, {}, ['big-6', '-'])).rejects.toThrow('empty');
});
