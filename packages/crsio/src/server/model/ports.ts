// The ports through which crsio's part for the server uses the machine: time, the configuration file, and rssrv. Tests supply their own
// ports. Invariant: the server's part reaches files and sockets only through these ports.

import type { RssrvConfig } from '@rsio/common/config/schema/types';
import type { ServerMethodName, ServerMethods } from '@rsio/api/rssrv/server-methods';
import type { Clock } from '@rsio/base/lib/clock';
import type { MachineInterface } from '@rsio/protocol/explorer/interfaces';

export interface ServerPorts {
  readonly clock: Clock;
  /** Throws E_NO_CONFIG, E_RIGHTS, E_CONFIG or E_SYSTEM. */
  readConfig(): RssrvConfig;
  /** Calls rssrv through its control socket. `timeoutMs`: time limit for the answer; if null, the longest time that the method may take. */
  call<M extends ServerMethodName>(
    method: M,
    params: ServerMethods[M]['params'],
    timeoutMs: number | null,
  ): Promise<ServerMethods[M]['result']>;
  /** The path of the configuration file, which crsio edits. */
  readonly configFile: string;
  machine(): readonly MachineInterface[];
  /** Returns an id for a request that changes something. */
  newId(): string;
  newKey(): string;
}
