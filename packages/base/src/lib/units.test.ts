// Tests which forms of units are accepted, and that the error for a refused form names the permitted forms. Values that were printed are
// parsed again.

import { toAddress } from './address.ts';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RsError } from './errors.ts';
import {
  isName,
  isStoredName,
  parseAddress,
  parseDuration,
  parseEndpoint,
  parseName,
  parsePrefixedAddress,
  parseSize,
  printDuration,
  printEndpoint,
  printRoundedSize,
  printSize,
  quoteText,
} from './units.ts';

function refusal(run: () => unknown): RsError {
  try {
    run();
  } catch (thrown) {
    if (thrown instanceof RsError) return thrown;
    throw thrown;
  }
  throw new Error('Nothing was refused');
}

describe('sizes', () => {
  test.each([
    ['0', 0],
    ['512', 512],
    ['1k', 1024],
    ['1K', 1024],
    ['64m', 64 * 1024 ** 2],
    ['15g', 15 * 1024 ** 3],
    ['2T', 2 * 1024 ** 4],
    ['1p', 1024 ** 5],
  ])('%s', (text, bytes) => expect(parseSize(text)).toBe(bytes));

  test.each(['', 'g', '15 g', '1.5g', '-1', '+1', '15gb', '15GiB', '0x10', '1e3', '9007199254740993', '8p', '99999999999999999999'])(
    'refuses %j',
    (text) => {
      const error = refusal(() => parseSize(text));
      expect(error.code).toBe('E_USAGE');
      expect(error.message).toContain(quoteText(text));
      expect(error.message).toContain('k, m, g, t or p');
    },
  );

  test('print the largest exact unit', () => {
    expect(printSize(15 * 1024 ** 3)).toBe('15g');
    expect(printSize(1536)).toBe('1536');
    expect(printSize(1536 * 1024)).toBe('1536k');
    expect(printSize(0)).toBe('0');
  });

  test('are read back unchanged', () => {
    fc.assert(fc.property(fc.maxSafeNat(), (bytes) => parseSize(printSize(bytes)) === bytes));
    fc.assert(
      fc.property(fc.nat(8191), fc.nat(4), (count, power) => parseSize(printSize(count * 1024 ** power)) === count * 1024 ** power),
    );
  });
});

describe('durations', () => {
  test.each([
    ['200ms', 200],
    ['3s', 3000],
    ['10m', 600_000],
    ['1h', 3_600_000],
    ['0ms', 0],
  ])('%s', (text, ms) => expect(parseDuration(text)).toBe(ms));

  test.each(['', '3', 's', '3 s', '1.5s', '-1s', '3S', '3sec', '1d', '9007199254740991h'])('refuses %j', (text) => {
    expect(refusal(() => parseDuration(text)).message).toMatch(/such as 200ms or 3s$/);
  });

  test('are read back unchanged', () => {
    expect(printDuration(600_000)).toBe('10m');
    expect(printDuration(1500)).toBe('1500ms');
    expect(printDuration(0)).toBe('0ms');
    fc.assert(fc.property(fc.maxSafeNat(), (ms) => parseDuration(printDuration(ms)) === ms));
  });
});

