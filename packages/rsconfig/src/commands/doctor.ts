// `doctor`: looks at the file, the machine, each path and the daemon, and says what is wrong, where, and what mends it.
// What is known is gathered by doctor/gather.ts and judged by doctor/checks.ts. Invariant: exit code 1 exactly when there is an error.

import { defineCommand } from '../command.ts';
import { diagnose } from '../doctor/checks.ts';
import { gatherFacts } from '../doctor/gather.ts';
import { formatFindings } from '../doctor/report.ts';
import { FINDINGS_SHAPE } from '../json-shapes.ts';
import { printJson } from './command-context.ts';

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
