// What crsio's part for the server needs from the machine: time, the configuration file, and rssrv. Tests supply their own ports.
// Invariant: nothing else of the server's part reaches a file or a socket.

import type { RssrvConfig } from '@rsio/common/config/schema/types';
import type { ServerMethodName, ServerMethods } from '@rsio/common/control/server/server-methods';
import type { Clock } from '@rsio/common/lib/clock';
import type { MachineInterface } from '@rsio/protocol/explorer/interfaces';

export interface ServerPorts {
  readonly clock: Clock;
  /** Throws E_NO_CONFIG, E_RIGHTS, E_CONFIG or E_SYSTEM. */
  readConfig(): RssrvConfig;
  /** Calls rssrv through its control socket. `timeoutMs`: null for the longest time of the method. */
  call<M extends ServerMethodName>(
    method: M,
    params: ServerMethods[M]['params'],
    timeoutMs: number | null,
  ): Promise<ServerMethods[M]['result']>;
  /** The configuration file, for edits. */
  readonly configFile: string;
  machine(): readonly MachineInterface[];
  /** Returns an id for a request that changes something. */
  newId(): string;
  newKey(): string;
}
