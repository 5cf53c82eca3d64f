// The hunts of `npm run zoo -- --quick`: every mutant is found. first-seeds.test.ts runs the same seeds with the unbroken code, and
// scripts/rules.mjs checks that each rule has a mutant. Rules: G1, G26.

import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { runSeed } from '../runner/run-seed.ts';
import { FOUND_AT } from './found-at.ts';
import { MUTANTS } from './mutants.ts';
import { huntMutants, type Verdict } from './zoo.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

test('every name is unique', () => {
  expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length);
});

test('exactly the mutants have a seed at which a quick hunt begins', () => {
  expect([...FOUND_AT.keys()].toSorted()).toEqual(MUTANTS.map(({ name }) => name).toSorted());
});

test('undoing a mutant leaves no trace', async () => {
  for (const mutant of MUTANTS) mutant.apply()();
  expect((await runSeed(1)).breaches).toEqual([]);
});

describe('quick hunts', () => {
  /** For each mutant's name: the verdict of the hunt. */
  const verdicts = new Map<string, Promise<Verdict>>();

  beforeAll(() => {
    const tell = new Map<string, (verdict: Verdict) => void>();
    for (const { name } of MUTANTS) verdicts.set(name, new Promise((resolve) => tell.set(name, resolve)));
    void huntMutants(availableParallelism(), { names: [], isQuick: true, from: 1 }, (verdict) => tell.get(verdict.name)!(verdict));
  });

  // The unbroken code must pass the same seeds: first-seeds.test.ts runs them.
  test.each(MUTANTS)('$name is found', async ({ name }) => {
    const { seed, breach } = await verdicts.get(name)!;
    // A hunt that has to go on to another seed takes minutes where one world takes a second: found-at.ts must name that seed.
    expect({ seed, breach }).toEqual({ seed: FOUND_AT.get(name), breach: expect.stringMatching(/./) });
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
