// What is probed, with what, and what a probe tells: shared by those who run probes (probe.ts, examine.ts) and those who show them.
// Invariant: what was not measured is null, never zero.

import type { RandomBytes } from '../../auth/handshake-frames.ts';
import type { Clock } from '@rsio/common/lib/clock';
import type { ErrorCode } from '@rsio/common/lib/errors';
import type { Connector } from '../../link/path-transport.ts';
import type { ServerInterface } from '../../wire/messages.ts';
import type { LeftOut } from '../network/candidates.ts';
import type { DatagramSockets } from '../network/datagram-sockets.ts';
import type { Finding } from '../discovery/finding.ts';
import type { ByteCounters, MachineInterface } from '../network/interfaces.ts';

export interface ProbeLocal {
  readonly name: string;
  readonly address: string;
  /** Of its subnet; null: not known. */
  readonly prefixLength: number | null;
}

export interface ProbeRemote {
  /** As the server, or the configuration, calls it. */
  readonly name: string;
  readonly address: string;
  readonly port: number;
}

export interface ProbeCandidate {
  readonly local: ProbeLocal;
  readonly remote: ProbeRemote;
}

/** What is needed for a whole handshake; `serverkey` null: none is set. */
export interface ProbeLogin {
  readonly nodename: string;
  readonly nodekey: string;
  readonly serverkey: string | null;
}

/** What the server must be; a field that is null is not looked at. */
export interface ProbeExpectation {
  readonly namespaceid: number | null;
  readonly serverid: number | null;
  /**
   * True where nobody but a discovery datagram names the address: after its proof the server must name it, too. Somebody who passes on all that is said
   * is proved with the server's own words, and would read and write along on such a path.
   */
  readonly isNamed?: boolean;
}

export interface ProbePorts {
  readonly connector: Connector;
  readonly clock: Clock;
  readonly random: RandomBytes;
  /** null: MTU is not measured. */
  readonly sockets: DatagramSockets | null;
  /** Of namespacekey, for the MTU's discovery datagrams. */
  readonly namespacekey: string | null;
  /** This machine's interfaces, and the counters of all its devices by name. */
  readonly machine: readonly MachineInterface[];
  readonly counters: () => ReadonlyMap<string, ByteCounters>;
}

export interface ProbedServer {
  readonly server: string;
  readonly serverid: number;
  readonly instance: string;
  /** It knows the keys; false: without login data nothing was proved. */
  readonly isProved: boolean;
  /** All of them, as its WELCOME says; null: not proved. */
  readonly interfaces: readonly ServerInterface[] | null;
}

export interface ProbeReport {
  readonly candidate: ProbeCandidate;
  /** Why the candidate cannot be a path; null: it can, as far as was looked. */
  readonly failure: string | null;
  /**
   * Of what kind the failure is, for remedies: E_UNREACHABLE (TCP did not connect), E_TIMEOUT (connected, no answer), E_RESET, what a
   * REFUSE or the handshake said (E_AUTH, E_NAMESPACE, E_VERSION, E_LIMIT, ...), E_PROTOCOL; null exactly when `failure` is.
   */
  readonly failureCode: ErrorCode | null;
  /** How long TCP took to connect; null: it did not. */
  readonly connectMs: number | null;
  /** From there to CHALLENGE, or with login data to WELCOME; null: not so far. */
  readonly handshakeMs: number | null;
  readonly server: ProbedServer | null;
  /** Best of several. */
  readonly roundTripMs: number | null;
  readonly readBytesPerSecond: number | null;
  readonly writeBytesPerSecond: number | null;
  /** Largest MTU of which it was shown that it goes through. */
  readonly mtuBytes: number | null;
  /** Device that has the local address; null: this machine does not have it. */
  readonly device: string | null;
  /** Device by which the data really left, and by which it came; null: not known (no login, same machine, counters that say nothing). */
  readonly leavesBy: string | null;
  readonly arrivesBy: string | null;
  readonly findings: readonly Finding[];
}

export interface Examination {
  readonly reports: readonly ProbeReport[];
  /** What no candidate was made of, and why. */
  readonly leftOut: readonly LeftOut<ProbeLocal, ProbeRemote>[];
  readonly findings: readonly Finding[];
}
