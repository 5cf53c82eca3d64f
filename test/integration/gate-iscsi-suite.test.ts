// Runs parts of the suite of libiscsi against gates with something unsteady behind them: a mirror, and paths that are reset each second.
// Initiators see no error. `npm run drill -- iscsi-suite` runs the whole suite. Rules: G40.

import { expect, it } from 'vitest';
import { needPrograms } from '@rsio/base/testing/needs';
import { useHosts } from '../support/hosts/hosts.ts';
import { cutSite, mirrorSite, runSuite } from '../support/scenes/iscsi-suite.ts';

const SUITE_MS = 240_000;
/** Tests that take little time: writes of all sizes, copies that the gate makes, data in parts, and commands that are aborted. */
const TESTS = ['SCSI.Write16', 'SCSI.ExtendedCopy', 'iSCSI.iSCSIResiduals', 'iSCSI.iSCSITMF'];

const hosts = useHosts();

it.for([
  ['a mirror', mirrorSite],
  ['paths that are reset each second', cutSite],
] as const)('initiators see no error at a gate with %s behind it', { timeout: SUITE_MS }, async ([, begin], context) => {
  needPrograms(context, 'iscsi-test-cu', 'perl');
  const site = await begin(hosts);
  for (const tests of TESTS) {
    const { total, passed, failed, reports, skipped } = await runSuite(site, tests, SUITE_MS);
    expect({ tests, failed, reports, skipped }).toEqual({ tests, failed: 0, reports: [], skipped: [] });
    expect([total > 0, passed]).toEqual([true, total]);
  }
  if (begin === cutSite) expect(site.cuts()).toBeGreaterThan(0);
  await site.end();
});
