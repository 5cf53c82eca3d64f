// Executes the order to grow a replica (M21). The replica's server grows the volume, and the attachment gets the new size from the server's
// list. A server that does not answer is asked again until the mirror gives the replica up. Invariants: a replica is reported as grown only
// if the server has stored the new size and accepts I/O up to it. Nothing is reported about a session that was dropped.

import type { Clock, Timer } from '@rsio/base/lib/clock';
import { type ErrorCode, toRsError } from '@rsio/base/lib/errors';
import type { Attachment } from '@rsio/protocol/client/attachment';
import type { DriverServer } from './driver-ports.ts';
import { GROW_CALL_MS, GROW_RETRY_MS } from './limits.ts';

export interface ReplicaGrowthPorts {
  readonly clock: Clock;
  grown(identity: string, sizeBytes: number): void;
  /** Called when the server refuses to grow the replica. */
  failed(identity: string, sentence: string): void;
}

export interface Growing {
  readonly identity: string;
  readonly attachment: Attachment;
  readonly server: DriverServer;
}

interface Growth {
  readonly session: Growing;
  readonly sizeBytes: number;
  retry: Timer | null;
}

/** Errors after which the request is repeated, because the server may already have grown the replica or may be able to grow it later. */
const TRY_AGAIN: readonly ErrorCode[] = ['E_TIMEOUT', 'E_UNREACHABLE', 'E_BUSY', 'E_LIMIT', 'E_SHUTTING_DOWN'];

export class ReplicaGrowth {
  private readonly mirror: string;
  private readonly ports: ReplicaGrowthPorts;
  private readonly growths = new Map<string, Growth>();

  constructor(mirror: string, ports: ReplicaGrowthPorts) {
    this.mirror = mirror;
    this.ports = ports;
  }

  /** Does nothing if the session is already growing to this size. */
  start(session: Growing, sizeBytes: number): void {
    const { identity } = session;
    const before = this.growths.get(identity);
    if (before?.session === session && before.sizeBytes >= sizeBytes) return;
    this.drop(identity);
    const growth: Growth = { session, sizeBytes, retry: null };
    this.growths.set(identity, growth);
    this.ask(growth);
  }

  drop(identity: string): void {
    this.growths.get(identity)?.retry?.cancel();
    this.growths.delete(identity);
  }

  stop(): void {
    for (const identity of [...this.growths.keys()]) this.drop(identity);
  }

  /** Must be called when the list of a server may have a new size. */
  look(): void {
    for (const growth of [...this.growths.values()]) this.lookAt(growth);
  }

  private lookAt(growth: Growth): boolean {
    const { session, sizeBytes } = growth;
    if ((session.attachment.volume?.sizeBytes ?? 0) < sizeBytes) return false;
    this.drop(session.identity);
    this.ports.grown(session.identity, sizeBytes);
    return true;
  }

  private ask(growth: Growth): void {
    if (this.lookAt(growth)) return;
    const { session, sizeBytes } = growth;
    const { name, universe } = session.attachment;
    const params = { name, universe, sizeBytes, pool: null, mirror: this.mirror };
    session.server.callAdmin('volume-grow', params, GROW_CALL_MS).then(
      () => this.answered(growth, null),
      (thrown: unknown) => this.answered(growth, thrown),
    );
  }

  /**
   * `thrown`: the error of the request; null if the server has grown the replica. The new size arrives with the server's list, possibly
   * only in the next session.
   */
  private answered(growth: Growth, thrown: unknown): void {
    const { session } = growth;
    if (this.growths.get(session.identity) !== growth || this.lookAt(growth)) return;
    const error = thrown === null ? null : toRsError(thrown);
    if (error === null || TRY_AGAIN.includes(error.code)) {
      growth.retry = this.ports.clock.after(GROW_RETRY_MS, () => this.ask(growth));
      return;
    }
    this.drop(session.identity);
    this.ports.failed(session.identity, `Server ${session.server.name}: ${error.message}`);
  }
}
