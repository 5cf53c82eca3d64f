// The zoo as `pnpm zoo --quick` runs it: every mutant is found, the unbroken code passes the same seeds; and the table and docs/PROTOCOL.md name
// the same mutants at the same rules.

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { runSeed } from '../run-seed.ts';
import { FOUND_AT } from './found-at.ts';
import { MUTANTS } from './mutants.ts';

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
  'O1',
  'O2',
  'L1',
  'L2',
  'R1',
  'R2',
  'E1',
  'E2',
  'H1',
  'H2',
  'H3',
  'H4',
  'V1',
];

/** Of each rule that the page numbers in bold: what stands at its line "Guarded by". */
function guards(): Map<string, string> {
  const page = readFileSync(`${ROOT}docs/PROTOCOL.md`, 'utf8');
  const found = new Map<string, string>();
  for (const [, rule, rest] of page.matchAll(/^\*\*([SOLREHV]\d+)\. ([\s\S]*?)(?=^\*\*[SOLREHV]\d+\. |^##)/gm)) {
    found.set(rule!, rest!.slice(rest!.indexOf('- Guarded by:')));
  }
  return found;
}

test('every rule that a program can break has a mutant, and no name is used twice', () => {
  expect(RULES.filter((rule) => !MUTANTS.some((mutant) => mutant.rule === rule))).toEqual([]);
  expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length);
});

test('every mutant, and nothing else, has a seed at which a quick hunt begins', () => {
  expect([...FOUND_AT.keys()].toSorted()).toEqual(MUTANTS.map(({ name }) => name).toSorted());
});

test('mutants are undone without a trace', async () => {
  for (const mutant of MUTANTS) mutant.apply()();
  expect((await runSeed(1)).breaches).toEqual([]);
});

describe('docs/PROTOCOL.md', () => {
  const byRule = guards();
  test.each(RULES)('%s names its mutants', (rule) => {
    const named = [...(byRule.get(rule) ?? '').matchAll(/mutants?:? ((?:`[a-z-]+`,?\s*)+)/g)].flatMap(([, list]) =>
      [...list!.matchAll(/`([a-z-]+)`/g)].map(([, name]) => name!),
    );
    expect(named).toEqual(MUTANTS.filter((mutant) => mutant.rule === rule).map(({ name }) => name));
  });
});

test('every mutant is found, and the unbroken code passes', { timeout: 900_000 }, async () => {
  const child = spawn(process.execPath, ['scripts/zoo.mjs', '--quick'], { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] });
  let table = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    table += text;
  });
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  console.log(table);
  expect(table).toContain(`${MUTANTS.length} of ${MUTANTS.length} found`);
  expect(code).toBe(0);
});
