// Makes texts of the two configuration files from a seed: valid texts, and texts with a small mistake in a line or a byte. Keys, types and
// sections come from the schema, so that a new key is tested at once.

import type { FileSchema } from '@rsio/common/config/schema/entries';
import { type ConfigFileName, SCHEMA } from '@rsio/common/config/schema/schema';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import { mutated, reordered } from './mutator.ts';

/** The value of every secret key. A message must never contain this value. */
export const SECRET = 'Zq7sEcReTzQ7keykey';

const SECRET_KEYS = new Set(['nodekey', 'serverkey', 'namespacekey']);

/** For each key: valid values. Keys that are missing here get their default. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  protocol: ['tcp'],
  port: ['5000', '1', '65535'],
  nodename: ['big-2', 'venus'],
  clients: ['all', 'big-2', 'big-2, venus'],
  stall: ['forever', 'fail', '30s'],
  'nbd-group': ['disk'],
  'control-group': ['daemon', 'root'],
  'operate-group': ['daemon', 'root'],
  'admin-group': ['daemon', 'root'],
};
const ANY_VALUES = [
  '', '0', '1', '-1', '1s', '500ms', 'yes', 'no', 'on', 'off', 'auto', 'all', 'none', 'x = y', '99999999999999999999', '1e9', 'ü', '\u202e',
  '512', '4096', '10.0.0.1', '::1', '[', '#', ';', ' a ', 'a, b', '/dev/null', 'forever', 'fail', 'debug', 'configured', 'signed',
]; // biome-ignore format: a list of words

const ODD_LINES = [
  '',
  '# comment',
  '; other',
  '[unclosed',
  '[x] y',
  '[]',
  'no equals',
  '= value',
  'key =',
  '\t[ interface  if9 ] ',
  '__proto__ = 1',
  'toString = 1',
  '[__proto__]',
  '[server ..]',
];

/** Returns the default of a key in the first section type that has the key. In another section the key may have another default. */
function defaultOf(schema: FileSchema, key: string): string | null {
  return Object.values(schema).flatMap(({ keys }) => keys[key]?.default ?? [])[0] ?? null;
}

/** Chooses a value for a key. `count`: number of the section. The number becomes a part of values that must be unique. */
function valueOf(random: SeededRandom, type: string, key: string, count: number, usual: string | null): string {
  if (SECRET_KEYS.has(key)) return random.chance(0.97) ? SECRET : `${SECRET} \u00fc`;
  if (random.chance(0.01)) return random.pick(ANY_VALUES);
  switch (key) {
    case 'address':
      return `10.1.${type === 'server' ? 1 : 0}.${1 + (count % 250)}${type === 'interface' && random.chance(0.3) ? '/24' : ''}`;
    case 'namespaceid':
    case 'serverid':
      return String(1 + (count % 200));
    case 'path':
      return `/v/${count}.img`;
    case 'id':
      return `2f1c9a52-7a0e-4c58-9d3b-${String(count).padStart(12, '0')}`;
    case 'attach':
      return type === 'volume' ? 'yes' : random.pick(['none', 'all', 'vol0, vol1']);
    case 'size':
      return random.pick(['1m', '64k', '1g']);
    default:
      return random.pick(VALUES[key] ?? [usual ?? random.pick(ANY_VALUES)]);
  }
}

/** Chooses keys that fit together. For example, a volume of a server has either a path or only a size. */
function keysOf(random: SeededRandom, file: ConfigFileName, type: string, all: readonly string[]): readonly string[] {
  if (file !== 'rssrvcfg' || type !== 'volume') return all;
  return random.chance(0.97) ? all.filter((key) => key !== 'type') : all;
}

function section(random: SeededRandom, file: ConfigFileName, type: string, name: string, count: number): string[] {
  const schema: FileSchema = SCHEMA[file];
  const lines = [name === '' ? `[${type}]` : `[${type} ${name}]`];
  if (type === 'clients') return [...lines, `big-2 ${SECRET}`, `venus ${SECRET}`];
  const keys = schema[type]?.keys ?? {};
  for (const key of keysOf(random, file, type, Object.keys(keys))) {
    const entry = keys[key]!;
    const isNeeded = entry.isRequired || (file === 'rssrvcfg' && key === 'path');
    if (!isNeeded && !random.chance(VALUES[key] === undefined && !SECRET_KEYS.has(key) ? 0.1 : 0.3)) continue;
    lines.push(`${key.padEnd(random.pick([0, 14]))} = ${valueOf(random, type, key, count, defaultOf(schema, key))}`);
  }
  return lines;
}

function sectionsOf(random: SeededRandom, file: ConfigFileName): string[][] {
  let count = 0;
  const add = (type: string, name: string): string[] => section(random, file, type, name, count++);
  const several = (type: string, prefix: string, most: number): string[][] =>
    Array.from({ length: random.int(1, most) }, (_, index) => add(type, `${prefix}${index}`));
  if (file === 'rssrvcfg') {
    return [
      add('namespace', 'osl'),
      add('server', 'big-9'),
      ...several('interface', 'if', 4),
      ...several('volume', 'vol', 4),
      add('clients', ''),
    ];
  }
  const namespaces = Array.from({ length: random.int(1, 3) }, (_, index) => [
    add('namespace', `ns${index}`),
    ...several('server', 'srv', 3),
    ...(random.chance(0.3) ? [add('volume', 'vol0')] : []),
  ]).flat();
  return [...(random.chance(0.7) ? [add('defaults', '')] : []), ...several('interface', 'if', 4), ...namespaces];
}

export function configText(random: SeededRandom, file: ConfigFileName): string {
  let sections = sectionsOf(random, file);
  if (random.chance(0.15)) sections = reordered(random, sections, () => sectionsOf(random, random.pick(['rssrvcfg', 'rscltcfg']))[0] ?? []);
  let lines = sections.flatMap((one) => [...one, ...(random.chance(0.8) ? [''] : [])]);
  if (random.chance(0.2)) lines = reordered(random, lines, () => random.pick([...ODD_LINES, ...lines]));
  const text = lines.join(random.pick(['\n', '\n', '\n', '\r\n'])) + random.pick(['', '\n']);
  return random.chance(0.25) ? mutated(random, Buffer.from(text), 2).toString('utf8') : text;
}
