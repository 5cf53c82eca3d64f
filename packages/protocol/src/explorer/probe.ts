// Probes one candidate path: reach, handshake, round trip, rate, MTU, and the device by which the data really goes.

import { RsError } from '../lib/errors.ts';
import type { ProbeCandidate, ProbeExpectation, ProbeLogin, ProbePorts, ProbeReport } from './probe-report.ts';

/** Never rejects for what the network or the server does: that is the report's `failure`. Without login data nothing behind CHALLENGE. */
export function probeCandidate(
  candidate: ProbeCandidate,
  login: ProbeLogin | null,
  expected: ProbeExpectation,
  ports: ProbePorts,
): Promise<ProbeReport> {
  const { local, remote } = candidate;
  const what = `${login === null ? 'without' : 'with'} login, serverid ${expected.serverid}, ${ports.machine.length} addresses`;
  return Promise.reject(new RsError('E_NOT_BUILT', `Probing ${local.name} -> ${remote.address} (${what}) is not in this version`));
}
