// What the system allows and offers: open files, TCP buffers, and programs that can use a volume's door.
// Invariant: a bound is a finding only where it hurts.

import { DOCTOR_OPEN_FILES_MIN, DOCTOR_TCP_BUFFER_MIN_BYTES } from '../../cli/limits.ts';
import type { DoctorFacts } from '../facts/facts.ts';
import { type Finding, FindingList } from '../facts/finding.ts';
import { listOf } from '../facts/words.ts';

export function checkLimits({ daemon, system }: DoctorFacts): Finding[] {
  const findings = new FindingList('limits');
  if (daemon.openFilesMax !== null && daemon.openFilesMax < DOCTOR_OPEN_FILES_MIN) {
    const what = `rsiod may have ${daemon.openFilesMax} files open: paths and NBD connections can need ${DOCTOR_OPEN_FILES_MIN}`;
    const where = daemon.view === null ? null : `/proc/${daemon.view.pid}/limits`;
    findings.warning(
      'open files',
      what,
      where,
      `raise it where rsiod is started (ulimit -n ${DOCTOR_OPEN_FILES_MIN}, LimitNOFILE=), restart rsiod`,
    );
  }
  buffer(findings, 'send', 'net.ipv4.tcp_wmem', system.sendBufferMaxBytes, '4096 16384 4194304');
  buffer(findings, 'receive', 'net.ipv4.tcp_rmem', system.receiveBufferMaxBytes, '4096 131072 6291456');
  if (system.windowScaling === false) {
    const what = 'TCP window scaling is off: no more than 64 KiB can be on the way, which halts fast links';
    findings.warning('TCP', what, 'net.ipv4.tcp_window_scaling', 'switch it on', ['sysctl -w net.ipv4.tcp_window_scaling=1']);
  }
  if (findings.list.length === 0) findings.ok('limits', 'None of them hurts');
  return findings.list;
}

function buffer(findings: FindingList, which: string, key: string, maxBytes: number | null, usual: string): void {
  if (maxBytes === null || maxBytes >= DOCTOR_TCP_BUFFER_MIN_BYTES) return;
  const what = `TCP may ${which} at most ${maxBytes} bytes ahead: fast links need ${DOCTOR_TCP_BUFFER_MIN_BYTES} and more`;
  findings.warning('TCP', what, key, 'set the usual bounds', [`sysctl -w ${key}="${usual}"`]);
}

/** Information: there is nothing to be wrong with. */
export function checkDoors({ daemon, system }: DoctorFacts): Finding[] {
  const findings = new FindingList('doors');
  if (daemon.view !== null && daemon.isNbdSocketThere) findings.ok('NBD socket', `Local programs reach volumes by ${daemon.nbdSocket}`);
  const programs =
    system.programs.length === 0 ? 'None of the usual NBD programs is installed' : `Installed are ${listOf(system.programs)}`;
  findings.ok('NBD programs', programs);
  const kernel = system.hasKernelNbd
    ? 'The kernel has /dev/nbd0 and its like'
    : 'The kernel has no /dev/nbd0 (modprobe nbd makes them, where it has the module)';
  findings.ok('NBD devices', kernel);
  return findings.list;
}
