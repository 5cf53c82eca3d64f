// Tracks the REVOKEs from clients (docs/PROTOCOL.md S11): the paths that are waiting for REVOKED, and when it is sent. session-volumes.ts
// closes the handle, and the slot table abandons the tags. Invariants: each path that brought a REVOKE gets one answer, once no request on
// the handle is running; only the tags in a handle's first REVOKE count, because the slots in a later one may already be in use for other
// handles.

export class Revokes {
  /** All handles that have been revoked in this session. Their numbers are not used again. */
  private readonly seen = new Set<number>();
  /** Handle -> paths that are waiting for REVOKED. */
  private readonly owed = new Map<number, Set<number>>();

  /**
   * `first`: the tags in this REVOKE count; `more`: the revocation is already in progress or complete; `twice`: this path is already
   * waiting for the answer.
   */
  asked(handle: number, path: number): 'first' | 'more' | 'twice' {
    const paths = this.owed.get(handle) ?? new Set<number>();
    if (paths.has(path)) return 'twice';
    paths.add(path);
    this.owed.set(handle, paths);
    if (this.seen.has(handle)) return 'more';
    this.seen.add(handle);
    return 'first';
  }

  /** Must be called once no request on the handle is running. Returns the paths to answer. */
  over(handle: number): number[] {
    const paths = [...(this.owed.get(handle) ?? [])];
    this.owed.delete(handle);
    return paths;
  }

  pathClosed(path: number): void {
    for (const paths of this.owed.values()) paths.delete(path);
  }
}
