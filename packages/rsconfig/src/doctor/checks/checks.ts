// All checks of doctor, in the order of repair: file, machine, network, server, daemon. Each file in this folder judges facts that the files
// in gather/ have collected. Invariant: a check is pure, and a fault of one check hides no finding of another.

import { checkApplications } from './applications.ts';
import { checkDaemon } from './daemon.ts';
import { checkEncryption } from './encryption.ts';
import { checkFile, checkRights } from './file.ts';
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
import { FindingList, type Finding } from '../gather/finding.ts';
import { DOCTOR_OPEN_FILES_MIN, DOCTOR_TCP_BUFFER_MIN_BYTES } from '../../limits.ts';
import { listOf } from '../gather/naming.ts';

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

// Checks the limits of the system (open files, TCP buffers) and lists the programs that can use the NBD frontend. Invariant: a limit is
// reported only if it is too low.
function checkLimits({ daemon, system }: DoctorFacts): Finding[] {
  const findings = new FindingList('limits');
  if (daemon.openFilesMax !== null && daemon.openFilesMax < DOCTOR_OPEN_FILES_MIN) {
    const what = `rsiod may open ${daemon.openFilesMax} files: paths and NBD connections can need ${DOCTOR_OPEN_FILES_MIN}`;
    const where = daemon.view === null ? null : `/proc/${daemon.view.pid}/limits`;
    findings.warning(
      'open files',
      what,
      where,
      `raise it where rsiod is started (ulimit -n ${DOCTOR_OPEN_FILES_MIN}, LimitNOFILE=), and restart rsiod`,
    );
  }
  buffer(findings, 'send', 'net.ipv4.tcp_wmem', system.sendBufferMaxBytes, '4096 16384 4194304');
  buffer(findings, 'receive', 'net.ipv4.tcp_rmem', system.receiveBufferMaxBytes, '4096 131072 6291456');
  if (system.windowScaling === false) {
    const what = 'TCP window scaling is off: at most 64 KiB can be in flight, which slows fast links down';
    findings.warning('TCP', what, 'net.ipv4.tcp_window_scaling', 'enable it', ['sysctl -w net.ipv4.tcp_window_scaling=1']);
  }
  if (findings.list.length === 0) findings.ok('limits', 'No limit is too low');
  return findings.list;
}

function buffer(findings: FindingList, which: string, key: string, maxBytes: number | null, usual: string): void {
  if (maxBytes === null || maxBytes >= DOCTOR_TCP_BUFFER_MIN_BYTES) return;
  const what = `The TCP ${which} buffer has at most ${maxBytes} bytes: fast links need ${DOCTOR_TCP_BUFFER_MIN_BYTES} or more`;
  findings.warning('TCP', what, key, 'set the usual limits', [`sysctl -w ${key}="${usual}"`]);
}

/** Lists the programs that can use the NBD frontend. The findings only inform the user; none of them is an error or a warning. */
function checkFrontends({ daemon, system }: DoctorFacts): Finding[] {
  const findings = new FindingList('doors');
  if (daemon.view !== null && daemon.isNbdSocketThere)
    findings.ok('NBD socket', `Local programs reach volumes through ${daemon.nbdSocket}`);
  const programs =
    system.programs.length === 0 ? 'None of the usual NBD programs is installed' : `Installed are ${listOf(system.programs)}`;
  findings.ok('NBD programs', programs);
  const kernel = system.hasKernelNbd
    ? 'The kernel has NBD devices (/dev/nbd0 and up)'
    : 'The kernel has no /dev/nbd0 (modprobe nbd creates them if the module is installed)';
  findings.ok('NBD devices', kernel);
  return findings.list;
}
