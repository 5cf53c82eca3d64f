// `npm run drill -- iscsi-suite`: runs the whole suite of libiscsi against an iSCSI gate with a mirror behind it, and against one whose paths to the
// server are reset each second. gate-iscsi-suite.test.ts runs parts of the suite. Invariant: the exit code is 0 if and only if no test
// failed, and only tests that may be skipped were skipped.

import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { Hosts } from '../support/hosts/hosts.ts';
import { cutSite, mirrorSite, runSuite } from '../support/scenes/iscsi-suite.ts';

const HELP = `usage: npm run drill -- iscsi-suite [--behind mirror|cuts] [--tests FAMILY.SUITE.TEST]

Runs iscsi-test-cu (Debian package libiscsi-bin), by default all of it, at a gate with a mirror behind it, then at a gate whose two paths are
reset in turn, one each second. As root, because ss -K needs it.
`;
const SUITE_MS = 1_200_000;
const SITES = { mirror: mirrorSite, cuts: cutSite } as const;

async function play(behind: keyof typeof SITES, families: readonly string[]): Promise<boolean> {
  const hosts = new Hosts();
  try {
    const site = await SITES[behind](hosts);
    let isGood = true;
    for (const family of families) {
      const startMs = performance.now();
      const { total, passed, failed, reports, skipped } = await runSuite(site, family, SUITE_MS);
      const seconds = ((performance.now() - startMs) / 1000).toFixed(0);
      console.log(`${behind}: ${family}: ${total} tests, ${passed} passed, ${failed} failed, in ${seconds} s, ${site.cuts()} paths reset`);
      for (const line of [...reports, ...skipped]) console.log(`  ${line}`);
      isGood &&= total > 0 && failed === 0 && skipped.length === 0;
    }
    await site.end();
    return isGood;
  } finally {
    await hosts.clean();
  }
}

const { values } = parseArgs({ options: { behind: { type: 'string' }, tests: { type: 'string' }, help: { type: 'boolean' } } });
if (values.help === true) process.stdout.write(HELP);
else {
  console.log(`load ${loadavg()[0]?.toFixed(1)}`);
  for (const behind of ['mirror', 'cuts'] as const) {
    if (values.behind !== undefined && values.behind !== behind) continue;
    if (!(await play(behind, values.tests === undefined ? ['SCSI', 'iSCSI'] : [values.tests]))) process.exitCode = 1;
  }
}
