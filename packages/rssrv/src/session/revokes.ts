// Tracks the REVOKEs that arrive in a session (docs/PROTOCOL.md S11), and the paths on which REVOKED must be sent. Invariants: each path
// that delivered a REVOKE gets one REVOKED, after the last request on the handle has ended. Only the tags (slot and seq) in the first
// REVOKE of a handle are used. The slots in a later REVOKE may already be in use for other handles.

export class Revokes {
  /** All handles that have been revoked in this session. Handle numbers are never reused in a session. */
  private readonly seen = new Set<number>();
  /** The paths that are waiting for REVOKED, keyed by handle. */
  private readonly owed = new Map<number, Set<number>>();

  /**
   * `first`: the caller must abandon the tags in this REVOKE. `more`: the revocation is already in progress or complete. `twice`: this path
   * is already waiting for the answer.
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

  /** Must be called as soon as no request on the handle is running. Returns the paths on which REVOKED must be sent. */
  over(handle: number): number[] {
    const paths = [...(this.owed.get(handle) ?? [])];
    this.owed.delete(handle);
    return paths;
  }

  pathClosed(path: number): void {
    for (const paths of this.owed.values()) paths.delete(path);
  }
}
