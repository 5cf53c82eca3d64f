// Makes changes wait for space in the pool of their volume, so that a program sees a slow device instead of an error. A change waits if the
// storage refused it for lack of space, or if less than the reserve is free and the change needs space that the volume does not have yet.
// Waiting changes are executed again in the order of their arrival, every SPACE_RETRY_MS and as soon as the pool's reserve is free. A FLUSH
// never waits: a sync that failed for lack of space has lost writes, and the next sync would succeed. Invariants: a change ends exactly
// once. A change waits only while its handle is open, so that a full pool never delays a detach, a take-over or the end of a session. When
// the handle is closed, a waiting change ends with STALE, and the client sends the change again.

import { assert } from '@rsio/base/lib/assert';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { EXTENT } from '@rsio/protocol/wire/messages';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import { SPACE_RETRY_MS } from './limits.ts';
import type { OpenVolume } from './request.ts';

/** Called when the first change of a volume begins to wait, and when the last waiting change has ended. */
export type WaitsForSpace = (volumeId: string, isWaiting: boolean) => void;

/** Starts the change. The callback is called once, with the status of the change. */
type Start = (end: (status: Status) => void) => void;

/** Range of bytes that a change writes and that may need new space; null if the change needs no new space. */
export type Needed = { readonly positionBytes: number; readonly lengthBytes: number } | null;

interface Waiting {
  readonly open: OpenVolume;
  readonly start: Start;
  readonly done: (status: Status) => void;
  /** True while the change is being executed again. */
  isTrying: boolean;
}

export class SpaceWaits {
  private readonly clock: Clock;
  private readonly changed: WaitsForSpace;
  /** Maps the id of each volume that has waiting changes to these changes, in the order of their arrival. */
  private readonly waiting = new Map<string, Waiting[]>();
  /** Ids of the pools whose free space is below their reserve. */
  private short: ReadonlySet<string> = new Set();
  private timer: Timer | null = null;

  constructor(clock: Clock, changed: WaitsForSpace) {
    this.clock = clock;
    this.changed = changed;
  }

  /** Replaces the set of pools whose free space is below their reserve, and tries waiting changes again. `handles` are all open handles. */
  setShort(short: ReadonlySet<string>, handles: Iterable<OpenVolume>): void {
    this.short = short;
    for (const open of handles) this.opened(open);
    this.tryAll();
  }

  /**
   * Must be called for a new handle. The reserve never makes changes of a thick volume wait, because the volume already has all of its
   * space.
   */
  opened(open: OpenVolume): void {
    const { pool } = open.volume;
    open.isShort = pool !== undefined && !pool.isThick && pool.ids.some((id) => this.short.has(id));
  }

  /** Executes a change, and calls `done` with the status of the change. If the volume belongs to a pool, this status is never NO_SPACE. */
  execute(open: OpenVolume, needed: Needed, start: Start, done: (status: Status) => void): void {
    if (open.volume.pool === undefined) {
      start(done);
      return;
    }
    const one = { open, start, done, isTrying: false };
    if (!open.isShort || needed === null) this.begin(one);
    else if (!open.backend.capabilities.canExtents) this.wait(one);
    else
      open.backend.extents(needed.positionBytes, needed.lengthBytes, (status, extents) => {
        // If the storage cannot report its extents, the change is executed nevertheless: if the storage is faulty, the change gets its own
        // error.
        const hasSpace = status !== STATUS.OK || isData(extents, needed.lengthBytes);
        if (hasSpace || !open.isShort) this.begin(one);
        else this.wait(one);
      });
  }

  /** Returns the number of waiting changes of a volume. */
  count(volumeId: string): number {
    return this.waiting.get(volumeId)?.length ?? 0;
  }

  /**
   * Called when a handle is being closed: its waiting changes end with STALE. A change that is being executed again ends when this
   * execution ends.
   */
  release(open: OpenVolume): void {
    for (const one of [...(this.waiting.get(open.volume.id) ?? [])]) if (one.open === open && !one.isTrying) this.end(one, STATUS.STALE);
  }

  private begin(one: Waiting): void {
    one.start((status) => {
      if (status === STATUS.NO_SPACE) this.wait(one);
      else one.done(status);
    });
  }

  private wait(one: Waiting): void {
    if (one.open.isClosing) {
      one.done(STATUS.STALE);
      return;
    }
    const { id } = one.open.volume;
    const others = this.waiting.get(id);
    if (others !== undefined) {
      assert(!others.includes(one), 'A change waits for space twice');
      others.push(one);
      return;
    }
    this.waiting.set(id, [one]);
    this.changed(id, true);
    this.timer ??= this.clock.after(SPACE_RETRY_MS, () => this.retry());
  }

  private retry(): void {
    this.timer = null;
    this.tryAll();
    if (this.waiting.size > 0) this.timer ??= this.clock.after(SPACE_RETRY_MS, () => this.retry());
  }

  private tryAll(): void {
    for (const [first] of [...this.waiting.values()]) if (first !== undefined) this.tryAgain(first);
  }

  /** Executes the first waiting change of a volume again. If there was space for this change, the next waiting change follows at once. */
  private tryAgain(one: Waiting): void {
    if (one.isTrying || one.open.isShort) return;
    one.isTrying = true;
    one.start((status) => {
      one.isTrying = false;
      if (status === STATUS.NO_SPACE && !one.open.isClosing) return;
      const { id } = one.open.volume;
      this.end(one, status === STATUS.NO_SPACE ? STATUS.STALE : status);
      const next = this.waiting.get(id)?.[0];
      if (next !== undefined && status !== STATUS.NO_SPACE) this.tryAgain(next);
    });
  }

  private end(one: Waiting, status: Status): void {
    const { id } = one.open.volume;
    const all = this.waiting.get(id) ?? [];
    const rest = all.filter((other) => other !== one);
    assert(rest.length === all.length - 1, 'A change that waits for space ends twice');
    if (rest.length > 0) {
      this.waiting.set(id, rest);
    } else {
      this.waiting.delete(id);
      this.changed(id, false);
    }
    if (this.waiting.size === 0) {
      this.timer?.cancel();
      this.timer = null;
    }
    one.done(status);
  }
}

/** Returns true if the extents are data over the whole length. If the extents end earlier, the rest is unknown and counts as a hole. */
function isData(extents: readonly number[], lengthBytes: number): boolean {
  let sectors = 0;
  for (let index = 0; index + 1 < extents.length; index += 2) {
    if (extents[index + 1] !== EXTENT.DATA) return false;
    sectors += extents[index] ?? 0;
  }
  return sectors * SECTOR_BYTES >= lengthBytes;
}
