// A moment at which no change of a mirror is in flight (M22), so that snapshots of its replicas have the same content. Users' changes wait
// until `release`; READs and FLUSHes continue. Invariant: while `holds` is true for a replica, this replica has every change that was
// answered before the moment, and no later change.

import type { IoView } from '../io/members.ts';

/** The part of MirrorIo that a moment needs. */
export interface MomentIo {
  readonly view: IoView | null;
  readonly volume: { readonly sizeBytes: number } | null;
  readonly unsettled: { readonly count: number };
  lock(beginBytes: number, endBytes: number, granted: () => void): { release(): void };
  tenureOf(identity: string): string | null;
}

export class QuietMoment {
  private readonly io: MomentIo;
  private readonly lock: { release(): void };
  /** Maps each replica that was in sync at the moment to its tenure; null before the moment. */
  private tenures: ReadonlyMap<string, string> | null = null;
  private isReleased = false;
  /** Resolves when no change remains in flight. */
  readonly begun: Promise<void>;

  constructor(io: MomentIo) {
    this.io = io;
    let granted = (): void => undefined;
    this.begun = new Promise((resolve) => (granted = resolve));
    this.lock = io.lock(0, io.volume?.sizeBytes ?? 0, () => {
      this.tenures = this.inSync();
      granted();
    });
  }

  /** Identities of the replicas that were in sync at the moment. */
  get replicas(): readonly string[] {
    return [...(this.tenures?.keys() ?? [])];
  }

  /** True if the replica has been in sync, in one session and one incarnation of its storage, from the moment until now. */
  holds(identity: string): boolean {
    const tenure = this.tenures?.get(identity);
    return !this.isReleased && tenure !== undefined && this.inSync().get(identity) === tenure;
  }

  release(): void {
    this.isReleased = true;
    this.lock.release();
  }

  /**
   * Returns the replicas in sync with their tenures. Returns an empty map while a region is unsettled, because replicas may differ in this
   * region, and a program may have read the content of any replica.
   */
  private inSync(): ReadonlyMap<string, string> {
    const { view, unsettled } = this.io;
    const tenures = new Map<string, string>();
    if (view?.isServing !== true || unsettled.count > 0) return tenures;
    for (const { identity, reads } of view.replicas) {
      const tenure = reads ? this.io.tenureOf(identity) : null;
      if (tenure !== null) tenures.set(identity, tenure);
    }
    return tenures;
  }
}
