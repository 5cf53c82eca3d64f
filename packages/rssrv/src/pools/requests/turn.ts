// The turn of a change in the queue of changes. During long work, the change steps aside so that other changes can run (ADR 0050).
// Invariants: work in `aside` changes nothing that other changes can see. After this work, everything that the change has read before may
// be outdated.

export interface Turn {
  /** Executes the work while other changes run, and then waits for a new turn. Throws the errors of the work. */
  aside<T>(work: () => Promise<T>): Promise<T>;
}
