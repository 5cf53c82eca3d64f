// `doctor`: looks at the file, the machine, each path and the daemon, and says what is wrong, where, and what mends it.
// What is known is gathered by gather/gather.ts and judged by doctor/checks.ts. Invariant: exit code 1 exactly when there is an error.

import { defineCommand } from '../cli/command.ts';
import { diagnose } from './checks.ts';
import { gatherFacts } from './gather/gather.ts';
import { formatFindings } from './report.ts';
import { FINDINGS_SHAPE } from '../cli/json-shapes.ts';
import { printJson } from '../cli/command-context.ts';

export const DOCTOR = defineCommand({
  call: { by: 'words', words: 'doctor' },
  synopsis: 'doctor',
  summary: 'finds faults and names the remedy for each',
  details: `Checks the file and its permissions, addresses, cables, routes, rsiod, system
limits, and every path to every server: connection, keys, round trip, packet
sizes, and the network card in actual use. rsiod need not be running. The exit
code is 1 if there is an error; warnings alone leave it at 0.`,
  options: { json: { kind: 'flag', help: 'print the findings as JSON' } },
  json: FINDINGS_SHAPE,
  run: async (context, { json }) => {
    const findings = diagnose(await gatherFacts(context));
    if (json) printJson(context, { findings });
    else context.out(formatFindings(findings));
    return findings.some(({ severity }) => severity === 'error') ? 1 : 0;
  },
});
