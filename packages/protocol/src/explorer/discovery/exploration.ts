// What an exploration is asked for and what it gives: shared by those who run it (explorer.ts) and those who judge answers
// (answers.ts). Invariant: every text in it has passed the guards of the wire.

import type { RandomBytes } from '../../auth/handshake-frames.ts';
import type { Clock } from '@rsio/common/lib/clock';
import type { OfferedInterface } from './discovery-datagram.ts';
import type { DatagramPeer, DatagramSockets } from '../network/datagram-sockets.ts';
import type { Finding } from './finding.ts';

/** An interface of this machine on which is asked and heard. */
export interface ExploreLocal {
  readonly name: string;
  readonly address: string;
  /** Of its subnet (interfaces.ts); null: only targets are asked from here. */
  readonly broadcast: string | null;
}

export interface ExploreOptions {
  readonly locals: readonly ExploreLocal[];
  /** UDP port of the namespace, for broadcasts. */
  readonly port: number;
  /** Asked besides the broadcasts, from every local address of the same family. */
  readonly targets: readonly DatagramPeer[];
  /** null: requests are not signed, and answers are believed unsigned. */
  readonly namespacekey: string | null;
  /** null: all namespaces. */
  readonly namespaceid: number | null;
  readonly clock: Clock;
  readonly sockets: DatagramSockets;
  readonly random: RandomBytes;
  /** DISCOVERY_WAIT_MS when it is left out. */
  readonly durationMs?: number;
  /** Called when a server is found, and when it is heard another way. */
  readonly onFound?: (server: FoundServer) => void;
}

/** One way on which a server was heard. */
export interface Heard {
  /** Name and address of the local interface. */
  readonly local: string;
  readonly localAddress: string;
  /** Address of the server's interface that answered. */
  readonly from: string;
  /** The shortest of all answers. */
  readonly roundTripMs: number;
}

export interface FoundServer {
  readonly namespaceid: number;
  readonly namespace: string;
  readonly server: string;
  readonly serverid: number;
  readonly instance: string;
  /** Signed with the namespacekey that was given. */
  readonly isSigned: boolean;
  readonly interfaces: readonly OfferedInterface[];
  readonly heard: readonly Heard[];
}

export interface Exploration {
  /** In order of namespaceid, serverid, instance. */
  readonly servers: readonly FoundServer[];
  readonly findings: readonly Finding[];
}
