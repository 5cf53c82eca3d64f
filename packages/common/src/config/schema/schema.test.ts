// Tests that the table of keys is complete and consistent: every default is a value of its type, every help text is a sentence, and every
// key of the manual exists. The tests of both configuration files cover the permitted values of each type.

import { describe, expect, test } from 'vitest';
import { isMistyped, nearestWord } from './nearest.ts';
import type { FileSchema } from './entries.ts';
import { attachChoice, clientNames, mayChoice, poolNames, serverNames, volumeNames } from './value-types.ts';
import { type ConfigFileName, SCHEMA, schemaRows } from './schema.ts';

describe.each(['rssrvcfg', 'rscltcfg'] as const)('%s', (file: ConfigFileName) => {
  const schema: FileSchema = SCHEMA[file];
  const entries = Object.entries(schema).flatMap(([section, { keys }]) =>
    Object.entries(keys).map(([key, entry]) => ({ section, key, entry })),
  );

  test('defaults are values of their types, and required keys have none', () => {
    for (const { section, key, entry } of entries) {
      const where = `${section}.${key}`;
      if (entry.default !== null) expect(() => entry.type.parse(entry.default ?? ''), where).not.toThrow();
      if (entry.isRequired) expect(entry.default, where).toBeNull();
    }
  });

  test('help has no full stop at its end, and every type names its permitted values', () => {
    for (const { section, key, entry } of entries) {
      expect(entry.help, `${section}.${key}`).toMatch(/^[A-Z/].{9,148}[^.]$/);
      expect(entry.type.allowed, `${section}.${key}`).not.toBe('');
    }
  });

  test('secrets are keys and tokens, and all of them are secret', () => {
    for (const { key, entry } of entries) expect(entry.type.isSecret, key).toBe(/(key|token)$/.test(key));
  });

  test('rows give the whole table in order', () => {
    expect(schemaRows(file).map((row) => `${row.section}.${row.key}`)).toEqual(entries.map(({ section, key }) => `${section}.${key}`));
  });
});

test('Rows carry type, range, default and help', () => {
  expect(schemaRows('rscltcfg').find(({ section, key }) => section === 'defaults' && key === 'stall')).toEqual({
    file: 'rscltcfg',
    section: 'defaults',
    key: 'stall',
    kind: 'stall',
    allowed: 'forever, fail, or a time from 100ms to 168h: a whole number with the unit ms, s, m or h, such as 200ms or 3s',
    isRequired: false,
    default: '10m',
    help: 'How long I/O waits for a path before the I/O fails (forever: never; fail: within 1s)',
  });
});

test('Every key of release 0.2.0 is there, so that its files are read', () => {
  const missing = (file: ConfigFileName, kept: readonly string[]) =>
    kept.flatMap((line) => {
      const [section = '', keys = ''] = line.split(': ');
      const known = (SCHEMA[file] as FileSchema)[section]?.keys;
      return keys.split(' ').filter((key) => key !== '' && (known === undefined || !Object.hasOwn(known, key)));
    });
  const server = [
    'namespace: namespaceid protocol port namespacekey explore tls tenants',
    'server: serverid serverkey log-level log log-time control-group operate-group admin-group user processes witness metrics metrics-token',
    'interface: address port protocol',
    'volume: path size type blocksize readonly universe clients shared unlocked id take-over take-over-force same-content iops bandwidth burst',
    'pool: path limit reserve disk fence fence-self owners take-over-after',
    'peer: address port nodename nodekey serverkey namespaceid tls digest pools',
    'trigger: on run timeout',
    'clients: ',
    'rights: ',
  ];
  const client = [
    'defaults: protocol port stall attach device paths heartbeat suspect dead digest tls log-size mirror-patience resync-rate mirror-reads log-total processes busy-poll log log-time nbd-group metrics metrics-token app-metrics',
    'interface: address port protocol',
    'namespace: namespaceid nodename nodekey namespacekey protocol port stall attach device paths heartbeat suspect dead digest tls log-size mirror-patience resync-rate mirror-reads',
    'server: address port protocol serverkey',
    'volume: stall attach device log-size mirror-patience resync-rate mirror-reads readonly path',
    'gate: protocol address hosts nqn iqn volumes member secret-file tls interface shelf slots aoe-writes',
    'application: volumes mounts mount-options service start stop check address address-device nodes silent start-delay start-timeout stop-timeout check-interval check-timeout restarts fail-back on-isolation',
    'trigger: on run timeout',
  ];
  expect([missing('rssrvcfg', server), missing('rscltcfg', client)]).toEqual([[], []]);
  expect(missing('rscltcfg', ['volume: nosuch'])).toEqual(['nosuch']);
});

test('The nearest word', () => {
  const words = ['address', 'port', 'protocol'];
  expect(nearestWord('adress', words)).toBe('address');
  expect(nearestWord('PORT', words)).toBe('port');
  expect(nearestWord('prtocol', words)).toBe('protocol');
  expect(nearestWord('x'.repeat(100_000), words)).toBeDefined();
  expect(nearestWord('a', [])).toBeUndefined();
  expect(isMistyped('adress', 'address')).toBe(true);
  expect(isMistyped('foo', 'port')).toBe(false);
});

test.each([clientNames, mayChoice, poolNames, attachChoice, volumeNames, serverNames])(
  'a word of one list is no name in another: %#',
  (type) => {
    for (const word of ['all', 'none', 'yes', 'no', 'None']) {
      expect(() => type.parse(`big-1, ${word}`)).toThrow(`allowed is ${type.allowed}`);
      if (!type.allowed.includes(word)) expect(() => type.parse(word)).toThrow(`allowed is ${type.allowed}`);
    }
    expect(type.parse('small, nobody')).toEqual(['small', 'nobody']);
  },
);
