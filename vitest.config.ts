// Four suites: unit tests beside the sources, in parallel; the simulator's seeds; tests with real processes, three files at a time (they
// mostly wait, and each has addresses and roots of its own) with longer time-outs; and the conformance suite, its two sides in parallel.
// All resolve the packages to their sources; the daemons are started from bin/, that is from the build.

import { defineConfig } from 'vitest/config';

const conditions = ['@rsio/source'];
/** The default leaves a core free: half of a machine with two. */
const maxWorkers = '100%';
const resolution = { resolve: { conditions }, ssr: { resolve: { conditions } } };

export default defineConfig({
  test: {
    projects: [
      {
        ...resolution,
        test: {
          name: 'unit',
          include: ['packages/*/src/**/*.test.ts', 'bench/**/*.test.ts', 'scripts/**/*.test.mjs'],
          maxWorkers,
          // A process for each file costs as much again as their tests: unit-setup.ts keeps them apart.
          isolate: false,
          setupFiles: ['packages/common/src/testing/unit-setup.ts'],
          testTimeout: 20_000,
          hookTimeout: 20_000,
        },
      },
      {
        ...resolution,
        test: {
          name: 'sim',
          include: ['test/sim/**/*.test.ts'],
          globalSetup: ['test/sim/runner/build.ts'],
          maxWorkers,
          testTimeout: 300_000,
        },
      },
      {
        ...resolution,
        test: {
          name: 'integration',
          include: ['test/**/*.test.ts'],
          exclude: ['**/node_modules/**', 'test/dist/**', 'test/sim/**', 'test/conformance/**'],
          // They wait more than they work.
          maxWorkers: 3,
          // Projects with other numbers of workers run one after the other.
          sequence: { groupOrder: 1 },
          // What is waited for has a bound of its own, which says what did not come: these are only for what hangs.
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
      {
        ...resolution,
        test: {
          name: 'conformance',
          include: ['test/conformance/**/*.test.ts'],
          maxWorkers,
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
});
