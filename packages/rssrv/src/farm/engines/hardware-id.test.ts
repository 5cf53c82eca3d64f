// Tests which machines have an id of their hardware: only physical ones whose firmware names them. command.test.ts tests what the id proves.
// Rules: F15.

import { expect, test } from 'vitest';
import { type HardwareFacts, hardwareIdOf } from './hardware-id.ts';

const FACTS: HardwareFacts = {
  cpuinfo: 'processor\t: 0\nflags\t\t: fpu vme sse2\n',
  product: 'Acme\nServer 9\n',
  uuid: '4C4C4544-0042-3510-8051-B7C04F4D3332\n',
  serials: 'S1\nB1\n',
};

test('a physical machine has the same id in each boot, and another machine has another id', () => {
  expect(hardwareIdOf(FACTS)).toMatch(/^[0-9a-f]{32}$/);
  expect(hardwareIdOf({ ...FACTS, cpuinfo: FACTS.cpuinfo.repeat(2) })).toBe(hardwareIdOf(FACTS));
  expect(hardwareIdOf({ ...FACTS, uuid: FACTS.uuid.replace('4C', '5C') })).not.toBe(hardwareIdOf(FACTS));
  expect(hardwareIdOf({ ...FACTS, serials: 'S2\nB1\n' })).not.toBe(hardwareIdOf(FACTS));
});

test.each<[string, Partial<HardwareFacts>]>([
  ['a virtual machine', { cpuinfo: 'flags : fpu hypervisor sse2\n' }],
  ['a virtual machine that hides its flag', { product: 'QEMU\nStandard PC\n' }],
  ['a processor that does not say', { cpuinfo: 'Features : fp asimd\n' }],
  ['an id that cannot be read', { uuid: '' }],
  ['an id of zeros', { uuid: '00000000-0000-0000-0000-000000000000' }],
  ['an id of ones', { uuid: 'FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF' }],
  ['an id that the manufacturer has not set', { uuid: '03000200-0400-0500-0006-000700080009' }],
])('%s has no id', (_what, change) => {
  expect(hardwareIdOf({ ...FACTS, ...change })).toBe('');
});
