// Decides whether a change may be executed over a path now (rule D1): only if no overlapping change over another path is later than the proof
// moment of the path. Otherwise, the host may have given the path up, and may have repeated the change and written newer data. Invariants:
// regions only start a hold, and a change that is held is compared by its exact range; a change is admitted and counted in one step, so
// that nothing comes between; a gate that gets the volume counts that as a change of every block over another path. Rules: D1, D3.

import { GATE_ORDER_REGIONS } from '../limits.ts';
import type { GateOrder } from './gate-order.ts';
import type { GatePath, HeldChange } from './gate-path.ts';

/** A command that changes something, or a step of one. */
export interface Change {
  /** Set while it is held, and until it is executed. */
  heldBy: Hold | null;
  /** It is to be tried again: its path is proven, or the volume is not here any more. */
  goOn(): void;
}

/** The path of changes that belong to no login here: those of an earlier holder of the volume. */
const NO_PATH = 0;

/** The latest changes of a range: over which path the latest one came, and the latest one over any other path. */
interface Latest {
  step: number;
  path: number;
  otherStep: number;
}

/** A change that must wait. `needed` is the latest overlapping change over another path. */
export class Hold implements HeldChange {
  needed: number;
  sinceMs: number;
  readonly path: GatePath;
  readonly of: BlockOrder;
  readonly beginBytes: number;
  readonly endBytes: number;
  isWaiting = true;
  private readonly change: Change;

  constructor(
    of: BlockOrder,
    path: GatePath,
    change: Change,
    range: { readonly beginBytes: number; readonly endBytes: number },
    needed: number,
  ) {
    this.of = of;
    this.path = path;
    this.change = change;
    this.beginBytes = range.beginBytes;
    this.endBytes = range.endBytes;
    this.needed = needed;
    this.sinceMs = path.nowMs;
  }

  get isProven(): boolean {
    return this.needed <= this.path.provenStep;
  }

  isOf({ beginBytes, endBytes }: { readonly beginBytes: number; readonly endBytes: number }): boolean {
    return this.beginBytes === beginBytes && this.endBytes === endBytes;
  }

  /** Another path has executed an overlapping change. A hold that was proven begins to wait again. */
  overtaken(step: number): void {
    if (this.isProven) this.sinceMs = this.path.nowMs;
    this.needed = step;
  }

  goOn(): void {
    this.isWaiting = false;
    this.change.goOn();
  }

  /** The change is executed, or it never will be. */
  end(): void {
    this.of.ended(this);
    this.path.holds.delete(this);
    this.change.heldBy = null;
  }
}

export class BlockOrder {
  private readonly order: GateOrder;
  private readonly sizeBytes: number;
  private readonly whole: Latest;
  /** Null as long as one path alone has changed the volume: hosts with one path need no table. */
  private regions: Regions | null = null;
  private readonly holds = new Set<Hold>();

  /** The gate gets the volume now. */
  constructor(order: GateOrder, sizeBytes: number) {
    this.order = order;
    this.sizeBytes = sizeBytes;
    this.whole = { step: order.next(), path: NO_PATH, otherStep: 0 };
  }

  /**
   * Returns true if the change may be executed now. Otherwise it is held, a round trip begins, and `goOn` of the change is called when it may
   * be tried again. A change that is admitted and not executed at once must be admitted again.
   */
  admits(path: GatePath, change: Change, positionBytes: number, lengthBytes: number): boolean {
    // The volume was lost meanwhile, and this is another one.
    if (change.heldBy !== null && change.heldBy.of !== this) change.heldBy.end();
    const hold = change.heldBy;
    const range = { beginBytes: positionBytes, endBytes: positionBytes + lengthBytes };
    if (hold !== null && (!hold.isProven || hold.isOf(range))) {
      hold.isWaiting = !hold.isProven;
      if (hold.isWaiting) path.ask();
      return hold.isProven;
    }
    // The change has several ranges, and waited for another one.
    hold?.end();
    const { whole } = this;
    if (foreign(whole, path.id) <= path.provenStep) return true;
    const step = this.regions === null ? foreign(whole, path.id) : this.regions.foreign(path.id, range.beginBytes, range.endBytes);
    if (step <= path.provenStep) return true;
    change.heldBy = new Hold(this, path, change, range, step);
    this.holds.add(change.heldBy);
    path.held(change.heldBy);
    return false;
  }

  /** As `admits`, for a change that is executed in this step if the result is true. */
  executes(path: GatePath, change: Change, positionBytes: number, lengthBytes: number): boolean {
    if (!this.admits(path, change, positionBytes, lengthBytes)) return false;
    change.heldBy?.end();
    this.executed(path, positionBytes, positionBytes + lengthBytes);
    return true;
  }

  /** The volume is not here any more. All held changes are tried again, and find that out. */
  close(): void {
    for (const hold of [...this.holds]) {
      if (!this.holds.has(hold)) continue;
      hold.end();
      hold.goOn();
    }
  }

  ended(hold: Hold): void {
    this.holds.delete(hold);
  }

  private executed({ id }: GatePath, beginBytes: number, endBytes: number): void {
    const { whole } = this;
    const step = this.order.next();
    if (whole.path !== id && whole.path !== NO_PATH) this.regions ??= new Regions(this.sizeBytes, whole);
    update(whole, id, step);
    this.regions?.executed(id, step, beginBytes, endBytes);
    for (const hold of this.holds)
      if (hold.path.id !== id && beginBytes < hold.endBytes && hold.beginBytes < endBytes) hold.overtaken(step);
  }
}

/** The latest changes of each part of a volume. What lies behind the end, because the volume has grown, belongs to the last part. */
class Regions {
  private readonly regionBytes: number;
  private readonly all: Latest[];

  constructor(sizeBytes: number, whole: Latest) {
    this.regionBytes = Math.max(1, Math.ceil(sizeBytes / GATE_ORDER_REGIONS));
    this.all = Array.from({ length: GATE_ORDER_REGIONS }, () => ({ ...whole }));
  }

  foreign(path: number, beginBytes: number, endBytes: number): number {
    let step = 0;
    for (let at = this.at(beginBytes); at <= this.at(endBytes - 1); at++) step = Math.max(step, foreign(this.all[at]!, path));
    return step;
  }

  executed(path: number, step: number, beginBytes: number, endBytes: number): void {
    for (let at = this.at(beginBytes); at <= this.at(endBytes - 1); at++) update(this.all[at]!, path, step);
  }

  private at(bytes: number): number {
    return Math.min(Math.max(0, Math.floor(bytes / this.regionBytes)), GATE_ORDER_REGIONS - 1);
  }
}

/** The latest change over another path. */
function foreign(latest: Latest, path: number): number {
  return latest.path === path ? latest.otherStep : latest.step;
}

function update(latest: Latest, path: number, step: number): void {
  if (latest.path !== path) latest.otherStep = latest.step;
  latest.path = path;
  latest.step = step;
}
