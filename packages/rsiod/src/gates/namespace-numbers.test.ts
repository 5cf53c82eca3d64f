// The numbers of namespaces, with more volumes than a gate remembers, and over a restart.
// The oracle is the list of all numbers that were given.

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { removeFolder } from '@rsio/common/testing/remove-folder';
import { GATE_NUMBERS_MAX } from './limits.ts';
import { NamespaceNumbers } from './namespace-numbers.ts';

it('a number never means another volume, however many volumes there have been', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'numbers-'));
  const numbers = new NamespaceNumbers(join(folder, 'gates.json'));
  const inUse = new Set<string>(['v1', `v${GATE_NUMBERS_MAX}`]);
  const asked = Array.from({ length: GATE_NUMBERS_MAX + 8 }, (_, at) => numbers.numberOf('g', `v${at}`, (id) => inUse.has(id)));
  const given = await Promise.all(asked);
  expect(new Set(given).size).toBe(given.length);
  // Those that are in use keep theirs, also over a restart; one that was forgotten gets a new number.
  const again = new NamespaceNumbers(join(folder, 'gates.json'));
  await again.load();
  expect(await again.numberOf('g', 'v1', () => false)).toBe(given[1]);
  expect(await again.numberOf('g', 'v0', () => false)).toBe(GATE_NUMBERS_MAX + 9);
  await removeFolder(folder);
});
