// Executes the methods that show the server itself and examine a configuration. server-views.ts makes the views. Invariant: no method of
// this file changes anything.

import type { HandlersOf } from '@rsio/common/control/control-server';
import type { OBSERVING_METHODS } from '@rsio/common/control/server/observing-methods';
import type { ServerMethods } from '@rsio/common/control/server/server-methods';
import type { RssrvConfig, ServerInterfaceConfig } from '@rsio/common/config/schema/types';
import type { EventHistory } from '@rsio/common/events/event-history';
import type { VolumeFailure } from '../volumes/volume-failures.ts';
import { interfaceView } from './server-views.ts';

/** Facts about the listener. */
export interface ObservedServer {
  /** The configuration in force. */
  config(): RssrvConfig;
  /** Counters, rates and waits of all sessions. */
  statistics(): Promise<ServerMethods['stats']['result']>;
  /** Volumes that are configured but not served. */
  volumeFailures(): readonly VolumeFailure[];
  /** True if the server listens on this interface. */
  isListening(one: ServerInterfaceConfig): boolean;
  /** Examines a text as the next configuration, and changes nothing. Throws if a reload with this text would be refused. */
  checkConfig(text: string): Promise<ServerMethods['config-check']['result']>;
}

export interface ObservingHandlersPorts {
  readonly events: EventHistory;
  readonly server: ObservedServer;
}

export function observingHandlers({ server, events }: ObservingHandlersPorts): HandlersOf<typeof OBSERVING_METHODS> {
  return {
    'interface-list': () => ({
      interfaces: server.config().interfaces.map((one) => interfaceView(one, server.isListening(one))),
    }),
    stats: () => server.statistics(),
    events: (params) => events.read(params),
    'config-check': ({ text }) => server.checkConfig(text),
  };
}
