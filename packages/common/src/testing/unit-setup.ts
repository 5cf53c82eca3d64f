// Runs before each file of unit tests. One process runs many files, which spares most of them the start of a process; what keeps them apart
// all the same is here: each gets the project's modules anew, and one that leaves the process other than it found it fails.
// Leaves hooks and spies to vitest. Libraries, which it does not transform, are shared: none of them may be given settings by a test.

import { afterAll, expect, vi } from 'vitest';
import { changedSince, picture } from './process-picture.ts';

// As vitest does before a file that has a process of its own.
(globalThis as unknown as { readonly __vitest_mocker__: { reset(): void } }).__vitest_mocker__.reset();
vi.resetModules();
const before = picture();

// After all hooks of the file, since those that were registered last run first.
afterAll(() => {
  expect(changedSince(before), 'What this file leaves changed for those that run after it').toEqual([]);
});
