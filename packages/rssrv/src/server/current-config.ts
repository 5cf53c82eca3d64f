// The configuration that the server serves now, and since when. config-in-force.ts changes it; all other objects only read it. Invariant: a
// change replaces the configuration as a whole.

import type { RssrvConfig } from '@rsio/common/config/schema/types';
import type { Clock } from '@rsio/base/lib/clock';

export class CurrentConfig {
  private readonly clock: Pick<Clock, 'wallMs'>;
  private current: RssrvConfig;
  private begunMs: number;

  /** `config` is the configuration without the volumes of the pools. The start adds these volumes. */
  constructor(config: RssrvConfig, clock: Pick<Clock, 'wallMs'>) {
    this.clock = clock;
    this.current = config;
    this.begunMs = clock.wallMs();
  }

  get config(): RssrvConfig {
    return this.current;
  }

  /** Wall-clock time at which the configuration came into force. */
  get sinceMs(): number {
    return this.begunMs;
  }

  /** Replaces the configuration by one that was read from the file. */
  begin(config: RssrvConfig): void {
    this.current = config;
    this.begunMs = this.clock.wallMs();
  }

  /** Replaces the volumes, because volumes of pools have changed. */
  replaceVolumes(volumes: RssrvConfig['volumes']): void {
    this.current = { ...this.current, volumes };
  }
}
