// The memory that one connection has taken from the budget of all gates, for commands and for copied answers that have not been sent yet.
// The memory counts towards the share of the connection's host, too. Invariants: each byte that is taken is given back once; the connection
// waits in at most one queue, either its host's or the one of all gates.

import { counted } from '@rsio/base/lib/assert';
import type { BudgetUser, MemoryBudget } from '@rsio/rsiod/frontends/streams/memory-budget';
import type { HostBudgets } from './host-budgets.ts';

export class MemoryShare {
  private usedBytes = 0;
  private readonly budget: MemoryBudget;
  private readonly hosts: HostBudgets;
  private readonly user: BudgetUser;
  private host: string | null = null;
  private hostBudget: MemoryBudget | null = null;

  constructor(pools: { readonly budget: MemoryBudget; readonly hosts: HostBudgets }, user: BudgetUser) {
    this.budget = pools.budget;
    this.hosts = pools.hosts;
    this.user = user;
  }

  /** The host has logged in; nothing has been taken before. */
  join(host: string): void {
    this.host = host;
    this.hostBudget = this.hosts.join(host);
  }

  /** Called once, when all has been given back. */
  leave(): void {
    if (this.host !== null) this.hosts.leave(this.host);
    this.host = null;
    this.hostBudget = null;
  }

  /** Returns false if there is no room; `roomAgain` of the user is called later. */
  take(bytes: number): boolean {
    const isAlone = this.usedBytes === 0;
    if (this.hostBudget?.take(this.user, bytes, isAlone) === false) {
      this.budget.forget(this.user);
      return false;
    }
    if (!this.budget.take(this.user, bytes, isAlone)) {
      this.hostBudget?.giveBack(bytes);
      return false;
    }
    this.usedBytes += bytes;
    return true;
  }

  giveBack(bytes: number): void {
    if (bytes === 0) return;
    this.usedBytes = counted(this.usedBytes - bytes, 'bytes of a connection');
    this.hostBudget?.giveBack(bytes);
    this.budget.giveBack(bytes);
  }

  /** The user no longer waits for memory. */
  forget(): void {
    this.hostBudget?.forget(this.user);
    this.budget.forget(this.user);
  }
}
