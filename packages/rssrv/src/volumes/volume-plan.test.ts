// Tests the plan for changed [volume] sections, depending on the users of each volume. The tests parse the sections from text, so that a
// disagreement between parser and plan is found. volume-change.test.ts and test/integration test how the plan is carried out. Rules: H5,
// G13.

import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { parseRssrvConfig } from '@rsio/common/config/reader/rssrvcfg';
import type { ServerVolumeConfig } from '@rsio/common/config/schema/types';
import { smallRssrvcfg } from '@rsio/common/testing/sample-rssrvcfg';
import { volumeConfig } from '../testing/volume-config.ts';
import { volumeChanges, type VolumeChanges, type VolumeStanding } from './volume-plan.ts';

const ORACLE = '[volume oracle]\npath = /storage/oracle.img\nsize = 2m\n';
const MEMORY = '[volume tvol1]\ntype = memory\nsize = 1m\n';
const SINCE_MS = Date.UTC(2010, 8, 14, 15, 2, 32);
const HOLDER = { node: 'big-2', address: '192.168.45.1', sinceMs: SINCE_MS };
const HELD = 'node big-2 at 192.168.45.1 has held it since 2010_09_14-15:02:32 (GMT)';
const MIB = 1 << 20;

function read(sections: string): readonly ServerVolumeConfig[] {
  const clients = '[clients]\nbig-2 0xbig2-secret-of-the-lab\nvenus 0xvenus-secret-of-the-lab\n';
  return parseRssrvConfig(smallRssrvcfg({ more: `${sections}${clients}` }), 'rssrvcfg').volumes;
}

interface Use {
  readonly held?: readonly string[];
  readonly failed?: readonly string[];
}

function change(from: string, to: string, { held = [], failed = [] }: Use = {}): VolumeChanges {
  const standingOf = ({ name, sizeBytes }: ServerVolumeConfig): VolumeStanding => ({
    sizeBytes: failed.includes(name) ? null : (sizeBytes ?? 4 * MIB),
    users: held.includes(name) ? [HOLDER] : [],
  });
  return volumeChanges(read(from), read(to), standingOf);
}

/** Returns, for each list of the plan that is not empty, the names of the volumes in the list. */
function named(result: VolumeChanges): Record<string, string[]> {
  expect(result.refusals).toEqual([]);
  const parts = Object.entries(result.plan).map(([part, volumes]) => [part, volumes.map(({ name }: ServerVolumeConfig) => name)] as const);
  return Object.fromEntries(parts.filter(([, names]) => names.length > 0));
}

describe('applied', () => {
  test('volumes are added, removed and kept', () => {
    const result = change(ORACLE + MEMORY, `${MEMORY}[volume new]\ntype = null\nsize = 1m\nuniverse = 2\n`, { held: ['tvol1'] });
    expect(named(result)).toEqual({ added: ['new'], kept: ['tvol1'], removed: ['oracle'] });
    expect(result.changes).toEqual(['volume new@2 is served', 'volume oracle is no longer served']);
  });

  test('a volume in use may get a larger size and more clients', () => {
    const result = change(`${ORACLE}clients = big-2\n`, `${ORACLE.replace('2m', '3m')}clients = big-2 venus\n`, { held: ['oracle'] });
    expect(named(result)).toEqual({ kept: ['oracle'] });
    expect(result.changes).toEqual([`volume oracle changes clients and grows from ${2 * MIB} to ${3 * MIB} bytes`]);
  });

  test('a size may be removed from a section, or fixed at its present value', () => {
    const unsized = ORACLE.replace('size = 2m\n', '');
    expect(change(ORACLE, unsized, { held: ['oracle'] }).changes).toEqual(['volume oracle is as large as its storage']);
    expect(change(unsized, ORACLE.replace('2m', '4m'), { held: ['oracle'] }).changes).toEqual(['volume oracle has a fixed size']);
  });

  test.each([
    ['path = /storage/oracle.img', 'path = /storage/other.img', 'path'],
    ['size = 2m', 'size = 2m\nreadonly = yes', 'readonly'],
    ['size = 2m', 'size = 2m\ntype = file', 'type'],
  ])('%s -> %s of an unused volume: removed and served again', (from, to, key) => {
    const result = change(ORACLE, ORACLE.replace(from, to));
    expect(named(result)).toEqual({ added: ['oracle'], removed: ['oracle'] });
    expect(result.changes).toEqual([`volume oracle changes ${key}`]);
  });

  test.each(['shared = yes', 'blocksize = 4096', 'id = aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee', 'clients = venus'])(
    '%s of an unused volume: served on from the same storage',
    (line) => {
      expect(named(change(ORACLE, `${ORACLE}${line}\n`))).toEqual({ kept: ['oracle'] });
    },
  );

  test('a memory volume keeps its content, but with another id it is another volume', () => {
    expect(named(change(MEMORY, `${MEMORY}readonly = yes\n`))).toEqual({ kept: ['tvol1'] });
    const id = 'id = aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee\n';
    expect(named(change(MEMORY, MEMORY + id))).toEqual({ added: ['tvol1'], removed: ['tvol1'] });
  });

  test('a volume that could not be opened is tried again, and may be corrected while its holder waits', () => {
    expect(named(change(ORACLE, ORACLE, { failed: ['oracle'] }))).toEqual({ retried: ['oracle'] });
    const corrected = change(ORACLE, ORACLE.replace('oracle.img', 'right.img'), { failed: ['oracle'], held: ['oracle'] });
    expect(named(corrected)).toEqual({ added: ['oracle'] });
    expect(named(change(ORACLE + MEMORY, MEMORY, { failed: ['oracle'] }))).toEqual({ kept: ['tvol1'] });
  });
});

