// Phase 1 of the listener: what depends on no volume, no pool and no client. Invariant: the objects of this phase ask no other object of
// the server.

import { bootId } from '@rsio/base/daemon/process-facts';
import type { RssrvPaths } from '@rsio/common/config/root-paths';
import type { RssrvConfig } from '@rsio/common/config/schema/types';
import { EventHistory, type EventStore } from '@rsio/common/events/event-history';
import type { Clock } from '@rsio/base/lib/clock';
import type { DaemonLog } from '@rsio/base/log/log';
import { RateLimitedLog } from '@rsio/base/log/rate-limited-log';
import { ChangeQueue } from '../admin/change-queue.ts';
import { EventLog } from '../events/event-log.ts';
import { CurrentConfig } from '../server/current-config.ts';
import { identityOf } from '../server/offered-volumes.ts';
import { RunRecords } from '../server/run-records.ts';
import { Sessions } from '../server/sessions.ts';
import { newSignals } from './signals.ts';

export interface ListenerOptions {
  readonly config: RssrvConfig;
  readonly paths: RssrvPaths;
  readonly clock: Clock;
  readonly log: DaemonLog;
  /** Stores the list of events, so that it survives restarts. */
  readonly store: EventStore;
  /** Moves the log to the place that the configuration names. */
  readonly relog: (config: RssrvConfig) => void;
  /** Prints a message for the administrator who starts the daemon. */
  readonly warn: (sentence: string) => void;
}

export type Foundation = ReturnType<typeof newFoundation>;

export function newFoundation({ config, paths, clock, log: given, store, relog }: ListenerOptions) {
  const events = new EventHistory(clock, store);
  const log: DaemonLog = new EventLog(given, events);
  return {
    paths,
    clock,
    log,
    relog,
    events,
    limitedLog: new RateLimitedLog(clock, log),
    current: new CurrentConfig(config, clock),
    identity: identityOf(config),
    records: new RunRecords(paths.recordsFile, bootId()),
    changes: new ChangeQueue(),
    sessions: new Sessions(),
    signals: newSignals(),
  };
}
