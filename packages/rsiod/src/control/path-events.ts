// Which moves of a path are events: a path that is tried again and again while nobody is there makes none, until a try ends otherwise.
// Leaves the events themselves to notifications.ts. Invariant: a path that is kept comes up, and goes down with another reason, never unsaid.

import type { PathState } from '@rsio/common/lib/path-states';

export class PathEvents {
  /** By path: why its last try failed; absent: it was up since, or was not tried yet. */
  private readonly failures = new Map<string, string>();

  isEvent(path: string, from: PathState, to: PathState, reason: string): boolean {
    const failure = this.failures.get(path);
    const isTry = to === 'connecting' || to === 'proving';
    if (isTry) return failure === undefined;
    if (to === 'down' && (from === 'connecting' || from === 'proving')) {
      this.failures.set(path, reason);
      return failure !== reason;
    }
    this.failures.delete(path);
    return true;
  }
}
