// The memory that the commands of each host use, over all its connections: a share of the budget of all gates. A host that takes no answers
// therefore leaves memory to the others. Invariant: a host is known for as long as it has a connection.

import { assert } from '@rsio/base/lib/assert';
import { type BudgetBounds, MemoryBudget } from '@rsio/rsiod/frontends/streams/memory-budget';

export class HostBudgets {
  private readonly hosts = new Map<string, { readonly budget: MemoryBudget; connections: number }>();
  private readonly bounds: BudgetBounds;
  private readonly schedule: (fire: () => void) => void;

  /** `bounds`: the bounds of one host. `schedule` must call `fire` once, in a later event. */
  constructor(bounds: BudgetBounds, schedule: (fire: () => void) => void) {
    this.bounds = bounds;
    this.schedule = schedule;
  }

  get size(): number {
    return this.hosts.size;
  }

  /** A connection of the host begins. */
  join(host: string): MemoryBudget {
    const known = this.hosts.get(host) ?? { budget: new MemoryBudget(this.bounds, this.schedule), connections: 0 };
    known.connections++;
    this.hosts.set(host, known);
    return known.budget;
  }

  /** A connection of the host has finished. */
  leave(host: string): void {
    const known = this.hosts.get(host);
    assert(known !== undefined, 'The host has a connection');
    known.connections--;
    if (known.connections === 0) this.hosts.delete(host);
  }
}
