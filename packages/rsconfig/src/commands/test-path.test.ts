// Tests the forms of the operand PATH, and the output of `-m test` for a good path, an unusable path, and a path whose traffic leaves
// through the wrong network card. The measurement is tested in rsiod.

import type { ProbeView } from '@rsio/api/rsiod/methods';
import { expect, test } from 'vitest';
import { contextOf } from '../testing/context.ts';
import { parsePath, TEST } from './test-path.ts';

function probe(changes: Partial<ProbeView> = {}): ProbeView {
  return {
    interface: 'if0',
    localAddress: '192.168.45.20',
    section: 'big-9-1',
    address: '192.168.45.10',
    port: 5000,
    reachMs: 0.21,
    handshakeMs: 1.2,
    server: 'big-9',
    serverid: 1,
    roundTripMs: 0.2116,
    sendBytesPerSecond: 112_300_000,
    receiveBytesPerSecond: 113_000_000,
    mtuBytes: 1500,
    device: 'eth0',
    leavesBy: 'eth0',
    error: null,
    remarks: [],
    ...changes,
  };
}

const DOWN = probe({
  interface: 'if1',
  address: '192.168.46.10',
  server: null,
  reachMs: null,
  roundTripMs: null,
  sendBytesPerSecond: null,
  receiveBytesPerSecond: null,
  mtuBytes: null,
  leavesBy: null,
  error: { code: 'E_UNREACHABLE', message: 'No answer within 3000 ms: look at\x1b[1m the cable' },
});

async function run(paths: readonly ProbeView[], words: readonly string[] = [], json = false) {
  const asked: unknown[] = [];
  let out = '';
  const context = contextOf({
    out: (text) => {
      out += text;
    },
    call: async (method, params) => {
      asked.push([method, params]);
      if (method === 'status') {
        return {
          interfaces: [{ position: 0, name: 'if0', address: '192.168.45.20', port: 5000, reps: [] }],
          waiting: [],
          logs: [],
          mirrors: [],
        };
      }
      return { paths, leftOut: [{ interface: null, section: 'big-9-3', address: '10.0.0.1', reason: 'not on a common subnet' }] };
    },
  });
  const code = await TEST.run(context, { json }, words);
  return { code, out, asked };
}

test('the table', async () => {
  const misled = probe({ interface: 'if1', leavesBy: 'eth0', device: 'eth1', remarks: ['Leaves by eth0: see rsconfig doctor'] });
  const { code, out } = await run([probe(), misled, DOWN]);
  expect(code).toBe(1);
  expect(out).toBe(`path                       server   reach  trip ms  tx MB/s  rx MB/s   MTU  leaves by
if0 -> 192.168.45.10/5000  big-9   0.2 ms    0.212    112.3    113.0  1500  eth0
if1 -> 192.168.45.10/5000  big-9   0.2 ms    0.212    112.3    113.0  1500  eth0, not eth1
    Leaves by eth0: see rsconfig doctor
if1 -> 192.168.46.10/5000  -            -        -        -        -     -  -
    No answer within 3000 ms: look at\\x1b[1m the cable [E_UNREACHABLE]
- -> 10.0.0.1 (big-9-3) is left out: not on a common subnet
`);
});

test('exit code 0 when every path is well, 1 when there is none', async () => {
  expect((await run([probe()])).code).toBe(0);
  expect((await run([])).code).toBe(1);
});

test('--json prints the answer of the daemon', async () => {
  const { out } = await run([DOWN], [], true);
  expect(JSON.parse(out)).toMatchObject({ paths: [{ address: '192.168.46.10', error: { code: 'E_UNREACHABLE' } }] });
});

test.each([
  ['if0', { interface: 'if0', remote: null }],
  ['192.168.45.10', { interface: null, remote: '192.168.45.10' }],
  ['192.168.45.10/5000', { interface: null, remote: '192.168.45.10' }],
  ['if0:192.168.45.10', { interface: 'if0', remote: '192.168.45.10' }],
  ['if0:big-9-1', { interface: 'if0', remote: 'big-9-1' }],
  ['fd00::1', { interface: null, remote: 'fd00::1' }],
  ['[fd00::1]/5000', { interface: null, remote: 'fd00::1' }],
  ['if0:[fd00::1]', { interface: 'if0', remote: 'fd00::1' }],
])('PATH %s', (text, name) => {
  expect(parsePath(text)).toEqual(name);
});

test.each(['', ':', 'if0:', ':192.168.45.10'])('PATH %j is wrong usage', (text) => {
  expect(() => parsePath(text)).toThrow(/^Wrong PATH /);
});

test('an address of this machine names its interface', async () => {
  expect((await run([probe()], ['192.168.45.20'])).asked.at(-1)).toEqual(['probe', { interface: '192.168.45.20', remote: null }]);
  expect((await run([probe()], ['192.168.45.10'])).asked.at(-1)).toEqual(['probe', { interface: null, remote: '192.168.45.10' }]);
});
