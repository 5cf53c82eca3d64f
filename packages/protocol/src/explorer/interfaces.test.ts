// Tests the description of the machine's interfaces with facts that the test supplies: subnets, broadcast addresses, and present and
// missing values in /sys. On the real machine, the test checks only properties that every Linux system has.

import { describe, expect, test } from 'vitest';
import { allCounters, type InterfaceFacts, interfaceOf, machineInterfaces, readCounters, systemFacts } from './interfaces.ts';

const NET = '/sys/class/net';
const LO = { device: 'lo', address: '127.0.0.1', prefixLength: 8 };
const ETH0 = { device: 'eth0', address: '192.168.45.20', prefixLength: 24 };

function facts(addresses: ReturnType<InterfaceFacts['addresses']>, files: Readonly<Record<string, string>> = {}): InterfaceFacts {
  return { addresses: () => addresses, devices: () => [], file: (path) => files[path] ?? null };
}

function eth0(files: Readonly<Record<string, string>>): ReturnType<typeof machineInterfaces>[number] {
  const paths = Object.fromEntries(Object.entries(files).map(([name, text]) => [`${NET}/eth0/${name}`, text]));
  return machineInterfaces(facts([ETH0], paths))[0]!;
}

describe('properties of an interface', () => {
  test('a card', () => {
    expect(eth0({ mtu: '9000', speed: '10000', carrier: '1', operstate: 'up' })).toEqual({
      device: 'eth0',
      address: '192.168.45.20',
      prefixLength: 24,
      broadcast: '192.168.45.255',
      mtuBytes: 9000,
      linkMbps: 10000,
      hasCarrier: true,
      isLoopback: false,
    });
  });

  test('a card that reports no speed', () => {
    expect(['-1', '4294967295', 'what', ''].map((speed) => eth0({ speed }).linkMbps)).toEqual([null, null, null, null]);
  });

  test('without carrier; in an unknown state, which counts as running because it has an address', () => {
    const states = [{ carrier: '0', operstate: 'down' }, { carrier: '1', operstate: 'down' }, { carrier: '1', operstate: 'unknown' }, {}];
    expect(states.map((files) => eth0(files).hasCarrier)).toEqual([false, false, true, true]);
  });

  test.each([
    ['192.168.45.20', 24, '192.168.45.255'],
    ['10.1.2.3', 8, '10.255.255.255'],
    ['172.16.5.4', 22, '172.16.7.255'],
    ['192.168.45.20', 30, '192.168.45.23'],
    ['192.168.45.20', 31, null],
    ['10.8.0.2', 32, null],
    ['200.1.2.3', 1, '255.255.255.255'],
    ['fd00::2', 64, null],
  ])('the broadcast address of %s/%d', (address, prefixLength, broadcast) => {
    expect(machineInterfaces(facts([{ device: 'eth0', address, prefixLength }]))[0]?.broadcast).toBe(broadcast);
  });

  test('loopback comes last, counts as /24, and has one broadcast address', () => {
    const all = machineInterfaces(facts([LO, ETH0]));
    expect(all.map(({ device }) => device)).toEqual(['eth0', 'lo']);
    expect(all[1]).toMatchObject({ prefixLength: 24, broadcast: '127.255.255.255', isLoopback: true });
  });
});

describe('interface of an address', () => {
  const all = machineInterfaces(facts([LO, ETH0]));

  test.each([
    ['192.168.45.20', 'eth0'],
    ['127.0.0.1', 'lo'],
    ['127.45.0.20', 'lo'],
    ['192.168.45.21', undefined],
  ])('%s', (address, device) => {
    const found = interfaceOf(address, all);
    expect(found?.device).toBe(device);
    expect(found?.address).toBe(device === undefined ? undefined : address);
  });

  test('without lo no interface has addresses in 127/8', () => {
    expect(interfaceOf('127.45.0.20', all.slice(0, 1))).toBeNull();
  });
});

test("an address on an interface without carrier is found in the kernel's tables", () => {
  const trie = [
    'Main:',
    '     |-- 192.168.46.0',
    '        /24 link UNICAST',
    '     |-- 192.168.46.20',
    '        /32 host LOCAL',
    '     |-- 127.0.0.1',
    '        /32 host LOCAL',
    'Local:',
    '     |-- 192.168.46.20',
    '        /32 host LOCAL',
    '     |-- 192.168.45.20',
    '        /32 host LOCAL',
    '     |-- 172.16.1.1',
    '        /32 host LOCAL',
  ].join('\n');
  const hex = (...bytes: number[]): string => {
    const ordered = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? bytes.toReversed() : bytes;
    return Buffer.from(ordered).toString('hex').toUpperCase();
  };
  const row = (device: string, network: string, gateway: string, mask: string): string =>
    [device, network, gateway, '0001', '0', '0', '0', mask, '0', '0', '0'].join('\t');
  const route = [
    'Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT',
    row('eth0', hex(0, 0, 0, 0), hex(192, 168, 45, 1), hex(0, 0, 0, 0)),
    row('eth1', hex(192, 168, 46, 0), '00000000', hex(255, 255, 255, 0)),
    row('eth0', hex(192, 168, 45, 0), '00000000', hex(255, 255, 255, 0)),
  ].join('\n');
  const files = { '/proc/net/fib_trie': trie, '/proc/net/route': route, [`${NET}/eth1/carrier`]: '0', [`${NET}/eth0/carrier`]: '1' };
  const all = machineInterfaces(facts([ETH0], files));
  expect(all.map(({ device, address, prefixLength, hasCarrier }) => [device, address, prefixLength, hasCarrier])).toEqual([
    ['eth0', '192.168.45.20', 24, true],
    ['eth1', '192.168.46.20', 24, false],
  ]);
});

test('counters', () => {
  const files = { [`${NET}/eth0/statistics/rx_bytes`]: '12', [`${NET}/eth0/statistics/tx_bytes`]: '34' };
  expect(readCounters('eth0', facts([], files))).toEqual({ receivedBytes: 12, sentBytes: 34 });
  expect(readCounters('eth1', facts([], files))).toBeNull();
  const all = allCounters({ ...facts([], files), devices: () => ['eth0', 'eth1'] });
  expect([...all]).toEqual([['eth0', { receivedBytes: 12, sentBytes: 34 }]]);
});

test('the machine that runs this test has a loopback interface that counts bytes', () => {
  const all = machineInterfaces(systemFacts);
  expect(interfaceOf('127.45.0.20', all)).toMatchObject({ device: 'lo', isLoopback: true, hasCarrier: true });
  for (const { hasCarrier, device } of all) expect([hasCarrier, systemFacts.devices().includes(device)]).toEqual([true, true]);
  expect(readCounters('lo', systemFacts)?.sentBytes).toBeGreaterThanOrEqual(0);
});
