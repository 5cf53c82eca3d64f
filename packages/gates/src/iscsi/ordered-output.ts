// The output of one connection, in order: small PDUs are copied into batches, and large data is sent from its own memory between them. All
// output of one event-loop turn is sent in one system call. Invariants: bytes leave in the order of the calls, because the numbers of
// answers (StatSN) must rise; each PDU is counted exactly once as left, when it has been sent or can no longer be sent.

import { counted } from '@rsio/base/lib/assert';
import { NBD_BATCH_BYTES } from '@rsio/rsiod/frontends/limits';
import type { BatchPool, ReplyBatch, StreamTransport } from '@rsio/rsiod/frontends/streams/transport';

export interface OutputEvents {
  /** Called when PDUs have been sent, or can no longer be sent. `budgetBytes`: the part of the budget that they occupied. */
  left(pdus: number, budgetBytes: number): void;
  failed(thrown: unknown): void;
}

interface Piece {
  readonly bytes: Buffer;
  readonly start: number;
  readonly lengthBytes: number;
  readonly sent: () => void;
}

/** While this many writes are under way, small PDUs wait, so that a slow host gets fuller batches. */
const WRITES_MAX = 2;

export class OrderedOutput {
  private readonly transport: StreamTransport;
  private readonly batches: BatchPool;
  private readonly events: OutputEvents;
  private readonly schedule: (fire: () => void) => void;
  private readonly fire = (): void => {
    this.isScheduled = false;
    this.guarded(() => this.flush());
  };
  private open: ReplyBatch | null = null;
  /** The start of the part of the open batch that is not queued yet, and how many writes use each batch. */
  private begun = 0;
  private readonly writesOf = new Map<ReplyBatch, number>();
  private readonly queue: Piece[] = [];
  private writes = 0;
  private isScheduled = false;
  private isClosed = false;

  constructor(transport: StreamTransport, batches: BatchPool, events: OutputEvents, schedule: (fire: () => void) => void) {
    this.transport = transport;
    this.batches = batches;
    this.events = events;
    this.schedule = schedule;
  }

  /** Returns a batch that has room for `bytes` bytes at position `fill`. `commit` completes the PDU. */
  room(bytes: number): ReplyBatch {
    if (this.open !== null && this.open.fill + bytes > NBD_BATCH_BYTES) {
      const full = this.open;
      this.cut();
      this.open = null;
      if (this.writesOf.get(full) === undefined) this.batches.giveBack(full);
      this.begun = 0;
    }
    this.open ??= this.batches.take();
    return this.open;
  }

  /** Completes a PDU; the open batch now ends at `fill`. */
  commit(fill: number, budgetBytes: number): void {
    const batch = this.open;
    if (batch === null) return;
    batch.fill = fill;
    batch.requests++;
    batch.dataBytes += budgetBytes;
    this.wake();
  }

  /** Sends bytes after everything that was committed. They belong to the output until `sent` is called, and do not count as a PDU. */
  piece(bytes: Buffer, start: number, lengthBytes: number, sent: () => void): void {
    this.cut();
    this.queue.push({ bytes, start, lengthBytes, sent });
    this.wake();
  }

  /** Passes everything to the transport. */
  finish(): void {
    this.cut();
    this.flush();
  }

  /** Called when the connection is gone. PDUs that were not passed to the transport count as left. */
  close(): void {
    this.isClosed = true;
    this.cut();
    for (const { sent } of this.queue.splice(0)) sent();
    const batch = this.open;
    this.open = null;
    if (batch !== null && !this.writesOf.has(batch)) this.batches.giveBack(batch);
  }

  /** Moves the new content of the open batch into the queue. */
  private cut(): void {
    const batch = this.open;
    if (batch === null || batch.fill === this.begun) return;
    const { requests, dataBytes } = batch;
    const [start, lengthBytes] = [this.begun, batch.fill - this.begun];
    batch.requests = 0;
    batch.dataBytes = 0;
    this.begun = batch.fill;
    this.writesOf.set(batch, (this.writesOf.get(batch) ?? 0) + 1);
    // The closure is made once for each part of a batch, not for each PDU.
    this.queue.push({ bytes: batch.bytes, start, lengthBytes, sent: () => this.partLeft(batch, requests, dataBytes) });
  }

  private partLeft(batch: ReplyBatch, requests: number, dataBytes: number): void {
    const left = counted((this.writesOf.get(batch) ?? 0) - 1, 'writes of a batch');
    if (left > 0) this.writesOf.set(batch, left);
    else {
      this.writesOf.delete(batch);
      if (batch !== this.open) this.batches.giveBack(batch);
      else if (batch.fill === this.begun) {
        batch.fill = 0;
        this.begun = 0;
      }
    }
    this.events.left(requests, dataBytes);
  }

  private wake(): void {
    if (this.isScheduled) return;
    this.isScheduled = true;
    this.schedule(this.fire);
  }

  private flush(): void {
    if (this.isClosed) return;
    if (this.queue.length === 0 && this.writes >= WRITES_MAX) return;
    this.cut();
    const isCorked = this.queue.length > 1;
    if (isCorked) this.transport.cork();
    for (const { bytes, start, lengthBytes, sent } of this.queue) {
      this.writes++;
      this.transport.write(bytes, start, lengthBytes, () => {
        this.writes = counted(this.writes - 1, 'writes of a connection');
        this.guarded(() => {
          sent();
          if (this.open !== null && this.open.fill > this.begun) this.wake();
        });
      });
    }
    this.queue.length = 0;
    if (isCorked) this.transport.uncork();
  }

  private guarded(work: () => void): void {
    try {
      work();
    } catch (thrown) {
      this.events.failed(thrown);
    }
  }
}
