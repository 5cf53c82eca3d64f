// Lines as iproute2 writes them, and whatever else may come.
// Leaves what follows from them to interface-table.test.ts.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readIpLine } from './ip-lines.ts';

test('addresses that come and go', () => {
  expect(readIpLine('3: v0    inet 10.9.0.1/24 scope global v0\\       valid_lft forever preferred_lft forever')).toEqual({
    kind: 'address',
    device: 'v0',
    address: '10.9.0.1',
    isThere: true,
  });
  expect(readIpLine('Deleted 2: v1    inet6 fe80::841:43ff:fedc:c0a/64 scope link tentative \\       valid_lft forever')).toEqual({
    kind: 'address',
    device: 'v1',
    address: 'fe80::841:43ff:fedc:c0a',
    isThere: false,
  });
});

test('carriers', () => {
  const carrierOf = (line: string): unknown => readIpLine(line);
  const link = (device: string, hasCarrier: boolean): unknown => ({ kind: 'link', device, hasCarrier });
  expect(carrierOf('1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN mode DEFAULT')).toEqual(link('lo', true));
  expect(carrierOf('3: v0@v1: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP group default')).toEqual(link('v0', true));
  expect(carrierOf('3: v0@v1: <NO-CARRIER,BROADCAST,MULTICAST,UP,M-DOWN> mtu 1500 state LOWERLAYERDOWN')).toEqual(link('v0', false));
  expect(carrierOf('2: v1@v0: <NO-CARRIER,BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue')).toEqual(link('v1', false));
  expect(carrierOf('2: eth0: <BROADCAST,MULTICAST> mtu 1500 qdisc noqueue state DOWN group default')).toEqual(link('eth0', false));
  expect(carrierOf('Deleted 2: v1@NONE: <BROADCAST,MULTICAST,LOWER_UP> mtu 1500 qdisc noop state DOWN')).toEqual(link('v1', false));
  expect(carrierOf('[LINK]2: eth0.5@eth0: <BROADCAST,UP,LOWER_UP> mtu 1500')).toEqual(link('eth0.5', true));
});

test('anything else is passed over', () => {
  for (const line of [
    '',
    'RTNETLINK answers: File exists',
    '2: eth0    link/ether 16:fd',
    '4: eth0: mtu 1500',
    'Deleted',
    'nsid 0 (iproute2)',
  ]) {
    expect(readIpLine(line)).toBeNull();
  }
  fc.assert(fc.property(fc.string(), (line) => readIpLine(line) === null || line.includes(':')));
});
