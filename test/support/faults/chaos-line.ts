// One direction of one connection through a chaos proxy: it carries bytes from one socket to the other, or does what the direction's faults
// say. Connecting, cutting and the faults are in chaos-proxy.ts. Invariant: except for flipped bits and a middleman (meddler.ts), the output
// is a prefix of the input: a stream never has a hole. So a direction that has swallowed one byte swallows all later ones too, and only new
// connections are healed.

import type { Socket } from 'node:net';
import type { Meddler, MeddlersHand } from './meddler.ts';

/** The faults of one direction. None by default. */
export interface WayFaults {
  /** Bytes are read and never come out. */
  readonly swallow?: boolean;
  /** Bytes are kept and come out when this ends; past 4 MiB they are not read any more. */
  readonly isHalted?: boolean;
  readonly delayMs?: number;
  /** For each connection. Little is kept, so that the sender feels it as soon as the kernel's own buffers are full. */
  readonly bytesPerSecond?: number;
  readonly flip?: Flip;
  /** Changes the stream as no network does. */
  readonly meddler?: Meddler;
  /** Is given all bytes as they come in, as a listener in the network records them. */
  readonly tap?: (bytes: Buffer) => void;
}

/** A bit of the byte with this number, counted over all connections from when the fault was set; or of each byte with a probability. */
export type Flip = { readonly byte: number } | { readonly probability: number };

export interface WayStats {
  /** Bytes that came out. */
  passed: number;
  swallowed: number;
  flipped: number;
}

const KEPT_MAX_BYTES = 4 * 1024 * 1024;
const KEPT_THROTTLED_MAX_BYTES = 16 * 1024;
/** A throttled line lets bytes go this often. */
const THROTTLE_STEP_MS = 10;

/** The faults of one direction of a proxy, shared by its connections, changed while they run. */
export class Way {
  faults: WayFaults = {};
  readonly stats: WayStats = { passed: 0, swallowed: 0, flipped: 0 };
  private readonly random: () => number;
  /** Bytes until the next one that gets a bit flipped. */
  private untilFlip = Number.POSITIVE_INFINITY;

  constructor(random: () => number) {
    this.random = random;
  }

  set(faults: WayFaults): void {
    this.faults = faults;
    const { flip } = faults;
    if (flip === undefined) this.untilFlip = Number.POSITIVE_INFINITY;
    else this.untilFlip = 'byte' in flip ? flip.byte : this.gap(flip.probability);
  }

  /** Flips the chosen bits, in place. */
  spoil(bytes: Buffer): void {
    while (this.untilFlip < bytes.length) {
      const at = this.untilFlip;
      bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << Math.floor(this.random() * 8)), at);
      this.stats.flipped++;
      const { flip } = this.faults;
      this.untilFlip = flip !== undefined && 'probability' in flip ? at + 1 + this.gap(flip.probability) : Number.POSITIVE_INFINITY;
    }
    this.untilFlip -= bytes.length;
  }

  /** Bytes that are spared before the next one that is not. */
  private gap(probability: number): number {
    return Math.floor(Math.log(1 - this.random()) / Math.log(1 - probability));
  }
}

interface Kept {
  bytes: Buffer;
  readonly dueMs: number;
}

export class Line {
  private readonly way: Way;
  private readonly from: Socket;
  private readonly to: Socket;
  private readonly kept: Kept[] = [];
  private keptBytes = 0;
  private isLost = false;
  private hand: { readonly of: Meddler; readonly hand: MeddlersHand } | null = null;
  private ending: 'no' | 'end' | 'reset' = 'no';
  private timer: NodeJS.Timeout | undefined;
  private allowance = 0;
  private allowanceMs = performance.now();

  /** Both sockets are connected and paused; `from` begins to flow. */
  constructor(way: Way, from: Socket, to: Socket) {
    this.way = way;
    this.from = from;
    this.to = to;
    from.on('data', (bytes: Buffer) => this.take(bytes));
    from.on('end', () => this.fromEnded('end'));
    from.on('close', () => this.fromEnded('reset'));
    to.on('drain', () => this.move());
    from.resume();
  }

