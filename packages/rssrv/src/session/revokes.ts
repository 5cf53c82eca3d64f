// Tracks the REVOKEs that arrive in a session (docs/PROTOCOL.md S11), and the paths on which REVOKED must be sent. Invariants: each path
// that delivered a REVOKE of a handle gets one REVOKED, after the last request on this handle has ended. Only the tags (slot and seq) in
// the first REVOKE of a handle are used. The slots in a later REVOKE may already be in use for other handles.

import { toRsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import type { SlotTable } from '@rsio/protocol/link/slot-table';

interface RevokingPath {
  readonly number: number;
  violation(what: string): void;
  revoked(handle: number): void;
}

export interface RevokePorts {
  readonly slots: Pick<SlotTable, 'abandon'>;
  readonly volumes: { wasGiven(handle: number): boolean; revokeHandle(handle: number): Promise<unknown> };
  readonly log: Pick<Log, 'error'>;
  readonly pathOf: (number: number) => RevokingPath | undefined;
}

export class Revokes {
  private readonly ports: RevokePorts;
  /** All handles that have been revoked in this session. Handle numbers are never reused in a session. */
  private readonly seen = new Set<number>();
  /** Maps each handle to the paths on which REVOKED must still be sent. */
  private readonly owed = new Map<number, Set<number>>();

  constructor(ports: RevokePorts) {
    this.ports = ports;
  }

  /**
   * Executes a REVOKE that arrived on `path`: revokes the handle, and sends REVOKED once no request is running on the handle. `tags`
   * contains pairs of slot and seq.
   */
  received(path: RevokingPath, handle: number, tags: readonly number[]): void {
    const { volumes, log, pathOf } = this.ports;
    const wrong = volumes.wasGiven(handle) ? this.note(handle, path.number, tags) : `REVOKE of handle ${handle}, which was never given`;
    if (wrong !== null) {
      path.violation(wrong);
      return;
    }
    const over = (): void => {
      for (const number of this.over(handle)) pathOf(number)?.revoked(handle);
    };
    volumes.revokeHandle(handle).then(over, (thrown: unknown) => {
      // A request on this handle may still be running, so do not send REVOKED. Without REVOKED, the client continues to treat the handle as
      // fenced.
      log.error(`Handle ${handle}, which the client revoked, cannot be closed: ${toRsError(thrown).message}`);
    });
  }

  pathClosed(path: number): void {
    for (const paths of this.owed.values()) paths.delete(path);
  }

  /**
   * If this is the first REVOKE of the handle, abandons the requests with the given tags. Returns the text of a protocol error; null if the
   * REVOKE is correct.
   */
  private note(handle: number, path: number, tags: readonly number[]): string | null {
    const paths = this.owed.get(handle) ?? new Set<number>();
    if (paths.has(path)) return `REVOKE of handle ${handle}, for which this path is already waiting for REVOKED`;
    paths.add(path);
    this.owed.set(handle, paths);
    if (this.seen.has(handle)) return null;
    this.seen.add(handle);
    for (let at = 0; at < tags.length; at += 2) {
      if (this.ports.slots.abandon(tags[at]!, tags[at + 1]!, handle)) continue;
      return `REVOKE of handle ${handle} names slot ${tags[at]} seq ${tags[at + 1]}, which it cannot have sent`;
    }
    return null;
  }

  /** Returns the paths on which REVOKED must be sent. */
  private over(handle: number): number[] {
    const paths = [...(this.owed.get(handle) ?? [])];
    this.owed.delete(handle);
    return paths;
  }
}
