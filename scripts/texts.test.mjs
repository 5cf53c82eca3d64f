// Tests that texts.mjs finds a text of each kind at its line, and that comments, regular expressions and nested templates do not mislead
// it. The real sources also have texts of all kinds; a missing kind would mean that the scanner lost track.

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ROOT } from './prepare.mjs';
import { textsOf } from './texts.mjs';

const found = (source) => textsOf(source).map(({ kind, text }) => `${kind} ${text}`);

describe('kinds by the place of the text', () => {
  const cases = [
    ["throw new RsError('E_LIMIT', `Volume ${name} is in use`);", 'error Volume {name} is in use'],
    ["this.log.warn('Path is slow', { path });", 'log Path is slow'],
    ["findings.ok('rsiod', 'It is running');", 'finding It is running'],
    ["reader.findings.problem(line, 'No such key');", 'problem No such key'],
    ["const remedy = isOld ? 'restart it' : null;", 'remedy restart it'],
    ['warnOnce(`Volume ${name} is full`);', 'warning Volume {name} is full'],
    ["return this.refuse(STATUS.INVALID, 'The name is empty');", 'refusal The name is empty'],
    ["const TABLE = [{ status: 1, sentence: 'The volume is read-only' }];", 'status The volume is read-only'],
    ["ports.event(path, 'path is up');", 'event path is up'],
    ["const COMMAND = { summary: 'shows all volumes' };", 'help shows all volumes'],
    ["return count === 0 ? 'no volumes' : 'some';", 'text no volumes'],
  ];

  test.each(cases)('%s', (source, text) => {
    expect(found(source)).toEqual([text]);
  });

  test('a helper with a telling name gives its kind to the texts that it returns', () => {
    expect(found("function warningOf(volume) {\n  return 'it is nearly full';\n}\nconst a = 'not a warning';")).toEqual([
      'warning it is nearly full',
      'text not a warning',
    ]);
  });
});

describe('the scanner', () => {
  test('gives the line at which a text begins', () => {
    expect(textsOf("const a = 1;\nconst b =\n  'two words';\n")).toEqual([{ line: 3, kind: 'text', text: 'two words' }]);
  });

  test('lists the texts within a template too, and joins its lines', () => {
    expect(found("const a = `It has ${many ? `${n} of its paths` : 'one path'}, \\\nand\\nworks`;")).toEqual([
      "text It has {many ? `${n} of its paths` : 'one path'}, and works",
      'text {n} of its paths',
      'text one path',
    ]);
  });

  test('passes over comments, regular expressions and quotes in them', () => {
    const source = "// it's a comment\nconst a = b / 2; const c = /it's '/.test(d) ? 1 / 2 : 'two words'; /* don't look */\n";
    expect(found(source)).toEqual(['text two words']);
  });

  test('leaves out names: one word, a path, a separator', () => {
    expect(found("f('up', './one.ts', '-> ', `${a} ${b}`, 'x y', 'two words');")).toEqual(['text two words']);
  });
});

const OUTPUT_MAX_BYTES = 16 * 1024 * 1024;

test('the real sources have texts of every kind, each with file and line', () => {
  const lines = execFileSync(process.execPath, [join(ROOT, 'scripts', 'texts.mjs')], { encoding: 'utf8', maxBuffer: OUTPUT_MAX_BYTES })
    .trimEnd()
    .split('\n');
  expect(lines.filter((line) => !/^(packages|bin)\/[^ ]+:\d+ [a-z]+ \S/.test(line))).toEqual([]);
  const kinds = new Set(lines.map((line) => line.split(' ')[1]));
  const all = ['error', 'event', 'finding', 'help', 'log', 'problem', 'refusal', 'remedy', 'status', 'text', 'warning'];
  expect([...kinds].sort()).toEqual(all);
});
