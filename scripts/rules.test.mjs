// Tests which rules a comment assigns to its file, the lists of a rule, and that a rule without code, test or mutant is found.
// `npm run check` looks for such rules in the checkout.

import { describe, expect, test } from 'vitest';
import { gapsOf, guaranteesOf, indexOf, kindOf, namedBy, pageOf, rulesOf } from './rules.mjs';

const PROTOCOL = rulesOf(
  '# P\n\n**S1. One\nanswer.** Text.\n\n**S2. One copy.** Text of S1.\n- Item.\n\n## Frame\n\n**N1. A name.** Text.\n',
);
const GUARANTEES = guaranteesOf('**G1. Once.** Text.\n- Rules S1, S2 and N1. More.\n\n**N1. Plain.** Text (N2).\n');
const HEADINGS = ['Frame', 'PING', 'PING and PONG'];
const MUTANTS = [
  { name: 'stray', rule: 'S1', also: ['S2'] },
  { name: 'walked', rule: 'S2', explorer: 'walks' },
];
const CASES = [
  { id: 'slots.copy', section: 'S1' },
  { id: 'frame.form', section: 'Frame' },
];
const CODE = '// Slots (docs/PROTOCOL.md, S1 to S2).\n// Rules: N1.\n';
const SOURCES = [
  ['packages/a/src/slots.ts', CODE],
  ['packages/a/src/slots.test.ts', '// Rules: S2, N1, G1.\n'],
  ['test/sim/zoo/mutants/slots.ts', '// Breaks S1.\n'],
];

test('a rule has its bold sentence, and ends at the next rule or heading', () => {
  expect(PROTOCOL).toEqual([
    { name: 'S1', title: 'S1. One answer.', text: ' Text.\n\n' },
    { name: 'S2', title: 'S2. One copy.', text: ' Text of S1.\n- Item.\n\n' },
    { name: 'N1', title: 'N1. A name.', text: ' Text.\n' },
  ]);
  expect(GUARANTEES.map(({ name }) => name)).toEqual(['G1', 'N1 in docs/GUARANTEES.md']);
});

describe('the names in comments', () => {
  const named = (text) => [...namedBy(text, HEADINGS)];

  test('rules, ranges of rules, and lines that continue a range', () => {
    expect(named('// Rules: S9, G5.\nconst a = 1; // see O1\n/**\n * Also M4 to M6.\n */\n')).toEqual(['S9', 'G5', 'O1', 'M4', 'M5', 'M6']);
    expect(named('// Rules: Q1 to\n// Q3.\n')).toEqual(['Q1', 'Q2', 'Q3']);
  });

  test('limits of docs/GUARANTEES.md are not rules of docs/PROTOCOL.md', () => {
    expect(named('// Rules: V1, N5 in docs/GUARANTEES.md.\n')).toEqual(['V1', 'N5 in docs/GUARANTEES.md']);
  });

  test('sections', () => {
    expect(named('// As in docs/PROTOCOL.md, PING and PONG. Also PROTOCOL.md ("Frame").\n')).toEqual(['PING and PONG', 'Frame']);
  });

  test('code and names of other things count for nothing', () => {
    expect(named("const S1 = 'S2';\n// The key 'S3' of H4.x\n")).toEqual([]);
  });
});

test('sources are code or tests; files of cases and of mutants are neither', () => {
  expect(['packages/a/src/b.ts', 'packages/a/src/b.test.ts', 'packages/a/src/testing/c.ts', 'test/sim/judges/d.ts'].map(kindOf)).toEqual([
    'code',
    'tests',
    'tests',
    'tests',
  ]);
  const others = [
    'test/sim/zoo/mutants/a.ts',
    'test/conformance/server/b.ts',
    'packages/a/README.md',
    'bench/c.ts',
    'packages/a/dist/d.ts',
  ];
  expect(others.map(kindOf)).toEqual(others.map(() => null));
  expect(kindOf('test/sim/zoo/zoo.test.ts')).toBe('tests');
});

