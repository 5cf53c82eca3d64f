// Implements a first-in-first-out queue in a ring buffer of fixed capacity. Adding and removing items allocates no memory. Invariant: the
// queue keeps no reference to a removed item.

import { assert } from '../lib/assert.ts';

export class FixedQueue<T> {
  readonly capacity: number;
  private readonly ring: (T | undefined)[];
  private head = 0;
  private count = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.ring = new Array<T | undefined>(capacity).fill(undefined);
  }

  get length(): number {
    return this.count;
  }

  get isFull(): boolean {
    return this.count === this.capacity;
  }

  /** Adds an item to a queue that is not full. */
  push(item: T): void {
    assert(this.count < this.capacity, `Queue of ${this.capacity} overflows`);
    this.ring[(this.head + this.count) % this.capacity] = item;
    this.count++;
  }

  peek(): T | undefined {
    return this.ring[this.head];
  }

  shift(): T | undefined {
    if (this.count === 0) return undefined;
    const item = this.ring[this.head];
    this.ring[this.head] = undefined;
    this.head = (this.head + 1) % this.capacity;
    this.count--;
    return item;
  }

  /** Returns the items, oldest first. */
  toArray(): T[] {
    return Array.from({ length: this.count }, (_unused, index) => this.ring[(this.head + index) % this.capacity] as T);
  }

  clear(): void {
    while (this.count > 0) this.shift();
  }
}
