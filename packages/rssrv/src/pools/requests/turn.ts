// The turn of a change in the queue of changes, and how a change lets others go on while it does what takes long. Invariants: what is done
// aside changes nothing that another change sees; what the change has read before it stepped aside may be old afterwards.

export interface Turn {
  /** Does the work while other changes are made. The change then continues in a turn of its own. Throws what the work throws. */
  aside<T>(work: () => Promise<T>): Promise<T>;
}
