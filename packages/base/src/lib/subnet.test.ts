// Tests subnet arithmetic: borders within and between bytes, both address families, and the rule for 127/8. Each pair of addresses is
// tested in both directions.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { addressKey, isSingleHost, networkOf, prefixLengthOf, isSameSubnet } from './subnet.ts';

describe('sameSubnet', () => {
  test.each([
    ['192.168.45.10', 24, '192.168.45.20', true],
    ['192.168.45.10', 24, '192.168.46.10', false],
    ['192.168.45.10', 22, '192.168.46.10', true],
    ['192.168.45.10', 23, '192.168.46.10', false],
    ['10.0.0.1', 32, '10.0.0.1', true],
    ['10.0.0.1', 32, '10.0.0.0', false],
    ['10.0.0.1', 0, '200.1.2.3', true],
    ['128.0.0.1', 1, '127.255.255.255', false],
    ['fd00:1::1', 64, 'fd00:1:0:0:ffff::2', true],
    ['fd00:1::1', 64, 'fd00:1:0:1::1', false],
    ['fd00::1', 128, 'fd00:0:0:0:0:0:0:1', true],
    ['::ffff:10.0.0.1', 24, '::ffff:a00:2', true],
    ['::ffff:10.0.0.1', 32, '10.0.0.1', true],
    ['10.0.0.1', 0, '::', false],
  ])('%s/%i and %s: %s', (address, prefixLength, other, same) => {
    expect(isSameSubnet(address, prefixLength, other)).toBe(same);
    expect(isSameSubnet(other, prefixLength, address)).toBe(same);
  });

  test('an address is always on its own subnet, and a shorter prefix never separates two addresses', () => {
    const address = fc.oneof(fc.ipV4(), fc.ipV6());
    fc.assert(
      fc.property(address, address, fc.nat(128), fc.nat(128), (left, right, a, b) => {
        expect(isSameSubnet(left, a, left)).toBe(true);
        if (isSameSubnet(left, Math.max(a, b), right)) expect(isSameSubnet(left, Math.min(a, b), right)).toBe(true);
      }),
    );
  });
});

test('127/8 counts as /24, unless the file gives a prefix', () => {
  expect(prefixLengthOf('127.45.0.1', null, 8)).toBe(24);
  expect(prefixLengthOf('127.45.0.1', null, null)).toBe(24);
  expect(prefixLengthOf('127.45.0.1', 16, 8)).toBe(16);
  expect(prefixLengthOf('10.0.0.1', null, 20)).toBe(20);
  expect(prefixLengthOf('10.0.0.1', 0, 20)).toBe(0);
  expect(prefixLengthOf('10.0.0.1', null, null)).toBeNull();
  expect(prefixLengthOf('::1', null, 128)).toBe(128);
});

test('All spellings of an address have one key', () => {
  expect(addressKey('FD00::a:1')).toBe(addressKey('fd00:0:0:0:0:0:a:1'));
  expect(addressKey('::ffff:10.0.0.1')).toBe(addressKey('::ffff:a00:1'));
  expect(addressKey('10.0.0.1')).not.toBe(addressKey('10.0.0.2'));
  expect(addressKey('fd00::1:0')).not.toBe(addressKey('fd00::1'));
});

test('Unspecified, multicast and broadcast addresses are not a single host', () => {
  for (const address of ['0.0.0.0', '0.1.2.3', '224.0.0.1', '255.255.255.255', '::', 'ff02::1'])
    expect(isSingleHost(address), address).toBe(false);
  for (const address of ['127.0.0.1', '223.255.255.255', '::1', 'fe80::1']) expect(isSingleHost(address), address).toBe(true);
});

test.each([
  ['192.168.45.20', 24, '192.168.45.0/24'],
  ['192.168.45.130', 25, '192.168.45.128/25'],
  ['10.9.8.7', 0, '0.0.0.0/0'],
  ['10.9.8.7', 32, '10.9.8.7/32'],
  ['fd00:1::20', 64, 'fd00:1::/64'],
  ['fd00:1:2:3:4:5:6:7', 128, 'fd00:1:2:3:4:5:6:7/128'],
  ['fd00::1', 0, '::/0'],
])('the subnet of %s/%i is %s', (address, prefixLength, network) => {
  expect(networkOf(address, prefixLength)).toBe(network);
});
