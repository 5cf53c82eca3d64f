// Tests that a VLAN belongs to its network card, even through several layers, and that bonds and bridges count as cards. The search must
// also end if the layers form a cycle. The test supplies the content of /sys.

import { expect, test } from 'vitest';
import { cardsBelow } from './network-facts.ts';

const LOWERS: Readonly<Record<string, readonly string[]>> = {
  'eth0.45': ['eth0'],
  'bond0.46': ['bond0'],
  bond0: ['eth1', 'eth2'],
  'stacked.1': ['eth0.45'],
  loop1: ['loop2'],
  loop2: ['loop1'],
};

test.each([
  ['eth0', undefined],
  ['eth0.45', 'eth0'],
  ['stacked.1', 'eth0'],
  ['bond0', undefined],
  ['bond0.46', 'bond0'],
])('%s stands on %s', (device, card) => {
  expect(cardsBelow([{ device }], (name) => [...(LOWERS[name] ?? [])])[device]).toBe(card);
});

test('a circle of devices ends', () => {
  expect(Object.keys(cardsBelow([{ device: 'loop1' }], (name) => [...(LOWERS[name] ?? [])])).length).toBeLessThanOrEqual(1);
});

test('a missing device has no card', () => {
  expect(cardsBelow([{ device: 'no-such-device' }])).toEqual({});
});
