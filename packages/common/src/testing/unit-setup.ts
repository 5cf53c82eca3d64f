// Runs before each file of unit tests. One process runs many test files, which saves time. Each file gets fresh copies of the project's
// modules. A test file fails if the file leaves the state of the process changed. No test may configure a library, because all test files
// share the same copies of libraries. Syncs do not wait for the disk, except in the files that test them.

import { afterAll, expect, vi } from 'vitest';
import { changedSince, picture } from './process-picture.ts';
import { makeSyncsQuick } from './quick-syncs.ts';

/** Files that test the syncs themselves, or what a sync changes: pages in memory, and the file under a loop device. */
const WITH_REAL_SYNCS = /\/backends\/(?:files\/(?:file-backend|opened-device)|io\/nowait-read)\.test\.ts$/;

// Vitest itself resets mocks and modules only before a file that has its own process.
(globalThis as unknown as { readonly __vitest_mocker__: { reset(): void } }).__vitest_mocker__.reset();
vi.resetModules();
const before = picture();

// Vitest runs these hooks in reverse order, so this first hook runs after all other hooks of the file.
afterAll(() => {
  expect(changedSince(before), 'What this file leaves changed for those that run after it').toEqual([]);
});
if (!WITH_REAL_SYNCS.test(expect.getState().testPath ?? '')) afterAll(makeSyncsQuick());
