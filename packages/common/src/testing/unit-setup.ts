// Runs before each file of unit tests. One process runs many test files, so that most files do not have to start a process. Each file gets
// fresh copies of the project's modules. A file fails if it leaves the state of the process changed. Vitest removes hooks and spies after
// each file. All test files share the same copies of libraries, because libraries are not transformed. Therefore no test may configure a
// library.

import { afterAll, expect, vi } from 'vitest';
import { changedSince, picture } from './process-picture.ts';

// Reset mocks and modules here, because Vitest itself resets them only before a file that has its own process.
(globalThis as unknown as { readonly __vitest_mocker__: { reset(): void } }).__vitest_mocker__.reset();
vi.resetModules();
const before = picture();

// Vitest runs these hooks in reverse order. This hook is registered first, so it runs after all other hooks of the file.
afterAll(() => {
  expect(changedSince(before), 'What this file leaves changed for those that run after it').toEqual([]);
});