describe('a refusal names section, holder and remedy', () => {
  const remedy = 'detach it there first (rsconfig -d oracle) and reload again, or take the change back';

  test('a removed section', () => {
    expect(change(ORACLE, '', { held: ['oracle'] }).refusals).toEqual([`Section [volume oracle] was removed, but ${HELD}: ${remedy}`]);
    expect(change(ORACLE, '', { held: ['oracle'], failed: ['oracle'] }).refusals).toHaveLength(1);
  });

  test.each([
    ['path = /storage/oracle.img', 'path = /storage/other.img', 'path'],
    ['size = 2m', 'size = 3m\nreadonly = yes\nshared = yes', 'readonly, shared'],
    ['size = 2m', 'size = 2m\nblocksize = 4096', 'blocksize'],
    ['size = 2m', 'size = 2m\nid = aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee', 'id'],
    ['path = /storage/oracle.img', 'type = null', 'type, path'],
  ])('%s -> %s', (from, to, keys) => {
    const { refusals } = change(ORACLE, ORACLE.replace(from, to), { held: ['oracle'] });
    expect(refusals).toEqual([`Section [volume oracle] changes ${keys}, but ${HELD}: ${remedy}`]);
  });

  test('a right that is withdrawn from a holder', () => {
    const { refusals } = change(ORACLE, `${ORACLE}clients = venus\n`, { held: ['oracle'] });
    expect(refusals).toEqual([`Section [volume oracle] no longer lists a client in use: ${HELD}: ${remedy}`]);
  });

  test('a smaller size, also of an unused volume', () => {
    expect(change(ORACLE, ORACLE.replace('2m', '1m')).refusals).toEqual([
      `Section [volume oracle] has a smaller size, ${MIB} instead of ${2 * MIB} bytes: a volume cannot be made smaller: take the change back`,
    ]);
  });
});

// The invariant at the head of volume-plan.ts holds for any two configuration files.
test("after any change a held volume keeps its storage, at least its size, and its holder's right, or nothing is applied", () => {
  const section = fc.record({
    path: fc.constantFrom('/a', '/b'),
    size: fc.constantFrom('', 'size = 1m\n', 'size = 4m\n', 'size = 9m\n'),
    more: fc.subarray(['readonly = yes\n', 'shared = yes\n', 'blocksize = 4096\n', 'clients = venus\n', 'type = file\n']),
  });
  const text = fc
    .option(section)
    .map((value) => (value === null ? '' : `[volume oracle]\npath = ${value.path}\n${value.size}${value.more.join('')}`));
  fc.assert(
    fc.property(text, text, (from, to) => {
      fc.pre(from !== '');
      const { plan, refusals } = change(from, to, { held: ['oracle'] });
      if (refusals.length > 0) return;
      const [was, now] = [read(from)[0]!, plan.kept[0]];
      expect(plan).toMatchObject({ added: [], removed: [], retried: [] });
      expect(now).toMatchObject({ path: was.path, type: was.type, readonly: was.readonly, shared: was.shared, id: was.id });
      expect(now!.sizeBytes ?? Infinity).toBeGreaterThanOrEqual(was.sizeBytes ?? 4 * MIB);
      if (String(was.clients) !== String(now!.clients)) expect(now!.clients ?? ['big-2']).toContain('big-2');
    }),
  );
});

test('a new volume of a pool may fail without the rest of the file', () => {
  const volume = volumeConfig({ name: 'db', path: '/p/data', pool: { name: 'fast', stamp: null, ids: [], isThick: false } });
  const { plan, changes } = volumeChanges([], [volume], () => ({ sizeBytes: null, users: [] }));
  expect([plan.added, plan.retried, changes]).toEqual([[], [volume], ['volume db is served']]);
});
