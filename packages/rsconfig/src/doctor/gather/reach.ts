// Connects once from an address of this machine to a server's end point and closes again: only whether, and if not, why.
// Leaves all that is said on a connection to the probe.

import { tcpConnector } from '@rsio/protocol/link/tcp-transport';

/** The errno that says why there is no connection (ETIMEDOUT within CONNECT_TIMEOUT_MS), or null: it connected. */
export function unreachedBy(local: string, address: string, port: number): Promise<string | null> {
  return new Promise((resolve) => {
    tcpConnector.connect(
      local,
      address,
      port,
      (transport) => {
        transport.destroy(false);
        resolve(null);
      },
      (reason) => resolve(/^E[A-Z0-9]+/.exec(reason)?.[0] ?? 'EIO'),
    );
  });
}
