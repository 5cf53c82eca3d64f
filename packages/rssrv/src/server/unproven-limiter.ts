// Admission control for unproven connections: limits their number per address and in total, and delays further proofs after wrong proofs.
// Invariants: no connection is refused because of its address before its PROOF. If there is no room for a new connection, the server evicts
// the oldest connection from the same address, or the oldest of the address with the most connections. Answers to HELLO take turns. Wrong proofs for one node do not affect other nodes. A
// peer without a proof causes no event.

import type { Socket } from 'node:net';
import { type Claim, ProofLimits } from '@rsio/protocol/auth/proof-limits';
import { type Proven, type SecretLookup, ServerHandshake } from '@rsio/protocol/auth/handshake-server';
import { BufferPool } from '@rsio/base/structures/buffer-pool';
import type { Clock } from '@rsio/base/lib/clock';
import type { RsError } from '@rsio/base/lib/errors';
import { RateLimitedLog } from '@rsio/base/log/rate-limited-log';
import type { Log } from '@rsio/base/log/log';
import { sourceKey } from '@rsio/base/lib/subnet';
import { REFUSALS_LOGGED_MAX, UNPROVEN_MAX, UNPROVEN_PER_ADDRESS_MAX, UNPROVEN_POOL_BYTES } from './limits.ts';
import { SourceTurns } from './source-turns.ts';
import { UnprovenConnection } from './unproven-connection.ts';
import type { ListeningSocket } from './listening-sockets.ts';

/** A proven client, with the key text that it has proved. */
export type KeyProven = Proven & { readonly key: string };

export interface UnprovenLimiterPorts {
  readonly clock: Clock;
  readonly log: Log;
  newHandshake(): ServerHandshake;
  /** Returns the keys of a node; an empty list for an unknown node. */
  keysOf(node: string): readonly string[];
  readonly secretOf: SecretLookup;
  /** Returns the secret of the session of the node's data process, or null if this process has no session. */
  currentSecretOf(node: string, dataProcess: number): Buffer | null;
  /** Returns true if the machine that the claim names has already proved that it is the node. */
  isKnown(claim: Claim): boolean;
  /**
   * Called for a proven connection. The socket is paused, and the callee becomes the owner of the socket. `isOutdated` is true if a reload
   * since HELLO has removed the interface of the connection, or the key that the client has proved.
   */
  proven(socket: Socket, proven: KeyProven, listeningSocket: ListeningSocket, isOutdated: boolean): void;
}

export class UnprovenLimiter {
  private readonly ports: UnprovenLimiterPorts;
  private readonly limits: ProofLimits;
  /** Limits the lines about each source, so that no peer suppresses the lines about another one. */
  private readonly ofSource: RateLimitedLog;
  /** Limits all these lines together, because a peer can have many addresses. */
  private readonly ofAll: RateLimitedLog;
  private readonly turns = new SourceTurns((work) => void setImmediate(work));
  private readonly bodies = new BufferPool(UNPROVEN_POOL_BYTES);
  /** Connections by source address, oldest first. */
  private readonly bySource = new Map<string, Set<UnprovenConnection>>();
  private readonly connections = new Set<UnprovenConnection>();

  constructor(ports: UnprovenLimiterPorts) {
    this.ports = ports;
    this.limits = new ProofLimits(ports.clock, (claim) => ports.isKnown(claim));
    this.ofSource = new RateLimitedLog(ports.clock, ports.log);
    this.ofAll = new RateLimitedLog(ports.clock, ports.log, REFUSALS_LOGGED_MAX);
  }

  connected(socket: Socket, listeningSocket: ListeningSocket): void {
    const { clock, log, secretOf } = this.ports;
    const keysOf = (node: string): readonly string[] => this.ports.keysOf(node);
    const address = socket.remoteAddress ?? '';
    const source = sourceKey(address);
    // Evict the oldest connection, not the newest; otherwise, an attacker that holds every slot could lock everyone out. Honest clients
    // prove their identity quickly. If all places are taken, the source with the most connections loses one, so that a flood from several
    // addresses ends its own connections.
    const sameSource = this.bySource.get(source);
    if ((sameSource?.size ?? 0) >= UNPROVEN_PER_ADDRESS_MAX) sameSource?.values().next().value?.evict();
    if (this.connections.size >= UNPROVEN_MAX) this.largestSource()?.values().next().value?.evict();
    const { name } = listeningSocket.config;
    let keys: readonly string[] = [];
    const connection = new UnprovenConnection(socket, this.ports.newHandshake(), {
      clock,
      pool: this.bodies,
      lookup: (node) => {
        keys = keysOf(node);
        return keys.length === 0 ? null : keys;
      },
      secretOf,
      turn: (work) => this.turns.run(source, work),
      limitOf: ({ node, machine, dataProcess = 0 }) => {
        const waitMs = this.limits.waitMs({ address, node, machine });
        return waitMs > 0 ? { waitMs, livingSecret: this.ports.currentSecretOf(node, dataProcess) } : null;
      },
      proven: (proved, proven) => {
        this.remove(connection, source);
        const key = keys[proven.keyIndex] ?? '';
        const isOutdated = listeningSocket.isClosed || !keysOf(proven.hello.node).includes(key);
        this.ports.proven(proved, { ...proven, key }, listeningSocket, isOutdated);
      },
      refused: (_socket, refusal, hello) => {
        this.remove(connection, source);
        if (refusal.isFailedProof && hello !== null) this.limits.failed({ address, node: hello.node, machine: hello.machine });
        const why = `${refusal.logReason} [${refusal.code}]`;
        // Add no event: with events for refusals, any peer could push other events out of the list, and start the programs of triggers.
        const write = (): void => log.warn(`Refused ${address} on ${name}: ${why}`, { audit: refusal.isFailedProof });
        const kind = refusal.isFailedProof ? 'Wrong proofs' : 'Refused connections';
        this.ofSource.note(`${kind} from ${source}`, () => this.ofAll.note(kind, write));
      },
      dropped: (_socket, reason) => {
        this.remove(connection, source);
        log.debug(`Dropped ${address} on ${name}: ${reason}`);
      },
    });
    this.connections.add(connection);
    const set = this.bySource.get(source) ?? new Set();
    this.bySource.set(source, set.add(connection));
  }

  /** Refuses all unproven connections. */
  close(refusal: Pick<RsError, 'code'> & { readonly sentence: string }): void {
    for (const connection of [...this.connections]) connection.refuseNow(refusal);
    this.ofSource.close();
    this.ofAll.close();
  }

  private largestSource(): Set<UnprovenConnection> | undefined {
    let largest: Set<UnprovenConnection> | undefined;
    for (const set of this.bySource.values()) if (set.size > (largest?.size ?? 0)) largest = set;
    return largest;
  }

  private remove(connection: UnprovenConnection, source: string): void {
    this.connections.delete(connection);
    const sameSource = this.bySource.get(source);
    sameSource?.delete(connection);
    if (sameSource?.size === 0) this.bySource.delete(source);
  }
}
