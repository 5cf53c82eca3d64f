// The hunts of `npm run zoo -- --quick`: every mutant is found, and the table and docs/PROTOCOL.md name the same mutants at the same rules.
// first-seeds.test.ts runs the same seeds with the unbroken code.

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { runSeed } from '../runner/run-seed.ts';
import { FOUND_AT } from './found-at.ts';
import { MUTANTS } from './mutants.ts';
import type { Mutant } from './mutants/mutant.ts';
import { TESTED_SEEDS } from './tested-seeds.ts';
import { huntMutants, type Verdict } from './zoo.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const RULES = [
  'S1',
  'S2',
  'S3',
  'S4',
  'S5',
  'S6',
  'S7',
  'S8',
  'S9',
  'S10',
  'S11',
  'O1',
  'O2',
  'L1',
  'L2',
  'R1',
  'R2',
  'R6',
  'R7',
  'E1',
  'E2',
  'H1',
  'H2',
  'H3',
  'H4',
  'H5',
  'V1',
  'C1',
  'C2',
  'C3',
  'C4',
  'C5',
  'P1',
  'P2',
  'N1',
  'N2',
  'N3',
  'N4',
  'N5',
  'Q1',
  'Q2',
  'Q4',
  'M1',
  'M2',
  'M3',
  'M4',
  'M5',
  'M6',
  'M7',
  'M8',
  'M9',
  'M10',
  'M11',
  'M12',
  'M13',
  'M14',
  'M15',
  'M16',
  'M17',
  'M18',
  'M19',
  'M20',
  'M21',
];

function rulesOf({ rule, also = [] }: Mutant): readonly string[] {
  return [rule, ...also];
}

/** For each rule in docs/PROTOCOL.md with a bold number: the text of its line "Tests". */
function testLines(): Map<string, string> {
  const page = readFileSync(`${ROOT}docs/PROTOCOL.md`, 'utf8');
  const found = new Map<string, string>();
  for (const [, rule, rest] of page.matchAll(/^\*\*([SOLREHVCPNQM]\d+)\. ([\s\S]*?)(?=^\*\*[SOLREHVCPNQM]\d+\. |^##)/gm)) {
    found.set(rule!, rest!.slice(rest!.indexOf('- Tests:')));
  }
  return found;
}

test('every rule that a program can break has a mutant, and every name is unique', () => {
  expect(RULES.filter((rule) => !MUTANTS.some((mutant) => rulesOf(mutant).includes(rule)))).toEqual([]);
  expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length);
});

test('exactly the mutants have a seed at which a quick hunt begins', () => {
  expect([...FOUND_AT.keys()].toSorted()).toEqual(MUTANTS.map(({ name }) => name).toSorted());
});

test('undoing a mutant leaves no trace', async () => {
  for (const mutant of MUTANTS) mutant.apply()();
  expect((await runSeed(1)).breaches).toEqual([]);
});

describe('docs/PROTOCOL.md', () => {
  const byRule = testLines();
  test.each(RULES)('%s names its mutants', (rule) => {
    const named = [...(byRule.get(rule) ?? '').matchAll(/mutants?:?\s+((?:`[a-z0-9-]+`,?\s*)+)/g)].flatMap(([, list]) =>
      [...list!.matchAll(/`([a-z0-9-]+)`/g)].map(([, name]) => name!),
    );
    expect(named).toEqual(MUTANTS.filter((mutant) => rulesOf(mutant).includes(rule)).map(({ name }) => name));
  });
});

describe('quick hunts', () => {
  /** For each mutant's name: the verdict of the hunt. */
  const verdicts = new Map<string, Promise<Verdict>>();

  beforeAll(() => {
    const tell = new Map<string, (verdict: Verdict) => void>();
    for (const { name } of MUTANTS) verdicts.set(name, new Promise((resolve) => tell.set(name, resolve)));
    void huntMutants(availableParallelism(), { names: [], isQuick: true, from: 1 }, (verdict) => tell.get(verdict.name)!(verdict));
  });

  // The unbroken code must pass the same seeds. first-seeds.test.ts runs the seeds of found-at.ts, and this test runs the other seeds.
  test.each(MUTANTS)('$name is found', async ({ name }) => {
    const { seed, breach, isSimulated } = await verdicts.get(name)!;
    expect({ seed, breach }).toEqual({ seed: expect.any(Number), breach: expect.stringMatching(/./) });
    if (isSimulated && !TESTED_SEEDS.has(seed!)) expect((await runSeed(seed!)).breaches).toEqual([]);
  });
});

test('npm run zoo prints what it found, and that the unbroken code passes', async () => {
  const child = spawn(process.execPath, ['scripts/run.mjs', 'zoo', '--quick', 'buffer-early'], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let table = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    table += text;
  });
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  expect(table).toContain('unbroken code: 1 seeds that found one pass');
  expect(table).toContain('1 of 1 found');
  expect(code).toBe(0);
});
