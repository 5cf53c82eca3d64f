// Six suites: unit tests beside the sources, in parallel; the worlds, which are beside the sources as well and try thousands of random or
// exhaustive cases; the simulator's seeds; tests with real processes, three files at a time (they
// mostly wait, and each has addresses and roots of its own) with longer time-outs; the conformance suite, its two sides in parallel; and
// further tests with real processes and machines, one file at a time, for which `npm test` has no time (`npm run drills`).
// All suites resolve the packages to their sources; the daemons are started from bin/, that is from the build.

import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

// Node reads and parses the certificates of NODE_EXTRA_CA_CERTS at each start, which then takes twice as long. No test needs them.
delete process.env['NODE_EXTRA_CA_CERTS'];

const conditions = ['@rsio/source'];
/** Vitest's default leaves one core free, which is half of a machine with two cores. */
const maxWorkers = '100%';
/**
 * Time limit of one test. A busy machine takes ten times as long as a quiet one. Each wait has its own bound, whose error says what did not
 * come, so that this limit is only for tests that hang.
 */
const HANGS_MS = 300_000;
/** Time limit of a test that only computes, and gives way to the tests with real processes (scripts/test.mjs). */
const STARVED_MS = 900_000;
/** Unit tests that search a space of cases, and take most of the time. */
const WORLDS = [
  'packages/*/src/**/*-{lives,random,stops}.test.ts',
  'packages/*/src/**/{any-keys,several-files}.test.ts',
  'packages/csi/src/controller/existing.test.ts',
  'packages/protocol/src/client/paths/scheduler-{links,spread}.test.ts',
  'packages/rsapp/src/decider/decide.test.ts',
  'packages/rsiod/src/network/many-servers.test.ts',
  'packages/rssrv/src/farm/engines/header-paxos.test.ts',
  'packages/rssrv/src/farm/shared-pool.test.ts',
  'packages/rssrv/src/pools/verb-table.test.ts',
  'packages/rssrv/src/replication/followers/mirror-lanes.test.ts',
  'packages/rssrv/src/replication/peers/child/pull-plan.test.ts',
];
/** Folders with tests for which `npm test` has no time. */
const DRILLS = ['test/vm/**', 'test/postgres-app/**'];
/**
 * The files that take longest, the longest first. If one of them began last, it would run alone at the end. In a fresh checkout, Vitest
 * knows no durations and begins with the files that have the most bytes.
 */
const LONGEST = [
  'sim/runner/first-seeds',
  'sim/zoo/zoo',
  'integration/servers-turmoil',
  'integration/durability',
  'integration/gate-linux',
  'integration/farm-takers',
  'integration/farm-page',
  'fuzz/runner/fixed-seeds',
  'integration/gate-linux-pair',
  'integration/chaos',
  'integration/ansible',
  'table/table',
  'integration/pools',
  'integration/hung-volume',
  'integration/block-devices',
  'integration/many-servers',
  'integration/take-over-hindered',
  'integration/keeper',
  'integration/end-and-restart',
  'integration/kill-combinations',
  'integration/take-over',
  'integration/stall',
  'integration/client-volumes',
  'integration/restore',
  'integration/join',
  'bad-input/start',
];

const unknown = LONGEST.filter((name) => !existsSync(new URL(`test/${name}.test.ts`, import.meta.url)));
if (unknown.length > 0) throw new Error(`LONGEST in vitest.config.ts names files that do not exist: ${unknown.join(', ')}`);

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const rank = ({ moduleId }: TestSpecification): number => {
      const index = LONGEST.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`));
      return index < 0 ? LONGEST.length : index;
    };
    return sorted.toSorted((a, b) => rank(a) - rank(b));
  }
}

const resolution = { resolve: { conditions }, ssr: { resolve: { conditions } } };

/** How the tests beside the sources run. */
const BESIDE_SOURCES = {
  // A separate process for each file would double the cost of the tests. unit-setup.ts keeps the files apart.
  isolate: false,
  globalSetup: ['packages/base/src/testing/unit-programs.ts'],
  setupFiles: ['packages/base/src/testing/unit-setup.ts'],
};

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        ...resolution,
        test: {
          name: 'unit',
          include: ['packages/*/src/**/*.test.ts', 'bench/**/*.test.ts', 'scripts/**/*.test.mjs'],
          exclude: ['**/node_modules/**', ...WORLDS],
          ...BESIDE_SOURCES,
          // Some of these tests wait, so that a third process uses what two leave.
          maxWorkers: Math.max(3, availableParallelism()),
          sequence: { groupOrder: 3 },
          // This limit is only for tests that hang: a busy machine may be several times slower.
          testTimeout: STARVED_MS,
          hookTimeout: STARVED_MS,
        },
      },
      {
        ...resolution,
        test: {
          name: 'worlds',
          include: WORLDS,
          ...BESIDE_SOURCES,
          maxWorkers,
          testTimeout: STARVED_MS,
          hookTimeout: STARVED_MS,
        },
      },
      {
        ...resolution,
        test: {
          name: 'sim',
          include: ['test/sim/**/*.test.ts'],
          globalSetup: ['test/sim/runner/build.ts'],
          maxWorkers,
          testTimeout: STARVED_MS,
          hookTimeout: STARVED_MS,
        },
      },
      {
        ...resolution,
        test: {
          name: 'integration',
          include: ['test/**/*.test.ts'],
          exclude: ['**/node_modules/**', 'test/dist/**', 'test/sim/**', 'test/conformance/**', ...DRILLS],
          // These tests wait more than they compute. With four files, emulated hosts lose patience; scripts/test.mjs has four where there are none.
          maxWorkers: 3,
          // A separate process for each file would load the common modules again. file-setup.ts keeps the files apart.
          isolate: false,
          setupFiles: ['test/support/file-setup.ts'],
          // Vitest runs projects with different numbers of workers one after the other.
          sequence: { groupOrder: 1 },
          testTimeout: HANGS_MS,
          hookTimeout: HANGS_MS,
        },
      },
      {
        ...resolution,
        test: {
          name: 'drills',
          include: DRILLS.map((folder) => folder.replace('**', '**/*.test.ts')),
          // An emulated machine needs a core for itself; otherwise it gives up paths that still answer.
          maxWorkers: 1,
          isolate: false,
          setupFiles: ['test/support/file-setup.ts'],
          sequence: { groupOrder: 2 },
          testTimeout: HANGS_MS,
          hookTimeout: HANGS_MS,
        },
      },
      {
        ...resolution,
        test: {
          name: 'conformance',
          include: ['test/conformance/**/*.test.ts'],
          maxWorkers,
          testTimeout: HANGS_MS,
          hookTimeout: HANGS_MS,
        },
      },
    ],
  },
});
