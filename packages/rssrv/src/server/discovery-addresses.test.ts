// Tests on which addresses the server receives discovery requests, and from which addresses it answers. Each test describes the interfaces
// of a machine. discovery-service.test.ts tests the sockets.

import { describe, expect, test } from 'vitest';
import { parseRssrvConfig } from '@rsio/common/config/reader/rssrvcfg';
import type { RssrvConfig } from '@rsio/common/config/schema/types';
import type { MachineInterface } from '@rsio/protocol/explorer/interfaces';
import { answeringAddresses, discoveryAddresses } from './discovery-addresses.ts';

function card(device: string, address: string, prefixLength: number, broadcast: string | null): MachineInterface {
  return { device, address, prefixLength, broadcast, mtuBytes: 1500, linkMbps: 1000, hasCarrier: true, isLoopback: device === 'lo' };
}

const MACHINE = [
  card('eth0', '192.168.45.10', 24, '192.168.45.255'),
  card('eth1', '192.168.45.11', 24, '192.168.45.255'),
  card('eth2', '10.0.0.10', 16, '10.0.255.255'),
  card('tun0', '10.9.0.1', 32, null),
  card('eth2', 'fd00::10', 64, null),
  card('lo', '127.0.0.1', 24, '127.255.255.255'),
];

function config(addresses: readonly string[], namespace = ''): RssrvConfig {
  const interfaces = addresses.map((address, index) => `[interface if${index}]\naddress = ${address}\n`).join('');
  return parseRssrvConfig(`[namespace n]\nnamespaceid = 1\n${namespace}[server s]\nserverid = 1\n${interfaces}`, 'f');
}

function addressesOf(addresses: readonly string[], namespace = ''): string[] {
  return discoveryAddresses(config(addresses, namespace), MACHINE).map(
    ({ address, port, isBroadcast, interfaceName }) => `${interfaceName} ${address} ${port}${isBroadcast ? ' broadcast' : ''}`,
  );
}

describe('exploration is received', () => {
  test('on the address and on the broadcast address of each interface', () => {
    expect(addressesOf(['192.168.45.10', '10.0.0.10'], 'port = 6000\n')).toEqual([
      'if0 192.168.45.10 6000',
      'if0 192.168.45.255 6000 broadcast',
      'if1 10.0.0.10 6000',
      'if1 10.0.255.255 6000 broadcast',
    ]);
  });

  test('once on a broadcast address that two interfaces share; all loopback addresses share one', () => {
    expect(addressesOf(['192.168.45.10', '192.168.45.11'])).toEqual([
      'if0 192.168.45.10 5000',
      'if0 192.168.45.255 5000 broadcast',
      'if1 192.168.45.11 5000',
    ]);
    expect(addressesOf(['127.45.0.10', '127.46.0.10'])).toEqual([
      'if0 127.45.0.10 5000',
      'if0 127.255.255.255 5000 broadcast',
      'if1 127.46.0.10 5000',
    ]);
  });

  test('on the port of the namespace, and by address also on the port of the interface', () => {
    expect(addressesOf(['192.168.45.10\nport = 7000'], 'port = 6000\n')).toEqual([
      'if0 192.168.45.10 6000',
      'if0 192.168.45.10 7000',
      'if0 192.168.45.255 6000 broadcast',
    ]);
  });

  test('not over IPv6; not by broadcast if there is none or the machine lacks the address; A/LEN changes no broadcast address', () => {
    expect(addressesOf(['fd00::10', '10.9.0.1', '192.0.2.1', '10.0.0.10/24'])).toEqual([
      'if1 10.9.0.1 5000',
      'if2 192.0.2.1 5000',
      'if3 10.0.0.10 5000',
      'if3 10.0.255.255 5000 broadcast',
    ]);
  });

  test('nowhere with explore = no', () => {
    expect(addressesOf(['192.168.45.10'], 'explore = no\n')).toEqual([]);
  });
});

describe('a broadcast is answered', () => {
  const answered = (broadcast: string, from: string, addresses: readonly string[]): string[] =>
    answeringAddresses(broadcast, from, config(addresses).interfaces, MACHINE);

  test("from the interface in the requester's subnet, otherwise from another one with that broadcast address", () => {
    const both = ['127.45.0.10', '127.46.0.10', '10.0.0.10', 'fd00::10'];
    expect(answered('127.255.255.255', '127.46.0.20', both)).toEqual(['127.46.0.10', '127.45.0.10']);
    expect(answered('127.255.255.255', '127.99.0.20', both)).toEqual(['127.45.0.10', '127.46.0.10']);
    expect(answered('10.0.255.255', '10.0.200.1', both)).toEqual(['10.0.0.10']);
  });

  test('by the subnet that A/LEN gives an interface', () => {
    expect(answered('127.255.255.255', '127.46.9.9', ['127.45.0.10', '127.46.0.10/16'])).toEqual(['127.46.0.10', '127.45.0.10']);
  });
});
