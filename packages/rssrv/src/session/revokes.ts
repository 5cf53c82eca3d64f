// Client REVOKEs on the server's side (docs/PROTOCOL.md S11): which paths wait for REVOKED, and when it is sent. session-volumes.ts ends the handle,
// the slot table abandons the tags. Invariants: each path that asked gets one answer, after nothing of the handle is running; tags are taken from a
// handle's first REVOKE only, because a late one may name slots that serve other handles by now.

export class Revokes {
  /** All handles that were ever revoked: a number is given once in a session. */
  private readonly seen = new Set<number>();
  /** Paths that wait for REVOKED, by handle. */
  private readonly owed = new Map<number, Set<number>>();

  /** `first`: its tags count; `more`: the revocation is in progress or over; `twice`: this path already waits for the answer. */
  asked(handle: number, path: number): 'first' | 'more' | 'twice' {
    const paths = this.owed.get(handle) ?? new Set<number>();
    if (paths.has(path)) return 'twice';
    paths.add(path);
    this.owed.set(handle, paths);
    if (this.seen.has(handle)) return 'more';
    this.seen.add(handle);
    return 'first';
  }

  /** Nothing of the handle is running any more: returns the paths to answer. */
  over(handle: number): number[] {
    const paths = [...(this.owed.get(handle) ?? [])];
    this.owed.delete(handle);
    return paths;
  }

  pathClosed(path: number): void {
    for (const paths of this.owed.values()) paths.delete(path);
  }
}
