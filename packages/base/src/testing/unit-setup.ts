// Runs before each file of unit tests. One process runs many test files, which saves time. Each file gets fresh copies of the project's
// modules. A test file fails if the file leaves the state of the process changed. No test may configure a library, because all test files
// share the same copies of libraries. Syncs do not wait for the disk, except in the files that test them. A test can start only Node, the
// coreutils and the programs that it names (needs.ts). A `vi.waitFor` without its own time limit waits for WAIT_MS.

import { rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { afterAll, afterEach, expect, inject, vi } from 'vitest';
import { FileChanges } from './file-changes.ts';
import { MACHINE_PATH_VARIABLE } from './needs.ts';
import { changedSince, picture } from './process-picture.ts';
import { makeFilesQuick } from './quick-files.ts';
import { makeSyncsQuick } from './quick-syncs.ts';

/** Files that test syncs, or effects of a sync on pages in memory or on the file below a loop device. */
const WITH_REAL_SYNCS = /\/storage\/(?:files\/(?:file-backend|opened-device)|io\/nowait-read)\.test\.ts$/;

/** Test files of code above the file system. Most of these tests simulate a stop at each call. */
const WITH_QUICK_FILES =
  /\/rssrv\/src\/(?:jobs\/(?:copies|images|moves)|mirrors(?=\/replica-snapshots)|pools|snapshots|volumes\/holds)\/(?!bridge|make-pool|moment|reads|requests|schedules|volume-imports)[^]*\.test\.ts$/;

/** Time limit of a `vi.waitFor`. The default of Vitest, one second, may be too short on a busy machine. */
const WAIT_MS = 30_000;
const PATIENT = Symbol.for('rsio.patient-waits');

if (!Object.hasOwn(vi, PATIENT)) {
  const { waitFor } = vi;
  Object.assign(vi, {
    [PATIENT]: true,
    waitFor: (...[callback, options = WAIT_MS]: Parameters<typeof waitFor>) => waitFor(callback, options),
  });
}

// Vitest itself resets mocks and modules only before a file that has its own process.
(globalThis as unknown as { readonly __vitest_mocker__: { reset(): void } }).__vitest_mocker__.reset();
vi.resetModules();
const changes = new FileChanges(globalThis);
// The hooks of the last file may not have run.
changes.end();
const { folder, machinePath } = inject('programs');
const named = join(folder, String(process.pid));
process.env[MACHINE_PATH_VARIABLE] = machinePath;
process.env['PATH'] = [named, join(folder, 'bare')].join(delimiter);
const before = picture();

// Vitest runs these hooks in reverse order, so this first hook runs after all other hooks of the file.
afterAll(() => {
  expect(changedSince(before), 'What this file leaves changed for those that run after it').toEqual([]);
});
afterEach(() => rmSync(named, { recursive: true, force: true }));
const testPath = expect.getState().testPath ?? '';
afterAll(() => changes.end());
if (WITH_QUICK_FILES.test(testPath)) changes.make(makeFilesQuick);
if (!WITH_REAL_SYNCS.test(testPath)) changes.make(makeSyncsQuick);
