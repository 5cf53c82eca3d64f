// Runs before each file of unit tests. One process runs many files, which saves most of them the start of a process. Each file gets fresh
// project modules, and a file that leaves the process changed fails.
// Hooks and spies belong to vitest. Libraries are not transformed and are shared, so that no test may configure one.

import { afterAll, expect, vi } from 'vitest';
import { changedSince, picture } from './process-picture.ts';

// As vitest does before a file with a process of its own.
(globalThis as unknown as { readonly __vitest_mocker__: { reset(): void } }).__vitest_mocker__.reset();
vi.resetModules();
const before = picture();

// After all hooks of the file, because the first registered hook runs last.
afterAll(() => {
  expect(changedSince(before), 'What this file leaves changed for those that run after it').toEqual([]);
});
