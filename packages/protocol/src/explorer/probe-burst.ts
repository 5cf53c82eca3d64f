// Measures the rate of a path in one direction by keeping READs, or WRITEs of zeros, in flight for a short time. The number of bytes in
// flight follows the rate measured so far, so that the burst does not fill a slow link for seconds. Invariant: the bytes in flight never
// exceed what the slots and the window permit. An unrequested answer ends the probe.

import type { Clock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { SEGMENT_BYTES } from '../link/limits.ts';
import {
  PROBE_AHEAD_MIN_BYTES,
  PROBE_AHEAD_MS,
  PROBE_ANSWER_TIMEOUT_MS,
  PROBE_BURST_MAX_BYTES,
  PROBE_BURST_MS,
  PROBE_SLOTS,
  PROBE_WINDOW_BYTES,
} from './limits.ts';
import { ANSWER, OP } from '../wire/frames.ts';
import type { Header } from '../wire/header.ts';
import type { Welcome } from '../wire/messages.ts';
import { type FrameReceiver, type ProbeLink, unexpected } from './probe-link.ts';

export interface BurstResult {
  readonly bytes: number;
  /** Time from the first request to the last answer; always greater than zero. */
  readonly durationMs: number;
}

export interface BurstSetting {
  readonly welcome: Welcome;
  /** Last seq of each slot on this link. Each burst continues after the last seqs of the previous burst. */
  readonly seqs: number[];
  readonly clock: Clock;
  readonly roundTripMs: number;
}

/** The bytes in flight are divided among this many requests, so that the path stays busy after the first answer. */
const REQUESTS_AHEAD = 4;
const DURATION_MIN_MS = 0.01;
/**
 * Minimum share of the elapsed time that counts as transfer time. Without this minimum, subtracting a long round trip could leave almost no
 * transfer time.
 */
const MOVING_SHARE_MIN = 0.1;

class Burst implements FrameReceiver {
  private readonly link: ProbeLink;
  private readonly op: number;
  private readonly clock: Clock;
  private readonly roundTripMs: number;
  private readonly finished: (result: BurstResult) => void;
  private readonly startMs: number;
  private readonly windowBytes: number;
  /** Bytes requested in each slot; 0 if the slot is free. */
  private readonly slots: number[];
  private readonly seqs: number[];
  private aheadBytes = PROBE_AHEAD_MIN_BYTES;
  private outBytes = 0;
  private doneBytes = 0;
  private lastMs: number;

  constructor(link: ProbeLink, op: number, { welcome, seqs, clock, roundTripMs }: BurstSetting, finished: (result: BurstResult) => void) {
    this.link = link;
    this.op = op;
    this.clock = clock;
    this.roundTripMs = roundTripMs;
    this.finished = finished;
    this.startMs = clock.monotonicMs();
    this.lastMs = this.startMs;
    this.windowBytes = Math.min(welcome.windowBytes, PROBE_WINDOW_BYTES);
    this.slots = new Array<number>(Math.min(welcome.slots, PROBE_SLOTS)).fill(0);
    this.seqs = seqs;
    this.pump();
  }

  frame(header: Header): void {
    const { op, handle: status, slot, seq, count } = header;
    const askedBytes = this.slots[slot] ?? 0;
    if (op !== (this.op | ANSWER) || askedBytes === 0 || seq !== this.seqs[slot] || count * SECTOR_BYTES !== askedBytes)
      throw unexpected(header);
    if (status !== 0) throw new RsError('E_PROTOCOL', `The server answered a probe with status ${status}`);
    this.slots[slot] = 0;
    this.outBytes -= askedBytes;
    this.doneBytes += askedBytes;
    this.lastMs = this.clock.monotonicMs();
    this.aheadBytes = Math.min(Math.max(this.bytesPerMs * (PROBE_AHEAD_MS + this.roundTripMs), PROBE_AHEAD_MIN_BYTES), this.windowBytes);
  }

  received(): void {
    this.pump();
    if (this.outBytes > 0) return;
    this.finished({ bytes: this.doneBytes, durationMs: Math.max(this.lastMs - this.startMs, DURATION_MIN_MS) });
  }

  /** Rate so far. One round trip is subtracted from the elapsed time, because no data arrives before the first answer. */
  private get bytesPerMs(): number {
    const elapsedMs = this.lastMs - this.startMs;
    return this.doneBytes / Math.max(elapsedMs - this.roundTripMs, elapsedMs * MOVING_SHARE_MIN, DURATION_MIN_MS);
  }

  private pump(): void {
    const isOver = this.clock.monotonicMs() - this.startMs >= PROBE_BURST_MS || this.doneBytes >= PROBE_BURST_MAX_BYTES;
    const sectors = Math.min(Math.floor(this.aheadBytes / REQUESTS_AHEAD / SECTOR_BYTES), SEGMENT_BYTES / SECTOR_BYTES);
    const bytes = sectors * SECTOR_BYTES;
    for (let slot = 0; slot < this.slots.length && !isOver; slot++) {
      if (this.slots[slot] !== 0) continue;
      if (this.outBytes + bytes > this.aheadBytes) break;
      this.ask(slot, sectors);
    }
    this.link.connection.encoder.flush();
  }

  private ask(slot: number, sectors: number): void {
    const { encoder } = this.link.connection;
    const bytes = sectors * SECTOR_BYTES;
    const seq = ((this.seqs[slot] ?? 0) + 1) & 0xffff;
    this.seqs[slot] = seq;
    this.slots[slot] = bytes;
    this.outBytes += bytes;
    if (this.op === OP.READ) {
      encoder.io(OP.READ, 0, 0, slot, seq, 0, sectors);
      return;
    }
    const at = encoder.beginIo(bytes);
    // Fill the body with zeros, because the buffer's previous contents must not reach the server.
    encoder.buffer.fill(0, at, at + bytes);
    encoder.endIo(OP.WRITE, 0, 0, slot, seq, 0, sectors, bytes);
  }
}

/** Sends READs or WRITEs for PROBE_BURST_MS. Rejects like `ProbeLink.wait`. */
export function burst(link: ProbeLink, op: typeof OP.READ | typeof OP.WRITE, setting: BurstSetting): Promise<BurstResult> {
  const what = op === OP.READ ? 'READs' : 'WRITEs';
  const silence = `No answer to ${what} for ${PROBE_ANSWER_TIMEOUT_MS} ms: large packets may be lost, compare the MTUs`;
  return link.wait(silence, (resolve) => new Burst(link, op, setting, resolve));
}
