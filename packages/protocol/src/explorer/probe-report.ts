// Input and output types of probes, shared by probe.ts and examine.ts, which run them, and by the code that displays reports. Invariant: a
// value that was not measured is null, never zero.

import type { RandomBytes } from '../auth/handshake-frames.ts';
import type { Clock } from '@rsio/base/lib/clock';
import type { ErrorCode, RsError } from '@rsio/base/lib/errors';
import type { Connector } from '../link/path-transport.ts';
import type { ServerInterface } from '../wire/messages.ts';
import type { LeftOut } from './candidates.ts';
import type { DatagramSockets } from './datagram-sockets.ts';
import type { Finding } from './finding.ts';
import type { ByteCounters, MachineInterface } from './interfaces.ts';

export interface ProbeLocal {
  readonly name: string;
  readonly address: string;
  readonly prefixLength: number | null;
}

export interface ProbeRemote {
  /** The server's name for the interface, or the name in the configuration. */
  readonly name: string;
  readonly address: string;
  readonly port: number;
}

export interface ProbeCandidate {
  readonly local: ProbeLocal;
  readonly remote: ProbeRemote;
}

export interface ProbeLogin {
  readonly nodename: string;
  readonly nodekey: string;
  readonly serverkey: string | null;
  /** True if the probe insists on TLS. Default: false. */
  readonly tls?: boolean;
  /**
   * Refusals of the key, by the instance of the server. Each probe adds to it. A server that has refused the key is not sent it again,
   * because a server delays a node after too many wrong proofs; the other servers are.
   */
  readonly refusals?: Map<string, RsError>;
}

/** Properties that the server must have. A field that is null is not checked. */
export interface ProbeExpectation {
  readonly namespaceid: number | null;
  readonly serverid: number | null;
  /**
   * True if the address is known only from a discovery datagram. If `isNamed` is true, the authenticated server must itself list the
   * address. Without this check, a machine that relays all traffic could pass as the server, and could read and modify the data.
   */
  readonly isNamed?: boolean;
}

export interface ProbePorts {
  readonly connector: Connector;
  readonly clock: Clock;
  readonly random: RandomBytes;
  /** Sockets for measuring the MTU; null if the MTU is not measured. */
  readonly sockets: DatagramSockets | null;
  readonly namespacekey: string | null;
  /** `counters` returns the byte counters of every device, by device name. */
  readonly machine: readonly MachineInterface[];
  readonly counters: () => ReadonlyMap<string, ByteCounters>;
}

export interface ProbedServer {
  readonly server: string;
  readonly serverid: number;
  readonly instance: string;
  /** True if the server proved that it knows the keys. False without login data. */
  readonly isProved: boolean;
  /** All interfaces of the server, as listed in WELCOME; null if the server did not authenticate. */
  readonly interfaces: readonly ServerInterface[] | null;
  /** Which of two keys of the node the server has accepted; null: the node has one key there, the server did not say, or no key was proved. */
  readonly keyUsed: 'old' | 'new' | null;
  /** By how much the clock of the server is ahead of the clock of this machine; null: the server did not say. */
  readonly clockOffMs: number | null;
}

export interface ProbeReport {
  readonly candidate: ProbeCandidate;
  /** Reason why the candidate cannot be a path; null if every check has passed. */
  readonly failure: string | null;
  /**
   * Kind of the failure, which selects a remedy: E_UNREACHABLE (TCP did not connect), E_TIMEOUT (no answer), E_RESET, E_PROTOCOL, or the
   * code from a REFUSE or the handshake. The code is null exactly when `failure` is null.
   */
  readonly failureCode: ErrorCode | null;
  /** Time until the TCP connection was established; null if TCP did not connect. */
  readonly connectMs: number | null;
  /** Time from the TCP connection to WELCOME or, without WELCOME, to CHALLENGE; null if the server sent neither frame. */
  readonly handshakeMs: number | null;
  readonly server: ProbedServer | null;
  /** Cipher suite of TLS; null if the connection was plain or not proved. */
  readonly cipher: string | null;
  /** Shortest of several round trips. */
  readonly roundTripMs: number | null;
  readonly readBytesPerSecond: number | null;
  readonly writeBytesPerSecond: number | null;
  /** Largest MTU for which a datagram was answered. */
  readonly mtuBytes: number | null;
  /** Device that has the local address; null if this machine does not have the address. */
  readonly device: string | null;
  /**
   * Devices through which the data really left and arrived. Null without login data, for a server on this machine, or if the counters are
   * inconclusive.
   */
  readonly leavesBy: string | null;
  readonly arrivesBy: string | null;
  readonly findings: readonly Finding[];
}

export interface Examination {
  readonly reports: readonly ProbeReport[];
  readonly leftOut: readonly LeftOut<ProbeLocal, ProbeRemote>[];
  readonly findings: readonly Finding[];
}
