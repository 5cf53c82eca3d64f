// All checks of doctor, in the order of repair: file, machine, network, server, daemon. Each file in this folder judges facts that the files
// in gather/ have collected. Invariant: a check is pure, and a fault of one check hides no finding of another.

import { checkApplications } from './applications.ts';
import { checkDaemon } from './daemon.ts';
import { checkEncryption } from './encryption.ts';
import { checkFile, checkRights } from './file.ts';
import { checkFrontends, checkLimits } from './system.ts';
import { checkGates } from './gates.ts';
import { checkInterfaces } from './interfaces.ts';
import { checkMirrors } from './mirrors.ts';
import { checkProof } from './authentication.ts';
import { checkReach } from './reach.ts';
import { checkRoutes } from './routes.ts';
import { checkServers } from './servers.ts';
import { checkUpkeep } from './upkeep.ts';
import { checkVolumes } from './volumes.ts';
import { checkWire } from './packet-sizes.ts';
import type { DoctorFacts } from '../gather/facts.ts';
import type { Finding } from '../gather/finding.ts';

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
  checkServers,
  checkGates,
  checkApplications,
  checkUpkeep,
  checkLimits,
  checkFrontends,
];

export function diagnose(facts: DoctorFacts): Finding[] {
  return CHECKS.flatMap((check) => check(facts));
}
