// Compares our parser with `ini` (npm) on random files: our parser and `ini` read the same content from every file that both accept, except
// for the cases in DIFFERENCES. DIFFERENCES lists each known difference with its reason. Each entry has an example, which proves that the
// entry is needed. The property test proves that the list is complete. ini-document.test.ts tests bytes, lines and edits.

import fc from 'fast-check';
import { parse } from 'ini';
import { describe, expect, test } from 'vitest';
import { type IniContent, type IniDocument, parseIni } from './ini-document.ts';

const SEED = 20_261_121;
const RUNS = 5000;

type Reading = Record<string, unknown>;

interface Difference {
  readonly name: string;
  readonly reason: string;
  /** Returns true if a file that our readers accept has this difference. */
  readonly occurs: (document: IniDocument) => boolean;
  readonly example: string;
  readonly ours: Reading;
  readonly theirs: Reading;
}

/**
 * Converts our document into the form in which `ini` returns files. An entry without `=` becomes true. A repeated section or key becomes a
 * list; `ini` has no form for repetitions.
 */
function readingOf({ preamble, sections }: IniDocument): Reading {
  const reading = entriesOf(preamble);
  for (const section of sections) add(reading, titleOf(section), entriesOf(section.contents));
  return reading;
}

function entriesOf(contents: readonly IniContent[]): Reading {
  const entries = Object.create(null) as Reading;
  for (const { key, text, value } of contents) add(entries, key ?? text, key === null ? true : value);
  return entries;
}

function add(to: Reading, name: string, value: unknown): void {
  if (!(name in to)) to[name] = value;
  else to[name] = Array.isArray(to[name]) ? [...(to[name] as unknown[]), value] : [to[name], value];
}

function titleOf({ type, name }: { type: string; name: string | null }): string {
  return name === null ? type : `${type} ${name}`;
}

/** False if a section header is faulty. Our readers refuse a file with a faulty header, but `ini` reads a faulty header as a key. */
function isAccepted({ sections }: IniDocument): boolean {
  return sections.every(({ fault }) => fault === null);
}

