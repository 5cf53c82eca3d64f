// The memory that one connection has taken from the budget of all gates, for commands and for copied answers that have not been sent yet.
// Invariant: each byte that is taken is given back once.

import { counted } from '@rsio/common/lib/assert';
import type { BudgetUser, MemoryBudget } from '../../frontends/streams/memory-budget.ts';

export class MemoryShare {
  private usedBytes = 0;
  private readonly budget: MemoryBudget;
  private readonly user: BudgetUser;

  constructor(budget: MemoryBudget, user: BudgetUser) {
    this.budget = budget;
    this.user = user;
  }

  /** Returns false if there is no room; `roomAgain` of the user is called later. */
  take(bytes: number): boolean {
    if (!this.budget.take(this.user, bytes, this.usedBytes === 0)) return false;
    this.usedBytes += bytes;
    return true;
  }

  giveBack(bytes: number): void {
    if (bytes === 0) return;
    this.usedBytes = counted(this.usedBytes - bytes, 'bytes of a connection');
    this.budget.giveBack(bytes);
  }

  /** The user waits for memory no longer. */
  forget(): void {
    this.budget.forget(this.user);
  }
}
