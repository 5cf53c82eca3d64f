// What a session's process logs of the paths of its client, who may make and break them as often as it likes.
// Leaves the bound to rate-limited-log.ts. Invariant: paths of one interface do not silence those of another one.

import type { Clock } from '@rsio/common/lib/clock';
import { RateLimitedLog } from '@rsio/common/log/rate-limited-log';
import type { Log } from '@rsio/common/log/log';
import type { ServerPath } from './server-path.ts';

export class PathLog {
  private readonly log: Log;
  private readonly lines: RateLimitedLog;

  constructor({ clock, log }: { readonly clock: Clock; readonly log: Log }) {
    this.log = log;
    this.lines = new RateLimitedLog(clock, log);
  }

  report({ number, arrivedAt: { name } }: Pick<ServerPath, 'number' | 'arrivedAt'>, sentence: string): void {
    this.lines.note(`Paths on ${name}`, () => this.log.child({ path: `${number}-${name}-rx0` }).info(sentence));
  }

  close(): void {
    this.lines.close();
  }
}
