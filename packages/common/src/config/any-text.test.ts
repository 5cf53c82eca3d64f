// Tests that for any text of a configuration file the parsers return a configuration or throw E_CONFIG. The line numbers in E_CONFIG exist
// in the text. The parsers throw no other error, and accepted values are within the limits. Texts are random, or composed of parts of real
// files.

import { expectAtMost } from '../testing/quick-expect.ts';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RsError } from '../lib/errors.ts';
import { INTERFACES_MAX } from '../lib/limits.ts';
import { parseRscltConfig } from './reader/rscltcfg.ts';
import { parseRssrvConfig } from './reader/rssrvcfg.ts';
import type { FileSchema } from './schema/entries.ts';
import { type ConfigFileName, SCHEMA } from './schema/schema.ts';

const VALUES = [
  '1',
  '0',
  '200',
  '10.0.0.1',
  '10.0.0.2/24',
  '::1',
  'tcp',
  'yes',
  'no',
  'auto',
  'memory',
  '1g',
  '1s',
  'all',
  'a',
  '/v',
  'x = y',
  '',
];

function lineOf(file: ConfigFileName): fc.Arbitrary<string> {
  const schema: FileSchema = SCHEMA[file];
  const type = fc.constantFrom(...Object.keys(schema), '__proto__');
  const name = fc.constantFrom('', ' a', ' b', ' ra', ' a.b', ' ..', ' a b');
  const key = fc.constantFrom(...Object.values(schema).flatMap(({ keys }) => Object.keys(keys)), '__proto__', 'toString');
  return fc.oneof(
    fc.tuple(type, name, fc.constantFrom(']', ']', ']', '', '] x')).map((parts) => `[${parts.join('')}`),
    fc.tuple(key, fc.constantFrom(...VALUES)).map(([left, right]) => `${left} = ${right}`),
    fc.string({ maxLength: 20 }),
  );
}

function textOf(file: ConfigFileName): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 9, arbitrary: fc.array(lineOf(file), { maxLength: 40 }).map((lines) => lines.join('\n')) },
    { weight: 1, arbitrary: fc.string() },
  );
}

/** Returns the configuration, or null if the parser refused it with E_CONFIG. */
function parsed<T>(parse: () => T, text: string): T | null {
  try {
    return parse();
  } catch (thrown) {
    if (!(thrown instanceof RsError) || thrown.code !== 'E_CONFIG') throw thrown;
    const problems = thrown.context['problems'] as readonly { line: number; message: string }[];
    expect(problems.length).toBeGreaterThan(0);
    for (const { line, message } of problems) {
      expectAtMost(line, text.split('\n').length);
      expect(message).toMatch(/^[^\n]+: [^\n]+$/);
    }
    return null;
  }
}

test('rssrvcfg', () => {
  fc.assert(
    fc.property(textOf('rssrvcfg'), (text) => {
      const config = parsed(() => parseRssrvConfig(text, 'f', false), text);
      if (config !== null) expectAtMost(config.interfaces.length, INTERFACES_MAX);
    }),
    { numRuns: 500 },
  );
});

test('rscltcfg', () => {
  let accepted = 0;
  fc.assert(
    fc.property(textOf('rscltcfg'), (text) => {
      const config = parsed(() => parseRscltConfig(text, 'f'), text);
      if (config === null) return;
      accepted += 1;
      expectAtMost(config.interfaces.length, INTERFACES_MAX);
    }),
    { numRuns: 500 },
  );
  // At least the empty file must be accepted. Otherwise, the test would check only refusals.
  expect(accepted).toBeGreaterThan(0);
});
