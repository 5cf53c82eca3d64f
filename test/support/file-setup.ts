// Runs before each file of the tests with real processes. Only three processes run all these files, because loading the common modules of
// the files takes each process most of a second. A test file fails if it changes the environment, folder, umask or rights of its process
// and does not restore them. Other state of the process is not checked, because libraries such as Playwright change it. useHosts cleans up
// outside of the process.

import { changedSince, picture } from '@rsio/base/testing/process-picture';
import { afterAll, expect } from 'vitest';

const WATCHED = /^(?:process\.env\..*|folder|mask|rights)$/;

const before = picture();

// Vitest runs `afterAll` hooks in reverse order, so that this hook, the first one, runs after all others of the file.
afterAll(() => {
  const changed = changedSince(before).filter((name) => WATCHED.test(name));
  expect(changed, 'What this file leaves changed for those that run after it').toEqual([]);
});
