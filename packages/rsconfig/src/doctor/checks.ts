// All checks, in the order in which a person mends: the file first, then this machine, the way, the server, the daemon.
// Leaves gathering to gather.ts and printing to report.ts.

import { checkDaemon } from './checks/daemon.ts';
import { checkFile, checkRights } from './checks/file.ts';
import { checkInterfaces } from './checks/interfaces.ts';
import { checkProof } from './checks/proof.ts';
import { checkReach } from './checks/reach.ts';
import { checkRoutes } from './checks/routes.ts';
import { checkDoors, checkLimits } from './checks/system.ts';
import { checkVolumes } from './checks/volumes.ts';
import { checkWire } from './checks/wire.ts';
import type { DoctorFacts } from './facts/facts.ts';
import type { Finding } from './facts/finding.ts';

const CHECKS: readonly ((facts: DoctorFacts) => Finding[])[] = [
  checkFile,
  checkRights,
  checkInterfaces,
  checkReach,
  checkProof,
  checkRoutes,
  checkWire,
  checkDaemon,
  checkVolumes,
  checkLimits,
  checkDoors,
];

export function diagnose(facts: DoctorFacts): Finding[] {
  return CHECKS.flatMap((check) => check(facts));
}
