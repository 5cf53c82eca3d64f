// Runs before each file of unit tests. One process runs many files, so that most files need not start a process. Each file gets fresh
// project modules, and a file that leaves the state of the process changed fails. Removing hooks and spies is vitest's job. Files share
// libraries, because these are not transformed, so no test may configure a library.

import { afterAll, expect, vi } from 'vitest';
import { changedSince, picture } from './process-picture.ts';

// vitest itself does this only before a file that has a process of its own.
(globalThis as unknown as { readonly __vitest_mocker__: { reset(): void } }).__vitest_mocker__.reset();
vi.resetModules();
const before = picture();

// Runs after all other hooks of the file, because the hook that is registered first runs last.
afterAll(() => {
  expect(changedSince(before), 'What this file leaves changed for those that run after it').toEqual([]);
});
