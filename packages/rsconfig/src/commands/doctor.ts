// Implements `doctor`, which examines the file, the machine, each path and the daemon, and reports each fault with its location and remedy.
// The files in gather/ collect the facts, and the files in checks/ judge the facts in the order of repair: file, machine, network, server,
// daemon. Invariant: the exit code is 1 if and only if there is an error.

import { printJson } from '@rsio/common/cli/command';
import { defineCommand } from '../cli/context.ts';
import { FINDINGS_SHAPE } from '../cli/json-shapes.ts';
import { checkDaemon } from '../doctor/checks/daemon.ts';
import { checkEncryption } from '../doctor/checks/encryption.ts';
import { checkFile, checkRights } from '../doctor/checks/file.ts';
import { checkInterfaces } from '../doctor/checks/interfaces.ts';
import { checkMirrors } from '../doctor/checks/mirrors.ts';
import { checkProof } from '../doctor/checks/authentication.ts';
import { checkReach } from '../doctor/checks/reach.ts';
import { checkRoutes } from '../doctor/checks/routes.ts';
import { checkFrontends, checkLimits } from '../doctor/checks/system.ts';
import { checkUpkeep } from '../doctor/checks/upkeep.ts';
import { checkVolumes } from '../doctor/checks/volumes.ts';
import { checkWire } from '../doctor/checks/packet-sizes.ts';
import type { DoctorFacts } from '../doctor/gather/facts.ts';
import { type Finding, formatFindings } from '../doctor/gather/finding.ts';
import { gatherFacts } from '../doctor/gather/gather.ts';

export const DOCTOR = defineCommand({
  call: { by: 'words', words: 'doctor' },
  synopsis: 'doctor',
  summary: 'finds faults and names the remedy for each fault',
  details: `Checks rscltcfg and its permissions, addresses, cables, routes, rsiod and system
limits, the releases and clocks of the servers, free space for state and logs,
and the certificate of rsweb. On every path to every server, checks the
connection, the keys, the encryption, the round trip, packet sizes, and which
network card the data actually uses. The checks do not need a running rsiod. The
exit code is 1 if the command finds an error, and 0 if it finds only warnings.`,
  options: { json: { kind: 'flag', help: 'print the findings as JSON' } },
  json: FINDINGS_SHAPE,
  run: async (context, { json }) => {
    const findings = diagnose(await gatherFacts(context));
    if (json) printJson(context, { findings });
    else context.out(formatFindings(findings));
    return findings.some(({ severity }) => severity === 'error') ? 1 : 0;
  },
});

const CHECKS: readonly ((facts: DoctorFacts) => Finding[])[] = [
  checkFile,
  checkRights,
  checkInterfaces,
  checkReach,
  checkProof,
  checkEncryption,
  checkRoutes,
  checkWire,
  checkDaemon,
  checkVolumes,
  checkMirrors,
  checkUpkeep,
  checkLimits,
  checkFrontends,
];

export function diagnose(facts: DoctorFacts): Finding[] {
  return CHECKS.flatMap((check) => check(facts));
}
