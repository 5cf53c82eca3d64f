// The numbers of namespaces, with more volumes than a gate remembers, and over a restart.
// The oracle is the list of all numbers that were given.

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { GATE_IDS_EACH, GATE_NUMBERS_MAX } from './limits.ts';
import { NamespaceNumbers, type NumberWanted } from './namespace-numbers.ts';

const FIRST: NumberWanted = { member: 1, each: GATE_IDS_EACH, recorded: null, isInUse: () => false, isTaken: () => false };

it('a number never means another volume, however many volumes there have been', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'numbers-'));
  const numbers = new NamespaceNumbers(join(folder, 'gates.json'));
  const inUse = new Set<string>(['v1', `v${GATE_NUMBERS_MAX}`]);
  const asked = Array.from({ length: GATE_NUMBERS_MAX + 8 }, (_, at) =>
    numbers.numberOf('g', `v${at}`, { ...FIRST, isInUse: (id) => inUse.has(id) }),
  );
  const given = await Promise.all(asked);
  expect(new Set(given).size).toBe(given.length);
  // Volumes in use keep their numbers, even over a restart; a volume that was forgotten gets a new number.
  const again = new NamespaceNumbers(join(folder, 'gates.json'));
  await again.load();
  expect(await again.numberOf('g', 'v1', FIRST)).toBe(given[1]);
  expect(await again.numberOf('g', 'v0', FIRST)).toBe(GATE_NUMBERS_MAX + 9);
  await removeFolder(folder);
});

it('gates of one subsystem give different numbers, and take over those that are in a gate record', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'numbers-'));
  const numbers = new NamespaceNumbers(join(folder, 'gates.json'));
  const second: NumberWanted = { ...FIRST, member: 2 };
  expect(await numbers.numberOf('g', 'v1', FIRST)).toBe(1);
  expect(await numbers.numberOf('g', 'v2', second)).toBe(GATE_IDS_EACH + 1);
  expect(await numbers.numberOf('g', 'v3', second)).toBe(GATE_IDS_EACH + 2);
  expect(await numbers.numberOf('g', 'v4', { ...second, recorded: 7 })).toBe(7);
  expect(await numbers.numberOf('g', 'v5', FIRST)).toBe(8);
  await expect(numbers.numberOf('g', 'v6', { ...FIRST, recorded: 7 })).rejects.toThrow(
    'its namespace id 7 is that of volume v4 here: give each gate of this name its own number (key member)',
  );
  // The number that hosts knew is not given to another volume.
  expect(await numbers.numberOf('g', 'v5', { ...FIRST, recorded: 4 * GATE_IDS_EACH })).toBe(4 * GATE_IDS_EACH);
  expect(await numbers.numberOf('g', 'v7', FIRST)).toBe(9);
  const again = new NamespaceNumbers(join(folder, 'gates.json'));
  await again.load();
  expect(await again.numberOf('g', 'v5', FIRST)).toBe(4 * GATE_IDS_EACH);
  expect(await again.numberOf('g', 'v8', FIRST)).toBe(10);
  await removeFolder(folder);
});
