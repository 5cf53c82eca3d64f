// Tests which texts are a HOST[:PORT], and which are refused before the resolver is called. The tests use the machine's resolver, for which
// only the name localhost is certain to exist.

import { systemClock } from '@rsio/base/lib/clock';
import { expect, test } from 'vitest';
import { parsePort, resolveHost } from './hosts.ts';

test.each([
  ['192.168.45.10', { address: '192.168.45.10', port: 5000 }],
  ['192.168.45.10:5001', { address: '192.168.45.10', port: 5001 }],
  ['[fd00::1]:5001', { address: 'fd00::1', port: 5001 }],
  ['fd00::1', { address: 'fd00::1', port: 5000 }],
  ['localhost:5002', { address: '127.0.0.1', port: 5002 }],
])('%s', async (text, peer) => {
  expect(await resolveHost(text, 5000, systemClock)).toEqual(peer);
});

test.each(['', '192.168.45', '192.168.45.10:0', '192.168.45.10:70000', 'big 9', 'big-9:x', 'http://big-9'])(
  '%j is wrong usage',
  async (text) => {
    await expect(resolveHost(text, 5000, systemClock)).rejects.toThrow(/^Wrong HOST /);
  },
);

test('--port', () => {
  expect([parsePort(null, 5000), parsePort('1', 5000)]).toEqual([5000, 1]);
  for (const text of ['0', '65536', '5000x', '']) expect(() => parsePort(text, 5000)).toThrow(/^Wrong --port /);
});
