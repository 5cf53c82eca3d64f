// The load generator's engine, the same for both protocols: keeps `depth` requests out; for every answer that has come whole the next
// request goes into the output, and at the end of a receive event all of them leave in one write. Nothing is allocated for a request.
// Invariant: a request's bytes are not touched before its answer has come.
//
// The output is a ring of equal places, header and body of one request each. At most `depth` requests are unanswered and their places
// lie one behind the other, so a ring of three times as many never meets a place that is still being sent.

import { RsError } from '@rsio/protocol/lib/errors';
import { isMarked, mark } from '../data-file.ts';
import { blockOrder, FILE_BYTES, MARKED_BLOCK_BYTES, type Workload } from '../workload.ts';
import { ANSWER_HEADER_BYTES, type Dialect } from './dialect.ts';

const PLACES_PER_REQUEST = 3;
const MARK_BYTES = 8;
const NOTHING = Buffer.alloc(0);

export class Load {
  /** Requests answered since `begin`. */
  answered = 0;
  private readonly dialect: Dialect;
  private readonly send: (bytes: Buffer) => void;
  // What runs.
  private workload: Workload | null = null;
  private isWrite = false;
  private isChecked = false;
  private blockBytes = 0;
  private nextBlock: () => number = () => 0;
  private requestsLeft = 0;
  private unanswered = 0;
  private drained: () => void = () => {};
  private blocks = new Int32Array(0);
  // What is said.
  private output = NOTHING;
  private placeBytes = 0;
  private start = 0;
  private position = 0;
  // What is received.
  private readonly stash = Buffer.alloc(ANSWER_HEADER_BYTES);
  private stashed = 0;
  private bodyLeft = 0;
  private bodyReceived = 0;
  private kept = NOTHING;

  constructor(dialect: Dialect, send: (bytes: Buffer) => void) {
    this.dialect = dialect;
    this.send = send;
  }

  /** Begins a workload; the promise resolves when all its requests (`requests`, or those before `stop`) are answered. */
  begin(workload: Workload, seed: number, requests: number, isChecked: boolean): Promise<void> {
    if (this.workload !== null) throw new RsError('E_INTERNAL', `${this.workload.title} still runs`);
    this.workload = workload;
    this.isWrite = workload.direction === 'write';
    this.isChecked = isChecked;
    this.blockBytes = workload.blockBytes;
    this.nextBlock = blockOrder(workload.order, FILE_BYTES / workload.blockBytes, seed);
    this.requestsLeft = requests;
    this.answered = 0;
    this.blocks = new Int32Array(workload.depth);
    this.placeBytes = this.dialect.requestHeaderBytes + (this.isWrite ? workload.blockBytes : 0);
    this.output = Buffer.alloc(PLACES_PER_REQUEST * workload.depth * this.placeBytes, 0xa5);
    this.start = 0;
    this.position = 0;
    const ended = new Promise<void>((resolve) => {
      this.drained = resolve;
    });
    for (let slot = 0; slot < workload.depth; slot++) this.ask(slot);
    this.flush();
    return ended;
  }

  /** No further request; those out are still answered. */
  stop(): void {
    this.requestsLeft = 0;
  }

  /** Takes received bytes, whatever their cuts. */
  push(buffer: Buffer, lengthBytes: number): void {
    let at = 0;
    while (at < lengthBytes) at = this.bodyLeft > 0 ? this.body(buffer, at, lengthBytes) : this.header(buffer, at, lengthBytes);
    this.flush();
    if (this.unanswered === 0 && this.workload !== null) {
      this.workload = null;
      this.drained();
    }
  }

  private header(buffer: Buffer, at: number, end: number): number {
    let next = at + ANSWER_HEADER_BYTES;
    if (this.stashed === 0 && next <= end) {
      this.dialect.readAnswer(buffer, at);
    } else {
      next = Math.min(at + ANSWER_HEADER_BYTES - this.stashed, end);
      buffer.copy(this.stash, this.stashed, at, next);
      this.stashed += next - at;
      if (this.stashed < ANSWER_HEADER_BYTES) return next;
      this.stashed = 0;
      this.dialect.readAnswer(this.stash, 0);
    }
    this.bodyLeft = this.dialect.bodyBytes;
    this.bodyReceived = 0;
    if (this.dialect.slot < 0) this.kept = Buffer.alloc(this.bodyLeft);
    if (this.bodyLeft === 0) this.complete();
    return next;
  }

  private body(buffer: Buffer, at: number, end: number): number {
    const next = Math.min(at + this.bodyLeft, end);
    if (this.isChecked || this.dialect.slot < 0) this.keep(buffer, at, next);
    this.bodyLeft -= next - at;
    if (this.bodyLeft === 0) this.complete();
    return next;
  }

  private keep(buffer: Buffer, at: number, end: number): void {
    if (this.kept.length === 0) this.kept = Buffer.alloc(MARK_BYTES);
    if (this.bodyReceived < this.kept.length) buffer.copy(this.kept, this.bodyReceived, at, end);
    this.bodyReceived += end - at;
  }

  private complete(): void {
    const { slot } = this.dialect;
    if (slot < 0) {
      const answer = this.dialect.aside(this.kept);
      this.kept = NOTHING;
      this.flush();
      if (answer !== null) this.send(answer);
      return;
    }
    if (this.isChecked && !isMarked(this.kept, 0, this.markOf(this.blocks[slot]!))) {
      throw new RsError('E_INTERNAL', `Block ${this.blocks[slot]} does not begin with its number: ${this.kept.toString('hex')}`);
    }
    this.unanswered--;
    this.answered++;
    this.ask(slot);
  }

  private ask(slot: number): void {
    if (this.requestsLeft <= 0) return;
    this.requestsLeft--;
    this.unanswered++;
    const block = this.nextBlock();
    this.blocks[slot] = block;
    const { dialect, output, position } = this;
    dialect.writeRequest(output, position, slot, this.isWrite, block * this.blockBytes, this.blockBytes);
    if (this.isWrite) mark(output, position + dialect.requestHeaderBytes, this.markOf(block));
    this.position = position + this.placeBytes;
    if (this.position === output.length) this.flush();
  }

  private markOf(block: number): number {
    return (block * this.blockBytes) / MARKED_BLOCK_BYTES;
  }

  private flush(): void {
    if (this.position > this.start) this.send(this.output.subarray(this.start, this.position));
    if (this.position === this.output.length) this.position = 0;
    this.start = this.position;
  }
}
