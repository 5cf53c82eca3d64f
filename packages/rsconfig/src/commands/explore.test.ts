// Tests the output of `explore`: the exact table and the findings with their remedies. Also tests which interfaces the command uses. The
// exploration itself is tested with the explorer.

import { expect, test } from 'vitest';
import type { Exploration, FoundServer } from '@rsio/protocol/explorer/exploration';
import { exploringLocals, namedInterfaces, shownLocals } from '../cli/hosts.ts';
import { card } from '../testing/facts.ts';
import { formatExploration } from './explore.ts';

const HEARD = { local: 'eth0', localAddress: '192.168.45.20', from: '192.168.45.10', roundTripMs: 0.2116 };

function found(changes: Partial<FoundServer> = {}): FoundServer {
  return {
    namespace: 'osl',
    namespaceid: 200,
    server: 'big-9',
    serverid: 1,
    instance: '00112233445566770011223344556677',
    isSigned: false,
    interfaces: [
      { name: 'if1', address: '192.168.45.10', port: 5000, linkMbps: 1000, mtuBytes: 1500 },
      { name: 'if2', address: '192.168.46.10', port: 5001, linkMbps: null, mtuBytes: null },
    ],
    heard: [HEARD],
    ...changes,
  };
}

test('a line for each interface, heard or not, and findings below', () => {
  const finding = {
    kind: 'wrongly-signed',
    object: '192.168.45.11',
    count: 3,
    sentence: 'Server big-8 signs wrongly',
    remedy: 'mend it',
  } as const;
  const exploration: Exploration = {
    servers: [found(), found({ server: 'big-10', serverid: 12, heard: [HEARD, { ...HEARD, local: 'eth1', roundTripMs: 0.1 }] })],
    findings: [finding],
  };
  expect(formatExploration(exploration)).toBe(
    `NAMESPACE   ID  SERVER  ID  INTERFACE  ADDRESS        PORT   LINK  HEARD ON   ROUND TRIP
osl        200  big-9    1  if1        192.168.45.10  5000  1000M  eth0         0.212 ms
osl        200  big-9    1  if2        192.168.46.10  5001      -  -                   -
osl        200  big-10  12  if1        192.168.45.10  5000  1000M  eth1,eth0    0.100 ms
osl        200  big-10  12  if2        192.168.46.10  5001      -  -                   -
Server big-8 signs wrongly (3 times): mend it
`,
  );
});

test('nothing found and nothing noticed prints nothing', () => {
  expect(formatExploration({ servers: [], findings: [] })).toBe('');
});

test('what a peer calls itself is shown, not obeyed', () => {
  const text = formatExploration({ servers: [found({ server: 'big\x1b[2J', namespace: 'o\nsl' })], findings: [] });
  expect(text).toContain('big\\x1b[2J');
  expect(text.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
  expect(text.split('\n')).toHaveLength(4);
});

test('is asked where a cable is alive, and without broadcast only where an address of that family was given', () => {
  const interfaces = [
    card('eth0', '192.168.45.20', { broadcast: '192.168.45.255' }),
    card('eth1', '192.168.46.20', { broadcast: '192.168.46.255', hasCarrier: false }),
    card('eth0', 'fd00::20'),
    card('ppp0', '10.0.0.1'),
  ];
  expect(exploringLocals(interfaces, []).map(({ address }) => address)).toEqual(['192.168.45.20']);
  const peers = [{ address: '10.9.9.9', port: 5000 }];
  expect(shownLocals(exploringLocals(interfaces, peers))).toBe('eth0 (192.168.45.20), ppp0 (10.0.0.1)');
  expect(exploringLocals(interfaces, [{ address: 'fd00::1', port: 5000 }]).map(({ address }) => address)).toEqual([
    '192.168.45.20',
    'fd00::20',
  ]);
  expect(shownLocals([])).toContain('none is up');
});

test('interfaces are named by their addresses; those in 127/8 are all on lo', () => {
  const interfaces = [card('eth0', '192.168.45.20'), card('lo', '127.0.0.1', { isLoopback: true })];
  expect(namedInterfaces(interfaces, [])).toBe(interfaces);
  expect(namedInterfaces(interfaces, ['127.45.0.20', '192.168.45.20', '127.45.0.20'])).toMatchObject([
    { device: 'lo', address: '127.45.0.20' },
    { device: 'eth0', address: '192.168.45.20' },
  ]);
  expect(() => namedInterfaces(interfaces, ['10.0.0.1'])).toThrow(
    'This machine does not have address 10.0.0.1: it has 192.168.45.20 (eth0), 127.0.0.1 (lo)',
  );
});
