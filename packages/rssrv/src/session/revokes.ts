// The server's side of clients' REVOKEs (docs/PROTOCOL.md S11): which paths wait for REVOKED, and when it is sent. session-volumes.ts
// closes the handle, and the slot table abandons the tags. Invariants: each path that brought a REVOKE gets one answer, once nothing of the
// handle is running; only the tags of a handle's first REVOKE count, because the slots in a later one may already serve other handles.

export class Revokes {
  /** All handles that were ever revoked in this session. Their numbers are not used again. */
  private readonly seen = new Set<number>();
  /** Handle -> paths that wait for REVOKED. */
  private readonly owed = new Map<number, Set<number>>();

  /**
   * `first`: the tags of this REVOKE count; `more`: the revocation is in progress or complete; `twice`: this path already waits for the
   * answer.
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

  /** Call it once nothing of the handle is running. Returns the paths to answer. */
  over(handle: number): number[] {
    const paths = [...(this.owed.get(handle) ?? [])];
    this.owed.delete(handle);
    return paths;
  }

  pathClosed(path: number): void {
    for (const paths of this.owed.values()) paths.delete(path);
  }
}
