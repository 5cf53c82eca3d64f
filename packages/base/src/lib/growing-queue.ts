// Implements a first-in-first-out queue in a ring buffer that grows when it is full. The owner bounds the number of items. Once the queue
// has reached its greatest length, it allocates no more memory. An array, in contrast, allocates memory again each time it has been
// emptied. Invariant: the queue keeps no reference to a removed item.

const FIRST_CAPACITY = 16;

export class GrowingQueue<T> {
  /** The capacity is a power of two. */
  private ring: (T | undefined)[] = [];
  private head = 0;
  private count = 0;

  get length(): number {
    return this.count;
  }

  push(item: T): void {
    if (this.count === this.ring.length) this.grow();
    this.ring[(this.head + this.count) & (this.ring.length - 1)] = item;
    this.count++;
  }

  /** Puts an item in front of all others. */
  unshift(item: T): void {
    if (this.count === this.ring.length) this.grow();
    this.head = (this.head - 1) & (this.ring.length - 1);
    this.ring[this.head] = item;
    this.count++;
  }

  peek(): T | undefined {
    return this.count === 0 ? undefined : this.ring[this.head];
  }

  shift(): T | undefined {
    if (this.count === 0) return undefined;
    const item = this.ring[this.head];
    this.ring[this.head] = undefined;
    this.head = (this.head + 1) & (this.ring.length - 1);
    this.count--;
    return item;
  }

  /** Removes and returns all items, oldest first. */
  takeAll(): T[] {
    const all: T[] = [];
    for (let item = this.shift(); item !== undefined; item = this.shift()) all.push(item);
    return all;
  }

  private grow(): void {
    const { length } = this.ring;
    const items = Array.from({ length }, (_unused, index) => this.ring[(this.head + index) & (length - 1)]);
    this.ring = [...items, ...new Array<undefined>(Math.max(length, FIRST_CAPACITY)).fill(undefined)];
    this.head = 0;
  }
}
