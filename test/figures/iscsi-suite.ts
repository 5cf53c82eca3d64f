// `npm run drill -- iscsi-suite`: runs the whole suite of libiscsi against an iSCSI gate with a mirror behind it, and against one whose paths to the
// server are reset each second. gate-iscsi-suite.test.ts runs parts of the suite. Invariant: it is a problem if a test
// failed, or was skipped without a reason that is known.

import { defineDrill } from '../support/drills/harness.ts';
import { program, ROOT_USER } from '../support/drills/needs.ts';
import { choice, optional, text } from '../support/drills/options.ts';
import type { Scene } from '../support/drills/scene.ts';
import type { Hosts } from '../support/hosts/hosts.ts';
import { cutSite, mirrorSite, runSuite } from '../support/scenes/iscsi-suite.ts';

const SUITE_MS = 1_200_000;
const SITES = { mirror: mirrorSite, cuts: cutSite } as const;
const BEHIND = ['mirror', 'cuts'] as const;

async function play(scene: Scene, hosts: Hosts, behind: keyof typeof SITES, families: readonly string[]): Promise<void> {
  const site = await SITES[behind](hosts);
  for (const family of families) {
    scene.round(`${behind}: ${family}`);
    const startMs = performance.now();
    const { total, passed, failed, reports, skipped } = await runSuite(site, family, SUITE_MS);
    const seconds = ((performance.now() - startMs) / 1000).toFixed(0);
    scene.say(`${behind}: ${family}: ${total} tests, ${passed} passed, ${failed} failed, in ${seconds} s, ${site.cuts()} paths reset`);
    for (const line of [...reports, ...skipped]) scene.say(`  ${line}`);
    if (total === 0 || failed > 0 || skipped.length > 0)
      scene.problem(`${failed} of ${total} tests failed, and ${skipped.length} were skipped that must run`);
  }
  await site.end();
}

export const drill = defineDrill({
  about: `Runs iscsi-test-cu, by default all of it, at a gate with a mirror behind it, then at a gate whose two paths are reset in turn, one each
    second.`,
  needs: [ROOT_USER, program('iscsi-test-cu', 'libiscsi-bin')],
  unit: 'suites',
  endsAtOnce: true,
  options: {
    behind: optional(choice('SITE', BEHIND, 'only the gate with this behind it', 'mirror')),
    tests: optional(text('FAMILY.SUITE.TEST', 'SCSI', 'only these tests')),
  },
  async play(scene, { behind, tests }) {
    for (const one of BEHIND)
      if (behind === null || behind === one)
        await scene.attempt((hosts) => play(scene, hosts, one, tests === null ? ['SCSI', 'iSCSI'] : [tests]));
  },
});
