// Input and output types of an exploration, shared by explorer.ts, which runs it, and answers.ts, which judges the answers. Invariant:
// every text from a peer has passed the guards of the protocol (wire/guards.ts).

import type { RandomBytes } from '../auth/handshake-frames.ts';
import type { Clock } from '@rsio/base/lib/clock';
import type { OfferedInterface } from './discovery-datagram.ts';
import type { DatagramPeer, DatagramSockets } from './datagram-sockets.ts';
import type { Finding } from './finding.ts';

export interface ExploreLocal {
  readonly name: string;
  readonly address: string;
  /** Broadcast address of the interface's subnet (interfaces.ts); null if the interface sends requests only to the `targets`. */
  readonly broadcast: string | null;
}

export interface ExploreOptions {
  readonly locals: readonly ExploreLocal[];
  /** UDP port of the namespace, used for broadcasts. */
  readonly port: number;
  /**
   * Addresses to which requests are sent in addition to the broadcasts. Requests to a target are sent from every local address of the same
   * family.
   */
  readonly targets: readonly DatagramPeer[];
  /** Key that signs requests and answers; null if requests are unsigned and unsigned answers are accepted. */
  readonly namespacekey: string | null;
  /** Namespace to explore; null for all namespaces. */
  readonly namespaceid: number | null;
  readonly clock: Clock;
  readonly sockets: DatagramSockets;
  readonly random: RandomBytes;
  /** Duration of the exploration; DISCOVERY_WAIT_MS by default. */
  readonly durationMs?: number;
  /** Called when a server is found, and again whenever the server answers over a further pair of addresses. */
  readonly onFound?: (server: FoundServer) => void;
}

/** A pair of addresses over which a server answered. */
export interface Heard {
  readonly local: string;
  readonly localAddress: string;
  /** Address of the server's interface that answered. */
  readonly from: string;
  /** Shortest round trip of all answers over this pair. */
  readonly roundTripMs: number;
}

export interface FoundServer {
  readonly namespaceid: number;
  readonly namespace: string;
  readonly server: string;
  readonly serverid: number;
  readonly instance: string;
  /** True if the answers were signed with the given namespacekey. */
  readonly isSigned: boolean;
  readonly interfaces: readonly OfferedInterface[];
  readonly heard: readonly Heard[];
}

export interface Exploration {
  /** The servers found, sorted by namespaceid, serverid and instance. */
  readonly servers: readonly FoundServer[];
  readonly findings: readonly Finding[];
}
