// Servers and probe reports for tests of the screens. Each test supplies the
// addresses; everything else is identical for all tests.

import type { FoundServer } from '@rsio/protocol/explorer/exploration';
import type { Examination, ProbeReport } from '@rsio/protocol/explorer/probe-report';

const PORT = 5000;

/** Returns the server big-9 of namespace osl, which has answered from each of the addresses. */
export function foundServer(...addresses: readonly string[]): FoundServer {
  return {
    namespaceid: 200,
    namespace: 'osl',
    server: 'big-9',
    serverid: 1,
    instance: '00112233445566778899aabbccddeeff',
    isSigned: false,
    interfaces: addresses.map((address, index) => ({ name: `if${index + 1}`, address, port: PORT, linkMbps: null, mtuBytes: null })),
    heard: addresses.map((from) => ({ local: 'if0', localAddress: '192.168.45.20', from, roundTripMs: 0.214 })),
  };
}

/** Returns a report on a pair of interfaces. If `failure` is not null, the report says that the pair failed for this reason. */
export function probeReport(local: string, remote: string, failure: string | null = null): ProbeReport {
  return {
    candidate: {
      local: { name: local, address: '192.168.45.20', prefixLength: 24 },
      remote: { name: remote, address: remote, port: PORT },
    },
    failure,
    failureCode: failure === null ? null : 'E_UNREACHABLE',
    connectMs: 0.1,
    handshakeMs: 1,
    server: null,
    cipher: null,
    roundTripMs: failure === null ? 0.214 : null,
    readBytesPerSecond: failure === null ? 912e6 : null,
    writeBytesPerSecond: failure === null ? 850e6 : null,
    mtuBytes: failure === null ? 1500 : null,
    device: null,
    leavesBy: null,
    arrivesBy: null,
    findings: [],
  };
}

export function examination(...reports: readonly ProbeReport[]): Examination {
  return { reports, leftOut: [], findings: [] };
}
