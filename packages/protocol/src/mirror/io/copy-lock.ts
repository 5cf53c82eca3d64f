// A lock of the copier, which excludes users' changes, but not READs, from a range while the range is copied (M7, M12). Locks are rare, so
// each lock is a new object. Invariant: `release` may be called at any time, and more than once.

import { LockEntry, type SectorLock } from './sector-lock.ts';

export class CopyLock extends LockEntry {
  readonly granted: () => void;
  private readonly owner: SectorLock;

  constructor(owner: SectorLock, granted: () => void) {
    super();
    this.owner = owner;
    this.granted = granted;
  }

  release(): void {
    this.owner.leave(this);
  }
}
