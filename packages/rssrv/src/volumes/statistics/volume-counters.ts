// Counts the I/O of a session for each volume: requests, bytes, errors and latencies. A request that the storage answers at once counts as
// ended when the next request of the same event begins, or when the event ends. This way of counting saves a clock read, because the clock
// is read at these two points anyway. Invariants: counting a request allocates nothing, except for the first request of each kind on a
// volume. Counters never decrease during a session. A session keeps the counters of at most COUNTERS_CLOSED_MAX volumes without a handle.

import { Histogram } from '@rsio/base/structures/histogram';
import { LATENCY_BUCKETS, type LatencyFigures, NO_LATENCY } from '@rsio/base/structures/latency-figures';
import { OP } from '@rsio/protocol/wire/frames';
import { STATUS } from '@rsio/protocol/wire/status';
import { PATHS_PER_TRUNK_MAX } from '@rsio/protocol/link/limits';
import {
  counter,
  type Guard,
  type Guarded,
  listOf,
  milliseconds,
  name,
  orNull,
  record,
  servedName,
  text,
  token,
  universe,
} from '@rsio/protocol/wire/guards';
import { SHORT_TEXT_MAX_CHARS, SLOTS } from '@rsio/protocol/wire/limits';
import { type HeldFigures, heldFields } from '../throttle/throttle-messages.ts';
import { COUNTERS_CLOSED_MAX, FIGURES_VOLUMES_MAX, PATHS_CLOSING_FACTOR } from '../limits.ts';

const latency: Guard<LatencyFigures> = record({
  p50Us: milliseconds,
  p90Us: milliseconds,
  p99Us: milliseconds,
  p999Us: milliseconds,
  p9999Us: milliseconds,
  maxUs: milliseconds,
  sumUs: milliseconds,
  buckets: listOf(counter, LATENCY_BUCKETS, LATENCY_BUCKETS, 'counts'),
});

/** The report of a session about a volume: sums since the session first opened the volume, and the current state. */
const volumeFigures = record({
  volumeId: token,
  reads: counter,
  readBytes: counter,
  writes: counter,
  writtenBytes: counter,
  flushes: counter,
  discards: counter,
  zeroes: counter,
  errors: counter,
  readLatency: latency,
  writeLatency: latency,
  flushLatency: latency,
  /** Sum of the times in ms for which limits and pauses have held requests. */
  heldMs: milliseconds,
  /** Number of requests that the storage is executing, or that wait for space or for a snapshot. */
  outstanding: counter,
  /** Age in ms of the oldest outstanding request; 0 if no request is outstanding. */
  oldestMs: milliseconds,
  waitingForSpace: counter,
  /** Number of changes that wait because a snapshot is being taken. */
  heldForSnapshot: counter,
  ...heldFields,
});
export type VolumeFigures = Guarded<typeof volumeFigures>;

/** The current facts about a volume that its counters do not contain. */
export type VolumeNow = HeldFigures & Pick<VolumeFigures, 'outstanding' | 'oldestMs' | 'waitingForSpace' | 'heldForSnapshot'>;

const pathFigures = record({
  /** Name of the interface of the server. */
  interface: name,
  /** Address of the client. */
  address: text(SHORT_TEXT_MAX_CHARS),
  /** Wall-clock time at which the path began. */
  sinceMs: milliseconds,
  requests: counter,
  /** Cipher suite of TLS; null if the path is plain. */
  cipher: orNull(text(SHORT_TEXT_MAX_CHARS)),
});
export type PathFigures = Guarded<typeof pathFigures>;

/** The report of a session. */
export const sessionFigures = record({
  volumes: listOf(volumeFigures, 0, FIGURES_VOLUMES_MAX, 'volumes'),
  paths: listOf(pathFigures, 0, PATHS_CLOSING_FACTOR * PATHS_PER_TRUNK_MAX, 'paths'),
  /** The OPENs in progress. An OPEN may wait, for example for a take-over. */
  opens: listOf(record({ name: servedName, universe, waitedMs: milliseconds }), 0, SLOTS, 'volumes'),
});
export type SessionFigures = Guarded<typeof sessionFigures>;

const US_PER_MS = 1_000;

export class VolumeCounters {
  /** True if a request has been counted since the last call of `figures`. */
  isChanged = false;
  private reads = 0;
  private readBytes = 0;
  private writes = 0;
  private writtenBytes = 0;
  private flushes = 0;
  private discards = 0;
  private zeroes = 0;
  private errors = 0;
  private heldMs = 0;
  private readLatency: Histogram | null = null;
  private writeLatency: Histogram | null = null;
  private flushLatency: Histogram | null = null;

