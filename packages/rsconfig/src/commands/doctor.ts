// Implements `doctor`, which examines the file, the machine, each path and the daemon, and reports each fault with its location and remedy.
// The files in gather/ collect the facts, and the files in checks/ judge the facts in the order of repair: file, machine, network, server,
// daemon. Invariant: the exit code is 1 if and only if there is an error.

import { printJson } from '@rsio/common/cli/command';
import { defineCommand } from '../cli/context.ts';
import { FINDINGS_SHAPE } from '../cli/json-shapes.ts';
import { formatFindings } from '../doctor/gather/finding.ts';

export const DOCTOR = defineCommand({
  call: { by: 'words', words: 'doctor' },
  synopsis: 'doctor',
  summary: 'finds faults and names the remedy for each fault',
  details: `Checks rscltcfg and its permissions, addresses, cables, routes, rsiod and system
limits, attached volumes whose stall is too short for a farm, the releases and
clocks of the servers, free space for state and logs, and the certificate of
rsweb. On every path to every server, checks the
connection, the keys, the encryption, the round trip, packet sizes, and which
network card the data actually uses. The checks do not need a running rsiod. The
exit code is 1 if the command finds an error, and 0 if it finds only warnings.`,
  options: { json: { kind: 'flag', help: 'print the findings as JSON' } },
  json: FINDINGS_SHAPE,
  run: async (context, { json }) => {
    // Only this command loads these modules. Loading them, with the protocol modules that they import, takes a tenth of a command's start
    // time.
    const [{ gatherFacts }, { diagnose }] = await Promise.all([import('../doctor/gather/gather.ts'), import('../doctor/checks/checks.ts')]);
    const findings = diagnose(await gatherFacts(context));
    if (json) printJson(context, { findings });
    else context.out(formatFindings(findings));
    return findings.some(({ severity }) => severity === 'error') ? 1 : 0;
  },
});
