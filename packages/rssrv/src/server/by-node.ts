// Lists of values by node: the sessions of each client, and the sessions that are being started for the client. A client has a session for
// each of its data processes. Invariant: a node without values has no list, so that `nodes` counts a client once, and only while it has
// values.

import { assert } from '@rsio/base/lib/assert';

export class ByNode<T> {
  private readonly byNode = new Map<string, readonly T[]>();

  /** Number of nodes that have values. */
  get nodes(): number {
    return this.byNode.size;
  }

  get lists(): (readonly T[])[] {
    return [...this.byNode.values()];
  }

  get all(): T[] {
    return this.lists.flat();
  }

  of(node: string): readonly T[] {
    return this.byNode.get(node) ?? [];
  }

  add(node: string, value: T): void {
    assert(!this.of(node).includes(value), `Node ${node} gets a value twice`);
    this.byNode.set(node, [...this.of(node), value]);
  }

  remove(node: string, value: T): void {
    assert(this.of(node).includes(value), `A value of node ${node} is removed twice`);
    const left = this.of(node).filter((one) => one !== value);
    if (left.length > 0) this.byNode.set(node, left);
    else this.byNode.delete(node);
  }
}