  /** Counts a request that has ended, without its latency. */
  count(op: number, bytes: number, status: number): void {
    this.isChanged = true;
    if (status !== STATUS.OK) this.errors++;
    if (op === OP.READ) {
      this.reads++;
      this.readBytes += bytes;
    } else if (op === OP.WRITE) {
      this.writes++;
      this.writtenBytes += bytes;
    } else if (op === OP.FLUSH) this.flushes++;
    else if (op === OP.DISCARD) this.discards++;
    else this.zeroes++;
  }

  /** Counts a request that the storage has executed off the event loop, with its latency. */
  ended(op: number, bytes: number, status: number, ms: number): void {
    this.count(op, bytes, status);
    this.took(op, ms);
  }

  /** Counts the time for which a request was held, even if the request was then not executed. */
  held(ms: number): void {
    this.isChanged = true;
    this.heldMs += ms;
  }

  took(op: number, ms: number): void {
    if (op === OP.READ) (this.readLatency ??= new Histogram()).add(ms * US_PER_MS);
    else if (op === OP.WRITE) (this.writeLatency ??= new Histogram()).add(ms * US_PER_MS);
    else if (op === OP.FLUSH) (this.flushLatency ??= new Histogram()).add(ms * US_PER_MS);
  }

  figures(volumeId: string, now: VolumeNow): VolumeFigures {
    this.isChanged = false;
    const { reads, readBytes, writes, writtenBytes, flushes, discards, zeroes, errors, heldMs } = this;
    return {
      volumeId,
      reads,
      readBytes,
      writes,
      writtenBytes,
      flushes,
      discards,
      zeroes,
      errors,
      heldMs,
      readLatency: this.readLatency?.figures() ?? NO_LATENCY,
      writeLatency: this.writeLatency?.figures() ?? NO_LATENCY,
      flushLatency: this.flushLatency?.figures() ?? NO_LATENCY,
      ...now,
    };
  }
}

/** The counters of all volumes of a session, and the one answered request whose end has not been timed yet. */
export class SessionCounters {
  private readonly byVolume = new Map<string, VolumeCounters>();
  /** Counters of the request that was answered at once, and that ends with the next call of `reached`. */
  private ending: VolumeCounters | null = null;
  private endingOp = 0;
  private endingSinceMs = 0;

  /** Returns the counters of a volume that is being opened. If the session has had the volume open before, the counters continue. */
  of(volumeId: string): VolumeCounters {
    const known = this.byVolume.get(volumeId);
    // The map is ordered by the last opening of each volume. The counters of the volumes that were opened longest ago are therefore dropped
    // first.
    if (known !== undefined) this.byVolume.delete(volumeId);
    const counters = known ?? new VolumeCounters();
    this.byVolume.set(volumeId, counters);
    return counters;
  }

  /** Drops the oldest counters of volumes without a handle until COUNTERS_CLOSED_MAX are left. */
  closed(isOpen: (volumeId: string) => boolean): void {
    if (this.byVolume.size <= COUNTERS_CLOSED_MAX) return;
    const closed = [...this.byVolume.keys()].filter((id) => !isOpen(id));
    for (const id of closed.slice(0, Math.max(0, closed.length - COUNTERS_CLOSED_MAX))) this.byVolume.delete(id);
  }

  /** Counts a request that was answered at once. `sinceMs`: when the request began. */
  atOnce(counters: VolumeCounters, op: number, bytes: number, status: number, sinceMs: number): void {
    counters.count(op, bytes, status);
    this.ending = counters;
    this.endingOp = op;
    this.endingSinceMs = sinceMs;
  }

  /** Must be called when the next request begins, and at the end of each event that brought requests. */
  reached(nowMs: number): void {
    if (this.ending === null) return;
    this.ending.took(this.endingOp, nowMs - this.endingSinceMs);
    this.ending = null;
  }

  /**
   * Returns the figures of all volumes if `isWhole` is true; if not, only the figures of volumes whose counters have changed since the last
   * call, or that have waiting requests.
   */
  figures(nowOf: (volumeId: string) => VolumeNow, isWhole: boolean): VolumeFigures[] {
    const figures: VolumeFigures[] = [];
    for (const [id, counters] of this.byVolume) {
      const now = nowOf(id);
      if (isWhole || counters.isChanged || now.outstanding + now.heldByLimit > 0) figures.push(counters.figures(id, now));
    }
    return figures;
  }
}
