// A mirror as a volume of the client: the data path with what the frontends ask of it, and with the requests of the copier. Which replicas
// there are and which count is decided by membership/ and told by the driver in rsiod.
// Invariant: size and other facts of the mirror come from the view, or are the least that all replicas have, and never those of one replica.

import { OP } from '../../wire/frames.ts';
import { type CopyDone, CopyRequests } from './copy-requests.ts';
import { DataPath, type DataPathPorts } from './data-path.ts';

export class MirrorIo extends DataPath {
  private readonly copies: CopyRequests;

  constructor(ports: DataPathPorts) {
    super(ports);
    this.copies = new CopyRequests(ports.clock);
  }

  /**
   * Reads from one replica for a copy: at most BODY_MAX_BYTES, in whole blocks. The buffer belongs to the request until `done`. OUTCOME_UNKNOWN:
   * the replica has no session, or its requests were abandoned.
   */
  readAt(identity: string, positionBytes: number, lengthBytes: number, buffer: Buffer, bufferOffset: number, done: CopyDone): void {
    this.copies.transfer(OP.READ, this.replicaOf(identity), positionBytes, lengthBytes, buffer, bufferOffset, done);
  }

  /** Writes to one replica; otherwise as `readAt`. */
  writeAt(identity: string, positionBytes: number, lengthBytes: number, buffer: Buffer, bufferOffset: number, done: CopyDone): void {
    this.touched.addRange(positionBytes, positionBytes + lengthBytes);
    this.copies.transfer(OP.WRITE, this.replicaOf(identity), positionBytes, lengthBytes, buffer, bufferOffset, done);
  }

  flushAt(identity: string, done: CopyDone): void {
    this.copies.flush(this.replicaOf(identity), done);
  }

  /** The incarnation of the replica's storage; null if the replica has no session. */
  lifeOf(identity: string): string | null {
    return this.replicaOf(identity)?.attachment.volume?.life ?? null;
  }
}
