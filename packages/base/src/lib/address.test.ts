// Tests the canonical form of addresses: against the form of RFC 5952 in the examples, and against the parser of URLs for all addresses.
// units.test.ts and messages.test.ts test the places that use it.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isMapped, toAddress } from './address.ts';

test.each([
  ['FD00:78:0::20', 'fd00:78::20'],
  ['fd00:0078:0000:0000:0000:0000:0000:0020', 'fd00:78::20'],
  ['fd00:78::0:20', 'fd00:78::20'],
  ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
  ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
  ['0:0:0:0:0:0:0:0', '::'],
  ['::0001', '::1'],
  ['1::', '1::'],
  ['::FFFF:10.0.0.1', '10.0.0.1'],
  ['::ffff:a00:1', '10.0.0.1'],
  ['0:0:0:0:0:FFFF:127.0.0.1', '127.0.0.1'],
  ['10.0.0.1', '10.0.0.1'],
])('%s is %s', (text, canonical) => expect(toAddress(text)).toBe(canonical));

test.each(['', 'fe80::1%eth0', '[fd00::1]', '01.2.3.4', '1.2.3', 'fd00::1::2', 'fd00::12345', 'host', ' ::1'])('%j is no address', (text) =>
  expect(toAddress(text)).toBe(null),
);

test('each spelling of an address has one form, which is its own form, and which the parser of URLs has too', () => {
  const groups = fc.array(fc.oneof(fc.constant(0), fc.nat(0xffff)), { minLength: 8, maxLength: 8 });
  fc.assert(
    fc.property(groups, (all) => {
      const long = all.map((group) => group.toString(16).padStart(4, '0').toUpperCase()).join(':');
      const found = toAddress(long);
      expect(toAddress(found ?? '')).toBe(found);
      const url = new URL(`http://[${long}]/`).hostname.slice(1, -1);
      expect(toAddress(url)).toBe(found);
      if (!isMapped(long)) expect(found).toBe(url);
    }),
  );
});