test('the page lists code, tests, cases and mutants, and the simulator where it hunts a mutant', () => {
  const page = pageOf(PROTOCOL, HEADINGS, GUARANTEES, indexOf(SOURCES, HEADINGS, MUTANTS, CASES));
  expect(page.split('\n').slice(5).join('\n')).toBe(`## Rules of docs/PROTOCOL.md

**S1. One answer.**
- Code: \`a/src/slots.ts\`
- Tests: \`test/sim/runner/first-seeds.test.ts\`
- Cases: \`slots.copy\`
- Mutants: \`stray\`

**S2. One copy.**
- Code: \`a/src/slots.ts\`
- Tests: \`test/sim/runner/first-seeds.test.ts\`, \`a/src/slots.test.ts\`
- Mutants: \`stray\`, \`walked\`

**N1. A name.**
- Code: \`a/src/slots.ts\`
- Tests: \`a/src/slots.test.ts\`

## Sections of docs/PROTOCOL.md

**Frame**
- Cases: \`frame.form\`

## Guarantees and limits of docs/GUARANTEES.md

**G1. Once.**
- Rules: S1, S2, N1
- Tests: \`a/src/slots.test.ts\`
`);
});

describe('gaps', () => {
  const gaps = (sources, mutants, cases, withoutMutant = []) =>
    gapsOf(PROTOCOL, GUARANTEES, indexOf(sources, HEADINGS, mutants, cases), mutants, withoutMutant);
  const NAMED = { name: 'named', rule: 'N1' };

  test('none', () => {
    expect(gaps(SOURCES, [...MUTANTS, NAMED], CASES)).toEqual([]);
  });

  test('a rule without code, test or mutant, and a guarantee without a test', () => {
    const helper = ['packages/a/src/testing/world.ts', '// S2, N1, G1'];
    expect(gaps([helper], [MUTANTS[1]], CASES)).toEqual([
      'Rule S1 has no code: name it in the header of the file that implements it',
      'Rule S2 has no code: name it in the header of the file that implements it',
      'Rule N1 has no code: name it in the header of the file that implements it',
      'Rule S2 has neither a test nor a case: name it in the header of its test',
      'Rule N1 has neither a test nor a case: name it in the header of its test',
      'Rule G1 has neither a test nor a case: name it in the header of its test',
      'Rule S1 has no mutant: add one to test/sim/zoo',
      'Rule N1 has no mutant: add one to test/sim/zoo',
    ]);
  });

  test('a guarantee whose mutants are neither its own nor those of its rules', () => {
    const alone = guaranteesOf('**G1. Once.** Text.\n');
    const mutants = [...MUTANTS, NAMED];
    const of = (all, withoutMutant) => gapsOf(PROTOCOL, alone, indexOf(SOURCES, HEADINGS, all, CASES), all, withoutMutant);
    expect(of(mutants, [])).toEqual([
      'Rule G1 has no mutant: add one to test/sim/zoo, or name the rules on which it rests in docs/GUARANTEES.md',
    ]);
    expect(of(mutants, ['G1'])).toEqual([]);
    expect(of([...mutants, { name: 'twice', rule: 'S1', also: ['G1'] }], [])).toEqual([]);
  });

  test('an exemption that is not needed, and a mutant or a guarantee that names an unknown rule', () => {
    expect(gaps(SOURCES, [...MUTANTS, NAMED, { name: 'lost', rule: 'S99' }], CASES, ['G1', 'G98'])).toEqual([
      'Rule G1 is gone or has a mutant: remove it from WITHOUT_MUTANT in scripts/rules.mjs',
      'Rule G98 is gone or has a mutant: remove it from WITHOUT_MUTANT in scripts/rules.mjs',
      'Mutant lost breaks a rule that neither docs/PROTOCOL.md nor docs/GUARANTEES.md has',
    ]);
    const stranger = guaranteesOf('**G1. Once.** Rule S97.\n');
    const mutants = [...MUTANTS, NAMED];
    expect(gapsOf(PROTOCOL, stranger, indexOf(SOURCES, HEADINGS, mutants, CASES), mutants, ['G1'])).toEqual([
      'docs/GUARANTEES.md names rule S97, which docs/PROTOCOL.md does not have',
    ]);
  });
});