describe('names', () => {
  test.each(['a', 'oracle', 'big-9.1_x', '...', '.a', '-', 'x'.repeat(63)])('allows %j', (text) => expect(parseName(text)).toBe(text));

  test.each(['', '.', '..', 'a b', 'a/b', 'ä', 'a\n', 'x'.repeat(64)])('refuses %j', (text) => {
    expect(isName(text)).toBe(false);
    expect(refusal(() => parseName(text, 'volume name')).message).toMatch(/^Wrong volume name ".*: allowed is 1 to 63 of the characters/);
  });

  test.each(['all', 'none', 'yes', 'no', 'None', 'ALL'])('%j means all or no names in lists: nothing new gets it as its name', (word) => {
    expect([isName(word), isStoredName(word)]).toEqual([false, true]);
    expect(() => parseName(word)).toThrow(/all, none, yes or no/);
  });
});

describe('addresses', () => {
  test.each([
    ['192.168.45.10', '192.168.45.10'],
    ['fe80::1', 'fe80::1'],
    ['[fe80::1]', 'fe80::1'],
  ])('%s', (text, address) => expect(parseAddress(text)).toBe(address));

  test.each(['', '192.168.45', '192.168.45.256', '01.2.3.4', '[1.2.3.4]', 'fe80::1%eth0', '[fe80::1', 'host', '1.2.3.4:5', ' 1.2.3.4'])(
    'refuses %j',
    (text) => expect(refusal(() => parseAddress(text)).message).toContain('IPv4'),
  );

  test('each spelling gives one address, also with brackets, a prefix or a port', () => {
    for (const text of ['FD00:78:0::20', '[fd00:0078::20]', 'fd00:78:0:0:0:0:0:20']) expect(parseAddress(text)).toBe('fd00:78::20');
    expect(parsePrefixedAddress('FD00:78:0::20/64')).toEqual({ address: 'fd00:78::20', prefixLength: 64 });
    expect(parseEndpoint('[FD00:78:0::20]:5000')).toEqual({ address: 'fd00:78::20', port: 5000 });
    expect(parsePrefixedAddress('::ffff:10.0.0.1/120')).toEqual({ address: '10.0.0.1', prefixLength: 24 });
    expect(refusal(() => parsePrefixedAddress('::ffff:10.0.0.1/64')).message).toContain('/LENGTH');
  });

  test('with a prefix length', () => {
    expect(parsePrefixedAddress('10.0.0.1')).toEqual({ address: '10.0.0.1', prefixLength: null });
    expect(parsePrefixedAddress('10.0.0.1/16')).toEqual({ address: '10.0.0.1', prefixLength: 16 });
    expect(parsePrefixedAddress('fd00::1/64')).toEqual({ address: 'fd00::1', prefixLength: 64 });
    for (const text of ['10.0.0.1/33', '10.0.0.1/', '10.0.0.1/x', '10.0.0.1/8/8', 'fd00::1/129', '/8', '10.0.0.1/-1']) {
      expect(refusal(() => parsePrefixedAddress(text)).message).toContain('/LENGTH');
    }
  });

  test('with a port', () => {
    expect(parseEndpoint('10.0.0.1')).toEqual({ address: '10.0.0.1', port: null });
    expect(parseEndpoint('10.0.0.1:5000')).toEqual({ address: '10.0.0.1', port: 5000 });
    expect(parseEndpoint('[fd00::1]:5000')).toEqual({ address: 'fd00::1', port: 5000 });
    expect(parseEndpoint('fd00::1')).toEqual({ address: 'fd00::1', port: null });
    expect(parseEndpoint('fd00::1:5000')).toEqual({ address: 'fd00::1:5000', port: null });
    for (const text of [
      '',
      ':5000',
      '10.0.0.1:',
      '10.0.0.1:0',
      '10.0.0.1:65536',
      '10.0.0.1:5000:1',
      '[fd00::1]5000',
      '[10.0.0.1]:5',
      'h:1',
    ]) {
      expect(refusal(() => parseEndpoint(text)).message).toContain('ADDRESS:PORT');
    }
  });

  test('with a port are read back unchanged', () => {
    const address = fc.oneof(fc.ipV4(), fc.ipV6());
    const port = fc.option(fc.integer({ min: 1, max: 65_535 }));
    fc.assert(
      fc.property(address, port, (a, p) => {
        expect(parseEndpoint(printEndpoint(a, p))).toEqual({ address: toAddress(a), port: p });
      }),
    );
  });
});

test('Foreign text in a message is cut and has no control characters', () => {
  expect(quoteText('a\n\u001bb')).toBe('"a\\n\\u001bb"');
  expect(quoteText('x'.repeat(1000)).length).toBeLessThan(70);
});

test('an invalid value that changes the direction of text, or drives a terminal, is shown escaped', () => {
  expect(quoteText('\u202ea\u009bb\u2028c\n')).toBe('"\\u202ea\\x9bb\\u2028c\\n"');
});

test('a size for people is exact if that is short, and else has one decimal', () => {
  expect([0, 512, 65_536, 100 << 20, 8_918_560 * 1_024, 5 * 2 ** 30 + 1].map(printRoundedSize)).toEqual([
    '0',
    '512',
    '64k',
    '100m',
    '8.5g',
    '5.0g',
  ]);
});
