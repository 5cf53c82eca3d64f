// First in, first out, over a ring of fixed capacity: nothing is allocated after the constructor and the bound cannot be overlooked.
// Invariant: an item that left is not referenced any more. What to do when it is full is the caller's decision, made before `push`.

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

  /** The caller has checked `isFull`, or knows why it cannot be. */
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

  /** The items, first in first. */
  toArray(): T[] {
    return Array.from({ length: this.count }, (_unused, index) => this.ring[(this.head + index) % this.capacity] as T);
  }

  clear(): void {
    while (this.count > 0) this.shift();
  }
}
