// Executes the methods that show the server itself and examine a configuration. server-views.ts makes the views. Invariant: no method of
// this file changes anything.

import type { HandlersOf } from '@rsio/common/control/control-server';
import type { OBSERVING_METHODS } from '@rsio/api/rssrv/observing-methods';
import type { ServerMethods } from '@rsio/api/rssrv/server-methods';
import type { RssrvConfig, ServerInterfaceConfig, ServerVolumeConfig } from '@rsio/common/config/schema/types';
import type { EventHistory } from '@rsio/common/events/event-history';
import type { Clock } from '@rsio/base/lib/clock';
import type { Log } from '@rsio/base/log/log';
import type { ServedSnapshots } from '../snapshots/reads/served-snapshots.ts';
import type { VolumeFailure } from '../volumes/volume-failures.ts';
import { interfaceView, type SessionStatus, type VolumeStatus } from './server-views.ts';

/** Facts about the listener. */
export interface ObservedServer {
  readonly clock: Clock;
  readonly log: Log;
  readonly events: EventHistory;
  /** The configuration in force, with the volumes of the pools. */
  config(): RssrvConfig;
  configuredMs(): number;
  readonly workers: { readonly pids: readonly number[] };
  sessions(): readonly SessionStatus[];
  statusOf(volume: ServerVolumeConfig): VolumeStatus;
  /** See Volumes.occupiedBytes. */
  occupiedBytes(volume: ServerVolumeConfig): number | null;
  /** Clients that read snapshots. */
  readonly readers: Pick<ServedSnapshots, 'whileUnread' | 'readerCount'>;
  /** Counters, rates and waits of all sessions. */
  statistics(): Promise<ServerMethods['stats']['result']>;
  /** Volumes that are configured but not served. */
  volumeFailures(): readonly VolumeFailure[];
  isListening(one: ServerInterfaceConfig): boolean;
  /** Examines a text as the next configuration, and changes nothing. Throws if a reload with this text would be refused. */
  checkConfig(text: string): Promise<ServerMethods['config-check']['result']>;
}

export function observingHandlers(server: ObservedServer): Omit<HandlersOf<typeof OBSERVING_METHODS>, 'readiness'> {
  return {
    'interface-list': () => ({
      interfaces: server.config().interfaces.map((one) => interfaceView(one, server.isListening(one))),
    }),
    stats: () => server.statistics(),
    events: (params) => server.events.read(params),
    'config-check': ({ text }) => server.checkConfig(text),
  };
}
