// REVOKE of a session's client, server's side (docs/PROTOCOL.md S11): who is owed a REVOKED, and when it is said. Leaves ending the handle to
// session-volumes.ts and the tags to the slot table. Invariant: each path that asked is answered once, after nothing of the handle runs any
// more; a handle's tags are taken from its first REVOKE only, since a late one may name slots that serve others by now.

export class Revokes {
  /** Handles that were to be revoked, ever: a handle's number is given once in a session. */
  private readonly seen = new Set<number>();
  /** By handle: paths that are owed the answer. */
  private readonly owed = new Map<number, Set<number>>();

  /** `first`: its tags count; `more`: it is under way, or over; `twice`: this path is owed the answer already. */
  asked(handle: number, path: number): 'first' | 'more' | 'twice' {
    const paths = this.owed.get(handle) ?? new Set<number>();
    if (paths.has(path)) return 'twice';
    paths.add(path);
    this.owed.set(handle, paths);
    if (this.seen.has(handle)) return 'more';
    this.seen.add(handle);
    return 'first';
  }

  /** Nothing of the handle runs any more: gives the paths to tell. */
  over(handle: number): number[] {
    const paths = [...(this.owed.get(handle) ?? [])];
    this.owed.delete(handle);
    return paths;
  }

  pathClosed(path: number): void {
    for (const paths of this.owed.values()) paths.delete(path);
  }
}
