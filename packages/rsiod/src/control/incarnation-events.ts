// Storage that began a new life with nothing to be sent again: told together, because a server that was started anew brings it for each of a
// thousand volumes. What is sent again is told of each volume by notifications.ts. Invariant: each is told once, within NEW_LIFE_NEWS_MS.

import type { Clock, Timer } from '@rsio/common/lib/clock';
import { NEW_LIFE_NAMED_MAX, NEW_LIFE_NEWS_MS } from './limits.ts';

export class IncarnationEvents {
  private readonly clock: Clock;
  private readonly report: (server: string, sentence: string) => void;
  /** Server -> labels. */
  private readonly volumes = new Map<string, string[]>();
  private timer: Timer | null = null;

  constructor(clock: Clock, tell: (server: string, sentence: string) => void) {
    this.clock = clock;
    this.report = tell;
  }

  add(server: string, label: string): void {
    const labels = this.volumes.get(server);
    if (labels === undefined) this.volumes.set(server, [label]);
    else labels.push(label);
    this.timer ??= this.clock.after(NEW_LIFE_NEWS_MS, () => this.reportAll());
  }

  private reportAll(): void {
    this.timer = null;
    const all = [...this.volumes];
    this.volumes.clear();
    for (const [server, labels] of all) {
      const more = labels.length - NEW_LIFE_NAMED_MAX;
      const named = labels.slice(0, NEW_LIFE_NAMED_MAX).join(', ');
      const which = more > 0 ? `${named} and ${more} more` : named;
      this.report(server, `The storage began a new life: everything that was written to ${which} is flushed`);
    }
  }
}