const titles = (document: IniDocument): string[] => document.sections.map(titleOf);
const groups = ({ preamble, sections }: IniDocument): (readonly IniContent[])[] => [preamble, ...sections.map(({ contents }) => contents)];
const contents = (document: IniDocument): IniContent[] => groups(document).flat();
const names = (document: IniDocument): string[] => contents(document).map(({ key, text }) => key ?? text);
const values = (document: IniDocument): string[] => contents(document).map(({ value }) => value);
const words = (document: IniDocument): string[] => [...titles(document), ...names(document), ...values(document)];
const isRepeated = (list: readonly string[]): boolean => new Set(list).size < list.length;
const isQuoted = (word: string): boolean => /^(".*"|'.*'|["'])$/s.test(word);
const isOpening = (raw: string): boolean => raw.trimStart().startsWith('[');

const DIFFERENCES: readonly Difference[] = [
  {
    name: 'a repeated section',
    reason: 'Two servers may have the same header by mistake: the readers report both lines, so that no setting moves to the other one.',
    occurs: (document) => isRepeated(titles(document)),
    example: '[server a]\nport = 1\n[server a]\nweight = 2\n',
    ours: { 'server a': [{ port: '1' }, { weight: '2' }] },
    theirs: { 'server a': { port: '1', weight: '2' } },
  },
  {
    name: 'a repeated key',
    reason: 'The readers report the second line instead of choosing a value.',
    occurs: (document) => groups(document).some((group) => isRepeated(group.map(({ key, text }) => key ?? text))),
    example: '[server a]\nport = 1\nport = 2\n',
    ours: { 'server a': { port: ['1', '2'] } },
    theirs: { 'server a': { port: '2' } },
  },
  {
    name: 'a key above the sections with the name of a section',
    reason: 'Entries above the first header are no section: the section keeps its own entries, which `ini` drops.',
    occurs: (document) => document.preamble.some(({ key, text }) => titles(document).includes(key ?? text)),
    example: 'a = 1\n[a]\nb = 2\n',
    ours: { a: ['1', { b: '2' }] },
    theirs: { a: '1' },
  },
  {
    name: 'a dot in the name of a section',
    reason: 'Names of hosts contain dots: big-9.example is one name, not a section within a section.',
    occurs: (document) => titles(document).some((title) => title.includes('.')),
    example: '[server big-9.example]\nport = 1\n',
    ours: { 'server big-9.example': { port: '1' } },
    theirs: { 'server big-9': { example: { port: '1' } } },
  },
  {
    name: 'white space between the words of a header',
    reason: 'Type and name are two words, however they are aligned.',
    occurs: ({ lines }) => lines.some(({ raw }) => isOpening(raw) && /^\[\s*\S+(\s\s+|[^\S ])\S/.test(raw.trim())),
    example: '[server  a]\nport = 1\n',
    ours: { 'server a': { port: '1' } },
    theirs: { 'server  a': { port: '1' } },
  },
  {
    name: 'an indented header',
    reason: 'White space before a line has no meaning.',
    occurs: ({ lines }) => lines.some(({ raw }) => isOpening(raw) && !raw.startsWith('[')),
    example: '  [server a]\nport = 1\n',
    ours: { 'server a': { port: '1' } },
    theirs: { '[server a]': true, port: '1' },
  },
  {
    name: '; or # behind other text',
    reason: 'A nodekey may contain both: a comment has a line of its own.',
    occurs: (document) => words(document).some((word) => /[;#]/.test(word)),
    example: '[namespace osl]\nnodekey = secret#1;2\n',
    ours: { 'namespace osl': { nodekey: 'secret#1;2' } },
    theirs: { 'namespace osl': { nodekey: 'secret' } },
  },
  {
    name: 'two backslashes',
    reason: 'Nothing is escaped: every byte of a nodekey counts.',
    occurs: (document) => words(document).some((word) => word.includes('\\\\')),
    example: '[namespace osl]\nnodekey = a\\\\b\n',
    ours: { 'namespace osl': { nodekey: 'a\\\\b' } },
    theirs: { 'namespace osl': { nodekey: 'a\\b' } },
  },
  {
    name: 'quotes around a word',
    reason: 'Quotes are part of the value, as every other character; no value needs them.',
    occurs: (document) => words(document).some((word) => isQuoted(word)),
    example: '[namespace osl]\nnodekey = "a b"\nport = \'5000\'\n',
    ours: { 'namespace osl': { nodekey: '"a b"', port: "'5000'" } },
    theirs: { 'namespace osl': { nodekey: 'a b', port: 5000 } },
  },
  {
    name: 'true, false and null',
    reason: 'A value is text; the schema says what it means, and a volume may be called null.',
    occurs: (document) => contents(document).some(({ key, value }) => key !== null && /^(true|false|null)$/.test(value)),
    example: '[volume a]\nreadonly = true\n',
    ours: { 'volume a': { readonly: 'true' } },
    theirs: { 'volume a': { readonly: true } },
  },
  {
    name: 'a key that ends in []',
    reason: 'No key has several values: the readers report an unknown key.',
    occurs: (document) => names(document).some((name) => name.length > 2 && name.endsWith('[]')),
    example: '[server a]\naddress[] = 10.0.0.1\n',
    ours: { 'server a': { 'address[]': '10.0.0.1' } },
    theirs: { 'server a': { address: ['10.0.0.1'] } },
  },
  {
    name: '__proto__',
    reason: 'Our document is no object with keys out of the file, so that every name is a name like others.',
    occurs: (document) => [...titles(document), ...names(document)].includes('__proto__'),
    example: '[server a]\n__proto__ = 1\n',
    ours: { 'server a': entriesOf([{ line: 2, key: '__proto__', value: '1', text: '__proto__ = 1' }]) },
    theirs: { 'server a': {} },
  },
  {
    name: 'an empty key',
    reason: 'The readers report the line, which `ini` drops.',
    occurs: (document) => contents(document).some(({ key }) => key === ''),
    example: '[server a]\n= 1\n',
    ours: { 'server a': { '': '1' } },
    theirs: { 'server a': {} },
  },
  {
    name: 'a carriage return within a line',
    reason: 'A line ends with \\n or \\r\\n, as everywhere on Linux.',
    occurs: ({ lines }) => lines.some(({ raw }) => raw.trim().includes('\r')),
    example: '[server a]\nport = 1\rweight = 2\n',
    ours: { 'server a': { port: '1\rweight = 2' } },
    theirs: { 'server a': { port: '1', weight: '2' } },
  },
  {
    name: 'a Unicode line separator in a value',
    reason: 'It is a character like others. `ini` drops the line.',
    occurs: ({ lines }) => lines.some(({ raw }) => /=.*[\u2028\u2029]/s.test(raw)),
    example: '[server a]\nlabel = a\u2028b\n',
    ours: { 'server a': { label: 'a\u2028b' } },
    theirs: { 'server a': {} },
  },
];

/** Mostly usual words. The others cause a difference between our parser and `ini`, or resemble a word that does. */
const plainWord = fc.constantFrom(
  'a',
  'port',
  'server',
  'big-9',
  '1',
  '5 s',
  'constructor',
  'hasOwnProperty',
  'True',
  '"open',
  'a\\b',
  '[x]y',
);
const oddWord = fc.constantFrom(
  'a.b',
  'true',
  'null',
  '"a"',
  "'1'",
  "'",
  '',
  'k[]',
  '[]',
  '__proto__',
  'a;b',
  'a#',
  'a\\\\b',
  '\u2028',
  'a\rb',
  '{}',
);
const word = fc.oneof({ weight: 30, arbitrary: plainWord }, { weight: 1, arbitrary: oddWord });
const space = fc.oneof({ weight: 8, arbitrary: fc.constantFrom('', ' ') }, { weight: 1, arbitrary: fc.constantFrom('\t', '  ', '\ufeff') });
/** A number that is appended to names, so that names rarely repeat within a file. */
const number = fc.integer({ min: 0, max: 99 });
const oneOfFew = fc.integer({ min: 0, max: 5 });
const header = fc.tuple(fc.oneof({ weight: 9, arbitrary: fc.constant('') }, space), word, space, oneOfFew);
const line = fc.oneof(
  { weight: 3, arbitrary: header.map(([before, type, between, name]) => `${before}[${type}${between}${name}]`) },
  {
    weight: 6,
    arbitrary: fc.tuple(space, word, number, space, space, word).map(([a, key, n, b, c, value]) => `${a}${key}${n}${b}=${c}${value}`),
  },
  { weight: 2, arbitrary: fc.tuple(space, word, space).map((parts) => parts.join('')) },
  { weight: 1, arbitrary: fc.constantFrom('', '  ', '# note', '\t; note = 1', '#[a]') },
  { weight: 1, arbitrary: fc.string({ unit: fc.constantFrom('[', ']', '=', ' ', '\r', '.', '\\', '"', 'a', 'b'), maxLength: 6 }) },
);
const file = fc
  .array(fc.tuple(line, fc.constantFrom('\n', '\r\n', '\n\n')), { maxLength: 12 })
  .map((lines) => lines.map((parts) => parts.join('')).join(''));

function differencesIn(document: IniDocument): string[] {
  return DIFFERENCES.filter(({ occurs }) => occurs(document)).map(({ name }) => name);
}

test('both read every file without a listed difference alike', () => {
  let sections = 0;
  fc.assert(
    fc.property(file, (text) => {
      const document = parseIni(text);
      fc.pre(isAccepted(document) && differencesIn(document).length === 0);
      sections += document.sections.length;
      expect(readingOf(document)).toEqual(parse(text));
    }),
    { seed: SEED, numRuns: RUNS },
  );
  expect(sections, 'The random files are not trivial').toBeGreaterThan(RUNS / 2);
});

describe.each(DIFFERENCES)('$name', ({ name, example, ours, theirs }) => {
  test('is read differently, and the rest of the example is not', () => {
    const document = parseIni(example);
    expect(isAccepted(document)).toBe(true);
    expect(differencesIn(document)).toEqual([name]);
    expect(readingOf(document)).toEqual(ours);
    expect(parse(example)).toEqual(theirs);
  });
});

test.each(['[server a\nport = 1\n', '[server a] b\nport = 1\n', '[]\nport = 1\n'])('our readers refuse the header of %j', (text) => {
  expect(isAccepted(parseIni(text))).toBe(false);
});