  /** Moves the bytes that can move; also called when the way's faults have changed. */
  move(): void {
    clearTimeout(this.timer);
    const { swallow = false, isHalted = false } = this.way.faults;
    // A side whose bytes do not arrive cannot announce its end either.
    if (this.to.destroyed || swallow || isHalted) {
      this.regulate();
      return;
    }
    const waitMs = this.send();
    if (waitMs > 0) this.timer = setTimeout(() => this.move(), waitMs);
    this.regulate();
    if (this.kept.length > 0 || this.ending === 'no') return;
    if (this.ending === 'end') this.to.end();
    else this.to.resetAndDestroy();
  }

  stop(): void {
    clearTimeout(this.timer);
    this.kept.length = 0;
    this.from.resetAndDestroy();
  }

  private take(bytes: Buffer): void {
    const { swallow = false, meddler, tap } = this.way.faults;
    tap?.(Buffer.from(bytes));
    if (swallow || this.isLost || this.to.destroyed) {
      this.isLost = true;
      this.way.stats.swallowed += bytes.length;
      return;
    }
    this.way.spoil(bytes);
    if (meddler === undefined) this.keep(bytes);
    else this.meddle(meddler, bytes);
    this.move();
  }

  private keep(bytes: Buffer): void {
    const { delayMs = 0 } = this.way.faults;
    this.kept.push({ bytes, dueMs: delayMs === 0 ? 0 : performance.now() + delayMs });
    this.keptBytes += bytes.length;
  }

  private meddle(meddler: Meddler, bytes: Buffer): void {
    if (this.hand?.of !== meddler) this.hand = { of: meddler, hand: meddler.hand() };
    const { pieces, ending } = this.hand.hand.pass(bytes);
    for (const piece of pieces) this.keep(piece);
    if (ending === null) return;
    this.isLost = true;
    this.fromEnded(ending);
  }

  private fromEnded(how: 'end' | 'reset'): void {
    if (this.ending !== 'no') return;
    this.ending = how;
    this.move();
  }

  /** Sends bytes that are due; returns the ms until the next check, 0 if an event will trigger it. */
  private send(): number {
    const nowMs = performance.now();
    for (let head = this.kept[0]; head !== undefined && !this.to.writableNeedDrain; head = this.kept[0]) {
      if (head.dueMs > nowMs) return head.dueMs - nowMs;
      const count = Math.min(head.bytes.length, this.allowed(nowMs));
      if (count === 0) return THROTTLE_STEP_MS;
      this.to.write(head.bytes.subarray(0, count));
      head.bytes = head.bytes.subarray(count);
      if (head.bytes.length === 0) this.kept.shift();
      this.keptBytes -= count;
      this.allowance -= count;
      this.way.stats.passed += count;
    }
    return 0;
  }

  private allowed(nowMs: number): number {
    const { bytesPerSecond } = this.way.faults;
    if (bytesPerSecond === undefined) return Number.POSITIVE_INFINITY;
    const fresh = ((nowMs - this.allowanceMs) * bytesPerSecond) / 1000;
    const burst = (2 * THROTTLE_STEP_MS * bytesPerSecond) / 1000;
    this.allowance = Math.min(Math.max(this.allowance, 0) + fresh, Math.max(burst, 1));
    this.allowanceMs = nowMs;
    return Math.floor(this.allowance);
  }

  /** Reads only while there is room: backpressure. */
  private regulate(): void {
    const max = this.way.faults.bytesPerSecond === undefined ? KEPT_MAX_BYTES : KEPT_THROTTLED_MAX_BYTES;
    if (this.keptBytes >= max) this.from.pause();
    else if (this.from.isPaused() && !this.from.destroyed) this.from.resume();
  }
}
