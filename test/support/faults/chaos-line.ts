// One direction of one connection through a chaos proxy: it carries bytes from one socket to the other, and applies the faults of this
// direction. chaos-proxy.ts opens and cuts the connections, and sets the faults. Invariant: except for flipped bits and a middleman
// (meddler.ts), the output is a prefix of the input, without a hole. A direction that has swallowed one byte therefore also swallows all
// later bytes, and only new connections are healed.

import type { Socket } from 'node:net';
import type { Meddler, MeddlersHand } from './meddler.ts';

/** The faults of one direction. By default, there are no faults. */
export interface WayFaults {
  /** Whether the proxy reads the bytes and drops them. */
  readonly swallow?: boolean;
  /** Whether the proxy holds bytes back. The proxy sends these bytes when this fault ends. When the proxy holds 4 MiB, it stops reading. */
  readonly isHalted?: boolean;
  readonly delayMs?: number;
  /** Rate of each connection. The proxy buffers little, so that the sender is slowed down as soon as the kernel's buffers are full. */
  readonly bytesPerSecond?: number;
  readonly flip?: Flip;
  /** Changes the stream as an attacker would. */
  readonly meddler?: Meddler;
  /** Called with all incoming bytes, as an eavesdropper would record them. */
  readonly tap?: (bytes: Buffer) => void;
}

/**
 * Which bytes get one flipped bit. `byte`: the byte with this number, counted over all connections since the fault was set. `probability`:
 * each byte, with this probability.
 */
export type Flip = { readonly byte: number } | { readonly probability: number };

export interface WayStats {
  /** Number of bytes that the proxy has passed on. */
  passed: number;
  swallowed: number;
  flipped: number;
}

const KEPT_MAX_BYTES = 4 * 1024 * 1024;
const KEPT_THROTTLED_MAX_BYTES = 16 * 1024;
/** Interval at which a throttled line sends. */
const THROTTLE_STEP_MS = 10;

/** The faults of one direction of a proxy. All connections of the proxy share these faults, which may change while connections run. */
export class Way {
  faults: WayFaults = {};
  readonly stats: WayStats = { passed: 0, swallowed: 0, flipped: 0 };
  private readonly random: () => number;
  /** Number of bytes that pass before the next byte with a flipped bit. */
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

  /** Draws the number of bytes before the next byte with a flipped bit. */
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

  /** Moves as many bytes as possible. Also called when the faults of the direction have changed. */
  move(): void {
    clearTimeout(this.timer);
    const { swallow = false, isHalted = false } = this.way.faults;
    // If the bytes of a sender do not arrive, the end of its stream does not arrive either.
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

  /** Sends bytes that are due. Returns the time in ms until the next check. 0: an event will trigger the next check. */
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

  /** Stops reading while the buffer is full, so that the sender is slowed down. */
  private regulate(): void {
    const max = this.way.faults.bytesPerSecond === undefined ? KEPT_MAX_BYTES : KEPT_THROTTLED_MAX_BYTES;
    if (this.keptBytes >= max) this.from.pause();
    else if (this.from.isPaused() && !this.from.destroyed) this.from.resume();
  }
}
