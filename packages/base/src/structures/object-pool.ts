// A pool of objects of one kind. Idle objects are kept for reuse, because they own memory that is expensive to allocate. Invariants: each
// object has one owner, which returns the object to the pool exactly once. The pool keeps at most `keptMax` idle objects and leaves all
// other objects to the garbage collector.

export class ObjectPool<T> {
  private readonly idle: T[] = [];
  private readonly keptMax: number;
  private readonly make: () => T;
  private readonly reset: (object: T) => void;
  private taken = 0;

  /** The function `reset` is called with each object that is returned to the pool. */
  constructor(keptMax: number, make: () => T, reset: (object: T) => void) {
    this.keptMax = keptMax;
    this.make = make;
    this.reset = reset;
  }

  get inUse(): number {
    return this.taken;
  }

  take(): T {
    this.taken++;
    return this.idle.pop() ?? this.make();
  }

  giveBack(object: T): void {
    this.taken--;
    this.reset(object);
    if (this.idle.length < this.keptMax) this.idle.push(object);
  }
}
