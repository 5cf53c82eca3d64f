// Tests which changes the table derives from facts, that it reports each change once, and how it parses the lines of iproute2. The watcher
// that receives the lines is tested in interface-watcher.test.ts.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InterfaceTable, type IpFact, readIpLine } from './interface-table.ts';

const ONE = '192.168.10.1';
const TWO = '192.168.20.1';

function link(device: string, hasCarrier: boolean): IpFact {
  return { kind: 'link', device, hasCarrier };
}

function address(of: string, device: string, isThere = true): IpFact {
  return { kind: 'address', device, address: of, isThere };
}

function wellTable(): InterfaceTable {
  const table = new InterfaceTable([ONE, TWO]);
  expect(table.takeAll([address(ONE, 'eth0'), address(TWO, 'eth1'), link('eth0', true), link('eth1', true)])).toEqual([]);
  return table;
}

function changes(table: InterfaceTable, ...facts: IpFact[]): string[] {
  return facts.flatMap((fact) => table.take(fact)).map((event) => `${event.address} ${event.change}`);
}

describe('carriers', () => {
  test('lost and restored, once each, for the addresses of that device', () => {
    const table = wellTable();
    expect(changes(table, link('eth0', false), link('eth0', false))).toEqual([`${ONE} carrier-lost`]);
    expect(changes(table, link('eth0', true), link('eth0', true), link('eth9', false))).toEqual([`${ONE} carrier-back`]);
  });

  test('that are down from the beginning are reported', () => {
    const table = new InterfaceTable([ONE]);
    expect(table.takeAll([address(ONE, 'eth0'), link('eth0', false)]).map(({ sentence }) => sentence)).toEqual([
      'Interface eth0 has lost its carrier',
    ]);
  });
});

describe('addresses', () => {
  test('lost and restored', () => {
    const table = wellTable();
    expect(changes(table, address(TWO, 'eth1', false), address(TWO, 'eth1', false))).toEqual([`${TWO} address-gone`]);
    expect(changes(table, address(TWO, 'eth1'))).toEqual([`${TWO} address-back`]);
  });

  test('that a new list does not name are lost', () => {
    const table = wellTable();
    const events = table.takeAll([address(ONE, 'eth0'), link('eth0', true), link('eth1', true)]);
    expect(events.map(({ sentence }) => sentence)).toEqual([`Address ${TWO} is gone from interface eth1`]);
  });

  test('that never existed are not reported lost, and foreign ones are ignored', () => {
    const table = new InterfaceTable([ONE]);
    expect(changes(table, address(ONE, 'eth0', false), address('10.0.0.1', 'eth0', false))).toEqual([]);
    expect(changes(table, address(ONE, 'eth0'))).toEqual([`${ONE} address-back`]);
  });

  test('that moved to another device are not lost', () => {
    const table = wellTable();
    expect(changes(table, address(ONE, 'eth1'), address(ONE, 'eth0', false), link('eth0', false))).toEqual([]);
    expect(changes(table, link('eth1', false))).toEqual([`${ONE} carrier-lost`, `${TWO} carrier-lost`]);
  });

  test('that were missing in the first list are reported when they appear, once', () => {
    const table = new InterfaceTable([ONE, TWO]);
    expect(table.takeAll([address(ONE, 'eth0'), link('eth0', true)])).toEqual([]);
    expect(table.take(address(TWO, 'eth1')).map(({ change, sentence }) => [change, sentence])).toEqual([
      ['address-back', `Address ${TWO} has come to interface eth1`],
    ]);
    expect(changes(table, address(TWO, 'eth1'), address(ONE, 'eth0'))).toEqual([]);
    const poor = new InterfaceTable([ONE]);
    expect(poor.takeLook([link('eth0', true)])).toEqual([]);
    expect(poor.takeLook([address(ONE, 'eth0'), link('eth0', true)]).map(({ change }) => change)).toEqual(['address-back']);
  });

  test('that are watched later are known already', () => {
    const table = new InterfaceTable([ONE]);
    table.takeAll([address(ONE, 'eth0'), address(TWO, 'eth1'), link('eth0', true), link('eth1', true)]);
    expect(changes(table, link('eth1', false))).toEqual([]);
    table.watch([TWO]);
    expect(changes(table, link('eth1', true), link('eth0', false), address(TWO, 'eth1', false))).toEqual([
      `${TWO} carrier-back`,
      `${TWO} address-gone`,
    ]);
    expect(changes(table, address(ONE, 'eth0', false), address(ONE, 'eth0'))).toEqual([]);
  });

  test('of the loopback are not watched', () => {
    expect([new InterfaceTable(['127.45.0.1', '::1']).isEmpty, new InterfaceTable(['127.45.0.1', ONE]).isEmpty]).toEqual([true, false]);
    expect(changes(new InterfaceTable(['127.0.0.1']), address('127.0.0.1', 'lo'), address('127.0.0.1', 'lo', false))).toEqual([]);
  });
});

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

test('any other line is ignored', () => {
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
