// What changes of which address follow from facts as they come, and that each is told once.
// Leaves how the facts are read to ip-lines.test.ts.

import { describe, expect, test } from 'vitest';
import { InterfaceTable } from './interface-table.ts';
import type { IpFact } from './ip-lines.ts';

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
  test('lost and back, once each, for the addresses of that device', () => {
    const table = wellTable();
    expect(changes(table, link('eth0', false), link('eth0', false))).toEqual([`${ONE} carrier-lost`]);
    expect(changes(table, link('eth0', true), link('eth0', true), link('eth9', false))).toEqual([`${ONE} carrier-back`]);
  });

  test('that is missing from the beginning is told', () => {
    const table = new InterfaceTable([ONE]);
    expect(table.takeAll([address(ONE, 'eth0'), link('eth0', false)]).map(({ sentence }) => sentence)).toEqual([
      'Interface eth0 has lost its carrier',
    ]);
  });
});

describe('addresses', () => {
  test('gone and back', () => {
    const table = wellTable();
    expect(changes(table, address(TWO, 'eth1', false), address(TWO, 'eth1', false))).toEqual([`${TWO} address-gone`]);
    expect(changes(table, address(TWO, 'eth1'))).toEqual([`${TWO} address-back`]);
  });

  test('that a new list does not name are gone', () => {
    const table = wellTable();
    const events = table.takeAll([address(ONE, 'eth0'), link('eth0', true), link('eth1', true)]);
    expect(events.map(({ sentence }) => sentence)).toEqual([`Address ${TWO} is gone from interface eth1`]);
  });

  test('that were never there are not missed, and those of others mean nothing', () => {
    const table = new InterfaceTable([ONE]);
    expect(changes(table, address(ONE, 'eth0', false), address('10.0.0.1', 'eth0', false))).toEqual([]);
    expect(changes(table, address(ONE, 'eth0'))).toEqual([`${ONE} address-back`]);
  });

  test('that moved to another device are not gone', () => {
    const table = wellTable();
    expect(changes(table, address(ONE, 'eth1'), address(ONE, 'eth0', false), link('eth0', false))).toEqual([]);
    expect(changes(table, link('eth1', false))).toEqual([`${ONE} carrier-lost`, `${TWO} carrier-lost`]);
  });

  test('that were not there when all was looked at are told when they come, once', () => {
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

  test('that are watched only later are known from before', () => {
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
