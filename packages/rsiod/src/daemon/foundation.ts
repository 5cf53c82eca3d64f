// The first phase of the objects of rsiod: what the daemon is told at its start, the configuration in force, what earlier processes have
// left, and the events. Each phase is a file here and gets only objects of earlier phases: foundation, servers, volumes, frontends,
// attaching, control (daemon.ts). What an early object has to tell a later one is a signal, which the later phase hears.

import type { RscltConfig } from '@rsio/common/config/schema/types';
import type { EventStore } from '@rsio/common/events/event-history';
import { KindCounts } from '@rsio/common/metrics/kind-counts';
import { Triggers } from '@rsio/common/triggers/triggers';
import { machineInterfaces, systemFacts } from '@rsio/protocol/explorer/interfaces';
import { EVENT_KINDS } from '../control/client-metrics.ts';
import { ClientSnapshots } from '../control/client-snapshots.ts';
import { Notifications } from '../control/notifications.ts';
import type { NewGates } from '../frontends/gate-frontends.ts';
import { CurrentConfig } from '../network/current-config.ts';
import { passOn, type Remembered, remembered, type RoleOptions } from '../processes/role.ts';

export interface ClientDaemonOptions extends RoleOptions {
  readonly config: RscltConfig;
  /** Wall-clock time of the start of this process. */
  readonly beganMs: number;
  /** Keeps the events across restarts; null in a data process, which passes its events to the main process. */
  readonly store: EventStore | null;
  /** Applies the log settings of a configuration. */
  readonly relog: (config: RscltConfig) => void;
  /** Reason why this machine cannot run a keeper; null if it can. */
  readonly keeperLack: string | null;
  /** Calls `handOver` and exits, so that the keeper starts another process. */
  readonly restart: () => Promise<void>;
  readonly newGates: NewGates;
  /** Stops this process as SIGTERM does. */
  readonly stop: () => void;
}

export interface Foundation extends Remembered {
  readonly current: CurrentConfig;
  /** Counts the events of this daemon for the metrics. */
  readonly events: KindCounts;
  readonly notifications: Notifications;
  readonly snapshots: ClientSnapshots;
}

export function newFoundation(options: ClientDaemonOptions): Foundation {
  const { clock, log, part } = options;
  const current = new CurrentConfig(options.config, clock, () => machineInterfaces(systemFacts), options.relog);
  const events = new KindCounts(EVENT_KINDS);
  const triggers = new Triggers({
    clock,
    log,
    daemon: 'rsiod',
    machine: () => ({ client: current.config.namespaces[0]?.nodename ?? '' }),
    triggers: () => (part === null ? current.config.triggers : []),
  });
  const notifications = new Notifications(log, clock, options.store, (event) => {
    if (part !== null) return passOn(part.channel, event);
    events.note(event.object);
    triggers.event(event);
  });
  return { current, events, notifications, snapshots: new ClientSnapshots({ clock, triggers }), ...remembered(options) };
}
