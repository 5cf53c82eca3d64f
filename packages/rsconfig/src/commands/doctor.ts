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
  summary: 'says what is wrong, and what mends it',
  details: `Looks at the file and who can read it, addresses, cables, routes, every path to
every server (connecting, keys, round trip, packet sizes, the card that is
really used), rsiod and the system's limits. Needs no running rsiod. Exit code 1
when there is an error; warnings alone leave it at 0.`,
  options: { json: { kind: 'flag', help: 'print what was found, for programs' } },
  json: FINDINGS_SHAPE,
  run: async (context, { json }) => {
    const findings = diagnose(await gatherFacts(context));
    if (json) printJson(context, { findings });
    else context.out(formatFindings(findings));
    return findings.some(({ severity }) => severity === 'error') ? 1 : 0;
  },
});
