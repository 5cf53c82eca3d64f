// The interface of a source, which the hub asks for pictures at the source's own pace. Invariant: a source enforces its own deadline, and
// each of its errors contains a remedy.

import type { Finding, Picture } from '../model/picture.ts';

export interface Source {
  /** Unique name of the source. */
  readonly name: string;
  /** True if the source is on this machine. rsweb offers only the pictures of such sources to other machines. */
  readonly isOwn: boolean;
  /** Pause before the next request. The pause is long if handling the last answer took much time of this process. */
  readonly restMs: number;
  /**
   * Asks the source, and resolves with its picture; null if the source does not exist on this machine, which is not a fault. Rejects with
   * an error that has a remedy.
   */
  sample(): Promise<Picture | null>;
  /** Makes the picture after a failed request. `last`: the source's last picture; null if there is none. */
  failed(thrown: unknown, last: Picture | null): Picture;
  /** Called after an order. The source drops the answers that it has cached. */
  renew?(): void;
  close(): void;
}

export const NOTHING: Picture = {
  takenMs: 0,
  machines: [],
  servers: [],
  clients: [],
  paths: [],
  volumes: [],
  pools: [],
  mirrors: [],
  applications: [],
  works: [],
  replications: [],
  gates: [],
  snapshots: 0,
  findings: [],
  events: [],
};

/** Returns the last picture of a source that no longer answers, changed so that its servers are down and its volumes are unavailable. */
export function withoutAnswer(last: Picture | null, reason: string, findings: readonly Finding[]): Picture {
  if (last === null) return { ...NOTHING, findings };
  return {
    ...last,
    machines: last.machines.map((machine) => ({ ...machine, state: 'silent', reason })),
    servers: last.servers.map((server) => (server.machine === null ? server : { ...server, state: 'down', reason })),
    clients: last.clients.map((client) => (client.machine === null ? client : { ...client, state: 'absent' })),
    paths: [],
    volumes: last.volumes.map((volume) => ({ ...volume, state: 'unavailable', reason, waits: [] })),
    pools: last.pools.map((pool) => ({ ...pool, state: 'unavailable', reason })),
    mirrors: [],
    applications: [],
    works: [],
    replications: [],
    gates: last.gates.map((gate) => ({ ...gate, hosts: [], listening: [], trouble: reason })),
    findings,
  };
}
