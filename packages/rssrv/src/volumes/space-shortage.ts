// Knows which volumes have changes that wait for space in their pool, over all sessions, and logs when a volume begins to wait and when it
// continues. Invariant: a session that has ended waits for nothing.

import type { Log } from '@rsio/common/log/log';

export class SpaceShortage {
  private readonly log: Pick<Log, 'info' | 'error'>;
  /** Volume id -> ids of the sessions with changes that wait. A volume without any has no entry. */
  private readonly waiting = new Map<string, Set<string>>();

  constructor(log: Pick<Log, 'info' | 'error'>) {
    this.log = log;
  }

  has(volumeId: string): boolean {
    return this.waiting.has(volumeId);
  }

  /** `name`: name of the volume for the log. */
  changed(session: string, volumeId: string, name: string, isWaiting: boolean): void {
    const sessions = this.waiting.get(volumeId) ?? new Set<string>();
    const before = sessions.size;
    if (isWaiting) sessions.add(session);
    else sessions.delete(session);
    if (sessions.size > 0) this.waiting.set(volumeId, sessions);
    else this.waiting.delete(volumeId);
    if (before === 0 && sessions.size > 0)
      this.log.error(`Volume ${name}: its pool is full, and writes wait until there is space: enlarge the file system, or remove volumes`, {
        volume: name,
      });
    if (before > 0 && sessions.size === 0) this.log.info(`Volume ${name}: no write waits for space any more`, { volume: name });
  }

  sessionEnded(session: string): void {
    for (const [volumeId, sessions] of [...this.waiting]) {
      sessions.delete(session);
      if (sessions.size === 0) this.waiting.delete(volumeId);
    }
  }
}
